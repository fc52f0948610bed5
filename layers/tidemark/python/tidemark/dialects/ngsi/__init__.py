"""The NGSIv2 vocabulary, as Orion and Vela OS speak it."""

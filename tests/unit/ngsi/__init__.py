"""Unit tests of the NGSIv2 vocabulary: pure rules, without a store."""

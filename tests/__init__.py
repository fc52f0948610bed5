"""Tests of Tidemark and the local stack that they run on."""

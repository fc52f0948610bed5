"""Tests of the command line `tidemark`."""

"""Tests of the local stack, on a small application of its own (`fixtures/app`)."""

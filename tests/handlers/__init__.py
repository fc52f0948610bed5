"""Tests of the functions, called as Lambda calls them, on ports in memory."""

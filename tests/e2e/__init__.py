"""Tests of the whole stack over HTTP, as its users see it."""

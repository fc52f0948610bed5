"""Tidemark: point-in-time snapshots of live entity sets, and their atomic restore."""

"""Tidemark: point-in-time snapshots of live entity sets, and their atomic restore."""

from typing import Final

VERSION: Final = "0.1.0"

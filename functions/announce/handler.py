"""Announces, and counts, what the stream of the catalog's table says became of snapshots, restores and backups."""

from typing import Any

from tidemark import bootstrap, streams


def handler(event: streams.Event, context: object) -> dict[str, Any]:
    """From which record on the batch is to be delivered again, if from any."""
    return streams.announce_batch(bootstrap.ports(), event)

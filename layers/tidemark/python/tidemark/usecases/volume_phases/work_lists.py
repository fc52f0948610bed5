"""The lists of work of backups and restores of volumes: the ranges of an image, each of which is worked on for itself.

A list is stored as an object under `work-lists/`, which expires: a state machine passes no more than 256 KiB on, and a
volume may have more ranges than fit.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from tidemark.errors import ObjectExists
from tidemark.ports import Ports


def store_work_list(ports: Ports, name: str, items: Sequence[Mapping[str, int]]) -> str:
    """Store a list, one item for each worker; its key. Can be repeated: what is to be done of an image stays."""
    key = f"work-lists/{name}.json"
    with suppress(ObjectExists):
        ports.payloads.put(key, msgspec.json.encode(items))
    return key

"""The list of work of a volume's backup: the ranges of the image, each of which is copied and read back for itself.

It is stored as an object under `work-lists/`, which expires: a state machine passes no more than 256 KiB on, and a
volume may have more ranges than fit.
"""

from contextlib import suppress

import msgspec

from tidemark.domain.blocks import Image
from tidemark.domain.volume import VolumeSnapshot
from tidemark.errors import ObjectExists
from tidemark.ports import Ports


def work_key_of(snapshot: VolumeSnapshot) -> str:
    """Where the list of a snapshot lies."""
    return f"work-lists/volume-backups/{snapshot.id}.json"


def store_work_list(ports: Ports, snapshot: VolumeSnapshot) -> str:
    """Store which ranges the image has, and at which block each begins; the key. Can be repeated: the size of an image
    that is being stored stays.
    """
    image, key = Image(snapshot.size_bytes), work_key_of(snapshot)
    items = [{"shard": shard, "place": image.range_of(shard).start} for shard in range(image.shards)]
    with suppress(ObjectExists):
        ports.payloads.put(key, msgspec.json.encode(items))
    return key

"""Sizes of items and the units that DynamoDB bills for them.

Source: DynamoDB Developer Guide, "Item sizes and formats" and "Read and write operations": 4 KB a strongly consistent
read unit, 1 KB a write unit, each item rounded up.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from tidemark.adapters import dynamo_rows as rows
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Item
from tidemark.domain.tenant import Tenant

_READ_UNIT_BYTES: Final = 4096
_WRITE_UNIT_BYTES: Final = 1024
# As many items as are read again and again.
_SIZES_KEPT: Final = 1 << 18


def size_of(row: Mapping[str, Any]) -> int:
    """The bytes of an item as DynamoDB counts them: names and values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in row.items())


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return (len(content) + 1) // 2 + 1
        case _:
            return 1


@lru_cache(maxsize=_SIZES_KEPT)
def item_bytes(tenant: Tenant, item: Item) -> int:
    """The bytes of an item of the entity table."""
    return size_of(rows.item_row(tenant, item))


def read_units(size_bytes: int) -> int:
    """Units of a strongly consistent read; looking for what is not there costs one."""
    return max(1, -(-size_bytes // _READ_UNIT_BYTES))


def write_units(size_bytes: int) -> int:
    """Units of a write; for one that replaces, `size_bytes` is the larger of both."""
    return max(1, -(-size_bytes // _WRITE_UNIT_BYTES))


def index_units(before: Item | None, after: Item | None) -> int:
    """Units for the two sparse indexes: one for each entry that goes, one for each that comes."""
    units = 0
    for old, new in zip(index_keys(before), index_keys(after), strict=True):
        if old != new:
            units += (old is not None) + (new is not None)
    return units


def index_keys(item: Item | None) -> tuple[str | None, str | None]:
    """What an item has in each of the indexes, None where it is not in it."""
    if item is None:
        return None, None
    found = EntityKey.parse(item.key.sort_key).id if item.doc is not None else None
    return found, None if item.changed is None else str(item.changed)

"""Identity and placement of entities: the sort key that orders them, the shard they live in, the gate their writes
pass.
"""

import hashlib
from typing import Final, NamedTuple, Self

SEPARATOR: Final = "\x1f"


class EntityKey(NamedTuple):
    """What makes an entity unique in a tenant.

    Ordered by type, then id, then path: like entities lie together, which compresses best.
    """

    type: str
    id: str
    path: str

    @property
    def sort_key(self) -> str:
        """The key as one string; its order is the order of the tuple, since the separator is below every allowed
        character.
        """
        return SEPARATOR.join(self)

    @classmethod
    def parse(cls, sort_key: str) -> Self:
        """The key behind a sort key. Raises ValueError when it does not have three parts."""
        type_, id_, path = sort_key.split(SEPARATOR)
        return cls(type_, id_, path)


def behind(sort_key: str) -> str:
    """The lowest string above a sort key: where to go on, the bound included, after it."""
    return sort_key + "\0"


def id_in(sort_key: str) -> str:
    """The id in a sort key; for loops over all entities, where to make an `EntityKey` of each would show."""
    return sort_key.split(SEPARATOR)[1]


def shard_of(entity_id: str, shards: int) -> int:
    """The shard of an entity: the first bits of SHA-256 of its id, so that every type of one id is in one shard.

    `shards` is a power of two.
    """
    return hashlib.sha256(entity_id.encode()).digest()[0] * shards >> 8


def gate_of(entity_id: str, gates: int) -> int:
    """The gate that writes to an entity pass: the second byte of the same hash, independent of the shard."""
    return hashlib.sha256(entity_id.encode()).digest()[1] % gates

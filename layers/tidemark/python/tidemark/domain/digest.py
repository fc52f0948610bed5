"""A digest of a set of records that does not depend on their order, so that parts can be added up.

It is the sum of the records' SHA-256 values modulo 2**256. It guards against loss, duplication and alteration by
faults, not against an adversary who can choose the records.
"""

import hashlib
from collections.abc import Collection
from typing import Final

_MODULUS: Final = 1 << 256


class SetDigest:
    """Accumulates records. `count` and `hex` say what has been added so far."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, record: bytes) -> None:
        """Add one record, given as its canonical line without the line feed."""
        self.count += 1
        self._sum += int.from_bytes(hashlib.sha256(record).digest())

    def add_all(self, records: Collection[bytes]) -> None:
        """Add many records."""
        self.count += len(records)
        self._sum += sum([int.from_bytes(hashlib.sha256(record).digest()) for record in records])

    def add_hex(self, digest: str, count: int) -> None:
        """Add a set that was digested elsewhere."""
        self.count += count
        self._sum += int(digest, 16)

    @property
    def hex(self) -> str:
        """The digest as 64 hexadecimal digits."""
        return f"{self._sum % _MODULUS:064x}"

"""UUIDs, from bytes or names that others give: those of snapshots and tasks are random, those of volumes follow from
what AWS calls them.

Source: RFC 9562, sections 5.4 and 5.8.
"""

import hashlib
import re
from typing import Final

from tidemark.errors import InvalidRequest

RANDOM_BYTES: Final = 16
_SEPARATOR: Final = "\x1f"
_FORM: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def random_uuid(random_bytes: bytes) -> str:
    """The UUID (version 4) of 16 random bytes. Raises ValueError for more or fewer."""
    if len(random_bytes) != RANDOM_BYTES:
        raise ValueError(f"a UUID is made of {RANDOM_BYTES} bytes, not of {len(random_bytes)}")
    return _written(random_bytes, version=4)


def derived_uuid(*names: str) -> str:
    """The UUID (version 8) that these names have, always the same: the first bytes of their SHA-256."""
    return _written(hashlib.sha256(_SEPARATOR.join(names).encode()).digest()[:RANDOM_BYTES], version=8)


def parse_uuid(text: str, called: str) -> str:
    """A UUID as it is stored: with small letters. `called` is what people call it.

    Raises InvalidRequest for any other form, such as one in braces or without hyphens.
    """
    # Before it is lowered: other alphabets have letters whose small ones are ASCII.
    lowered = text.lower() if text.isascii() else ""
    if _FORM.fullmatch(lowered) is None:
        raise InvalidRequest(
            f"{called} must be a UUID such as 33a27b8d-5a27-42a5-aec4-37606e372bda, as answers show it; it is "
            f"{text[:60]!r}"
        )
    return lowered


def _written(octets: bytes, *, version: int) -> str:
    marked = bytearray(octets)
    marked[6] = version << 4 | marked[6] & 0x0F
    marked[8] = 0x80 | marked[8] & 0x3F
    digits = marked.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

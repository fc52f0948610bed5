"""Fingerprints: by which a delta line, or an item, says what an entity was without repeating it.

A fingerprint is the first bytes of SHA-256 of the entity's canonical JSON, in base64url.
"""

import hashlib
from base64 import urlsafe_b64encode
from typing import Final

# Base64 needs no padding for multiples of three.
_BYTES: Final = 6
CHARS: Final = _BYTES * 4 // 3


def fingerprint(value: bytes | str | None) -> str | None:
    """The fingerprint of a canonical JSON; None for what is not there."""
    if value is None:
        return None
    digest = hashlib.sha256(value.encode() if isinstance(value, str) else value).digest()
    return urlsafe_b64encode(digest[:_BYTES]).decode()

"""What all packs have in common: zstd frames one after another, then a table of contents in a skippable frame.

    [zstd frame] ... [skippable frame: table of contents (JSON), its length (u32 LE), "TMRK"]

What is in the frames, and so what the table says, is for `engine.packs` (entities) and `engine.blocks.packs` to say.
"""

import hashlib
import struct
from typing import Final

from tidemark.domain.manifest import PackRef
from tidemark.errors import ObjectNotFound, PackCorrupt
from tidemark.ports import ObjectReads

_SKIPPABLE_MAGIC: Final = 0x184D2A54
_SKIPPABLE_HEADER: Final = struct.Struct("<II")
_FOOTER: Final = struct.Struct("<I4s")
_FOOTER_MAGIC: Final = b"TMRK"


def encode_table(text: bytes) -> bytes:
    """The end of a pack that has this table of contents."""
    payload = text + _FOOTER.pack(len(text), _FOOTER_MAGIC)
    return _SKIPPABLE_HEADER.pack(_SKIPPABLE_MAGIC, len(payload)) + payload


def find_table(key: str, body: bytes) -> int:
    """Where the table of contents of a whole pack begins. Raises PackCorrupt."""
    try:
        (toc_length, magic) = _FOOTER.unpack_from(body, len(body) - _FOOTER.size)
    except struct.error as error:
        raise PackCorrupt(f"pack {key} is too short to be one") from error
    toc_offset = len(body) - _FOOTER.size - toc_length - _SKIPPABLE_HEADER.size
    if magic != _FOOTER_MAGIC or toc_offset < 0:
        raise PackCorrupt(f"pack {key} has no table of contents at its end")
    return int(toc_offset)


def text_of_table(key: str, frame: bytes) -> bytes:
    """The table of contents in the end of a pack. Raises PackCorrupt."""
    try:
        magic, length = _SKIPPABLE_HEADER.unpack_from(frame)
    except struct.error as error:
        raise PackCorrupt(f"the table of contents of pack {key} cannot be read") from error
    if magic != _SKIPPABLE_MAGIC or length != len(frame) - _SKIPPABLE_HEADER.size:
        raise PackCorrupt(f"the table of contents of pack {key} is not well formed")
    return frame[_SKIPPABLE_HEADER.size : len(frame) - _FOOTER.size]


def read_table(payloads: ObjectReads, pack: PackRef) -> bytes:
    """The end of a pack by one ranged read, checked against the reference. Raises PackCorrupt."""
    stored = read_range(payloads, pack, pack.toc_offset, pack.size_bytes - pack.toc_offset)
    if hashlib.sha256(stored).hexdigest() != pack.toc_sha256:
        raise PackCorrupt(f"pack {pack.key} is damaged: its table of contents has the wrong checksum")
    return stored


def read_range(payloads: ObjectReads, pack: PackRef, offset: int, length_bytes: int) -> bytes:
    """A part of a pack. Raises PackCorrupt where it is missing or shorter."""
    try:
        stored = payloads.get_range(pack.key, offset, length_bytes)
    except ObjectNotFound as error:
        raise PackCorrupt(f"pack {pack.key} is missing") from error
    if len(stored) != length_bytes:
        raise PackCorrupt(f"pack {pack.key} is truncated: {len(stored)} of {length_bytes} bytes at offset {offset}")
    return stored


def read_whole(payloads: ObjectReads, pack: PackRef) -> bytes:
    """The bytes of a whole pack, after checking their length and SHA-256. Raises PackCorrupt."""
    try:
        body = payloads.get(pack.key)
    except ObjectNotFound as error:
        raise PackCorrupt(f"pack {pack.key} is missing") from error
    if len(body) != pack.size_bytes:
        raise PackCorrupt(f"pack {pack.key} is damaged: it has {len(body)} bytes instead of {pack.size_bytes}")
    if hashlib.sha256(body).hexdigest() != pack.sha256:
        raise PackCorrupt(f"pack {pack.key} is damaged: it has the wrong checksum")
    return body

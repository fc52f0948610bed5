"""The text of an uploaded file, streamed: plain, or in zstd or gzip, which its first bytes tell.

What does not unpack, or ends too early, is an ImportRefused. Memory is bounded whatever the file unpacks to.
"""

import hashlib
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

import zstandard

from tidemark.errors import ImportRefused, ObjectNotFound
from tidemark.ports import PayloadStore

_READ_BYTES: Final = 8 * 1024 * 1024
# Some bytes of zstd can stand for 32,000 times as many, so few are unpacked at a time.
_ZSTD_STEP_BYTES: Final = 1024
_GZIP_OUT_BYTES: Final = 1024 * 1024
_WINDOW_BYTES: Final = 128 * 1024 * 1024
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_GZIP: Final = b"\x1f\x8b"
_GZIP_BITS: Final = 31


class Upload(NamedTuple):
    """One file as it was uploaded. `sha256` is what it must be, where that is known."""

    name: str
    key: str
    size_bytes: int
    sha256: str | None


def text_of(payloads: PayloadStore, upload: Upload) -> Iterator[bytes]:
    """The text in pieces of any size. Whoever reads to its end knows that the file is whole."""
    pieces = _stored(payloads, upload)
    first = next(pieces, b"")
    whole = _followed_by(first, pieces)
    if first.startswith(_ZSTD) or (len(first) >= len(_ZSTD) and first[1:4] == b"\x2a\x4d\x18" and first[0] >> 4 == 5):  # noqa: PLR2004 - skippable frames begin with 0x184D2A5?
        yield from _zstd(upload, whole)
    elif first.startswith(_GZIP):
        yield from _gzip(upload, whole)
    else:
        yield from whole


def _followed_by(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _stored(payloads: PayloadStore, upload: Upload) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for offset in range(0, upload.size_bytes, _READ_BYTES):
        wanted = min(_READ_BYTES, upload.size_bytes - offset)
        try:
            piece = payloads.get_range(upload.key, offset, wanted)
        except ObjectNotFound as error:
            raise _refused(upload, "it is not there any more; import it again") from error
        if len(piece) != wanted:
            raise _refused(upload, f"it has fewer than the {upload.size_bytes} bytes that were announced")
        digest.update(piece)
        yield piece
    if upload.sha256 not in {None, digest.hexdigest()}:
        raise _refused(upload, "its SHA-256 is not the one in the manifest: it was altered on its way")


def _zstd(upload: Upload, pieces: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
    frame = unpacker.decompressobj()
    inside = False
    for piece in pieces:
        for start in range(0, len(piece), _ZSTD_STEP_BYTES):
            step = piece[start : start + _ZSTD_STEP_BYTES]
            while step:
                inside = True
                try:
                    text = frame.decompress(step)
                except zstandard.ZstdError as error:
                    raise _refused(upload, "its zstd frames cannot be unpacked") from error
                step = b""
                if frame.eof:
                    step, frame, inside = frame.unused_data, unpacker.decompressobj(), False
                if text:
                    yield text
    if inside:
        raise _refused(upload, "it is truncated: its last zstd frame has no end")


def _gzip(upload: Upload, pieces: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP_BITS)
    inside = False
    for piece in pieces:
        left = piece
        while left:
            inside = True
            try:
                text = member.decompress(left, _GZIP_OUT_BYTES)
            except zlib.error as error:
                raise _refused(upload, "its gzip members cannot be unpacked") from error
            left = member.unconsumed_tail
            if member.eof:
                left, member, inside = member.unused_data, zlib.decompressobj(_GZIP_BITS), False
            if text:
                yield text
    while inside:
        # What fits the limit comes out although no input is left.
        text = member.decompress(b"", _GZIP_OUT_BYTES)
        if member.eof:
            inside = False
        if not text and inside:
            raise _refused(upload, "it is truncated: its last gzip member has no end")
        if text:
            yield text


def _refused(upload: Upload, why: str) -> ImportRefused:
    return ImportRefused(f"file {upload.name!r}: {why}")

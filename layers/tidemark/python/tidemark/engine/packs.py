"""Packs of entities: one stored object of zstd frames, one after another, and a table of contents at the end, as
`engine.framing` says.

Each frame is about 512 KiB of record lines at level 3, with zstd's own checksum. `zstdcat` prints the lines and skips
the rest. `layers/DESIGN.md` has the format in full.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import zstandard

from tidemark.domain.digest import SetDigest
from tidemark.domain.keys import SEPARATOR
from tidemark.domain.manifest import PackRef
from tidemark.engine.framing import encode_table, find_table, read_range, read_table, text_of_table
from tidemark.engine.records import Record, parse_lines, parse_strictly
from tidemark.engine.storing import PackForm
from tidemark.errors import PackCorrupt
from tidemark.ports import PayloadStore

FRAME_RAW_BYTES: Final = 512 * 1024
PACK_BYTES: Final = 8 * 1024 * 1024
COMPRESSION_LEVEL: Final = 3
FORMAT_VERSION: Final = 1
# A frame ends with the record that reaches FRAME_RAW_BYTES, so the largest record bounds it; four times that is never
# reached.
_MAX_FRAME_RAW_BYTES: Final = 4 * 1024 * 1024


class FrameEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One frame in the table of contents. `offset` and `length` are of the stored bytes, `sha256` is theirs."""

    offset: int
    length: int
    records: int
    raw_bytes: int
    first_key: tuple[str, ...]
    sha256: str


class TableOfContents(msgspec.Struct, frozen=True, rename="camel"):
    """What a pack says of itself."""

    version: int
    records: int
    net: int
    raw_bytes: int
    last_key: tuple[str, ...]
    frames: tuple[FrameEntry, ...]


# Made once, while the module is imported: threads that first meet a type at the same moment can crash in msgspec.
_TOC: Final = msgspec.json.Decoder(TableOfContents)


class BuiltPack(NamedTuple):
    """A pack ready to be stored, and the digest of its lines."""

    body: bytes
    toc: TableOfContents
    digest: SetDigest


def build_pack(records: Iterable[Record]) -> BuiltPack | None:
    """A pack of the first records, as many as fill it (about PACK_BYTES stored); None when there are none.

    `records` is consumed no further than the last record in the pack. The same records give the same pack.
    """
    body = bytearray()
    frames: list[FrameEntry] = []
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True)
    digest = SetDigest()
    last_key, net = "", 0
    for lines, first_key, last_key, adds in _frames(records):  # noqa: B007 - its last key is the pack's
        net += adds
        digest.add_all(lines)
        lines.append(b"")
        text = b"\n".join(lines)
        stored = compressor.compress(text)
        frames.append(
            FrameEntry(
                offset=len(body),
                length=len(stored),
                records=len(lines) - 1,
                raw_bytes=len(text),
                first_key=tuple(first_key.split(SEPARATOR)),
                sha256=hashlib.sha256(stored).hexdigest(),
            )
        )
        body += stored
        if len(body) >= PACK_BYTES:
            break
    if not frames:
        return None
    toc = TableOfContents(
        version=FORMAT_VERSION,
        records=sum(frame.records for frame in frames),
        net=net,
        raw_bytes=sum(frame.raw_bytes for frame in frames),
        last_key=tuple(last_key.split(SEPARATOR)),
        frames=tuple(frames),
    )
    body += encode_table(msgspec.json.encode(toc, order="sorted"))
    return BuiltPack(bytes(body), toc, digest)


def _frames(records: Iterable[Record]) -> Iterator[tuple[list[bytes], str, str, int]]:
    """The lines of each frame with their first key, last key, and what they add to the number of entities."""
    lines: list[bytes] = []
    size_bytes = net = 0
    first_key = ""
    for key, value, line, was in records:
        if not lines:
            first_key = key
        # As `net_of` says; a call here would show in every record's time.
        net += (value is not None) - (was is not None)
        lines.append(line)
        size_bytes += len(line) + 1
        if size_bytes >= FRAME_RAW_BYTES:
            yield lines, first_key, key, net
            lines, size_bytes, net = [], 0, 0
    if lines:
        yield lines, first_key, key, net


def describe(key: str, body: bytes) -> PackRef:
    """The reference of a pack from its bytes, after checking every frame of it. Raises PackCorrupt."""
    toc_offset, toc = _toc_of(key, body)
    for frame in toc.frames:
        _check_frame(key, frame, body[frame.offset : frame.offset + frame.length])
    return PackRef(
        key=key,
        size_bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        toc_offset=toc_offset,
        toc_sha256=hashlib.sha256(body[toc_offset:]).hexdigest(),
        frames=len(toc.frames),
        records=toc.records,
        net=toc.net,
        raw_bytes=toc.raw_bytes,
        first_key=SEPARATOR.join(toc.frames[0].first_key),
        last_key=SEPARATOR.join(toc.last_key),
    )


def lines_of(key: str, body: bytes) -> Iterator[bytes]:
    """The record lines of a pack from its bytes, in order, without line feeds. Raises PackCorrupt."""
    _offset, toc = _toc_of(key, body)
    decompressor = zstandard.ZstdDecompressor()
    for frame in toc.frames:
        yield from _text(key, decompressor, frame, body[frame.offset : frame.offset + frame.length]).split(b"\n")[:-1]


def _digest_of(key: str, body: bytes) -> SetDigest:
    digest = SetDigest()
    for line in lines_of(key, body):
        digest.add(line)
    return digest


RECORDS: Final = PackForm(build_pack, describe, _digest_of)


def check_whole(key: str, body: bytes) -> Iterator[Record]:
    """The records of a pack from its bytes, in order, after holding them against all that its table of contents says.

    Raises PackCorrupt: frames that leave a gap, a record out of form or order, or a number, length or key that is not
    what the table has. The checksums of the frames are those that `describe` looks at.
    """
    toc_offset, toc = _toc_of(key, body)
    decompressor = zstandard.ZstdDecompressor()
    offset = 0
    last_key: str | None = None
    for frame in toc.frames:
        text = _text(key, decompressor, frame, body[frame.offset : frame.offset + frame.length])
        count = 0
        for found in _parsed(key, frame, text, parse_strictly):
            if last_key is not None and found.key <= last_key:
                raise PackCorrupt(f"pack {key} has records out of order in its frame at offset {frame.offset}")
            if not count and found.key != SEPARATOR.join(frame.first_key):
                raise PackCorrupt(f"pack {key} has another first key in its frame at offset {frame.offset}")
            last_key = found.key
            count += 1
            yield found
        if count != frame.records or frame.offset != offset or not text.endswith(b"\n"):
            raise PackCorrupt(f"pack {key} is not what its table of contents says at offset {frame.offset}")
        offset += frame.length
    totals = (offset, sum(one.records for one in toc.frames), sum(one.raw_bytes for one in toc.frames), last_key)
    if totals != (toc_offset, toc.records, toc.raw_bytes, SEPARATOR.join(toc.last_key)):
        raise PackCorrupt(f"pack {key} is not what its table of contents says in all")


def _toc_of(key: str, body: bytes) -> tuple[int, TableOfContents]:
    """Where the table of contents of a whole pack begins, and what it says."""
    toc_offset = find_table(key, body)
    return toc_offset, _decode_toc(key, body[toc_offset:])


def _decode_toc(key: str, frame: bytes) -> TableOfContents:
    try:
        toc = _TOC.decode(text_of_table(key, frame))
    except msgspec.MsgspecError as error:
        raise PackCorrupt(f"the table of contents of pack {key} cannot be read") from error
    if not toc.frames:
        raise PackCorrupt(f"the table of contents of pack {key} is not well formed")
    if toc.version != FORMAT_VERSION:
        raise PackCorrupt(f"pack {key} has format version {toc.version}; this release reads version {FORMAT_VERSION}")
    return toc


def _check_frame(key: str, frame: FrameEntry, stored: bytes) -> None:
    if len(stored) != frame.length or hashlib.sha256(stored).hexdigest() != frame.sha256:
        raise PackCorrupt(f"pack {key} is damaged: its frame at offset {frame.offset} has the wrong length or checksum")


def read_pack(
    payloads: PayloadStore, pack: PackRef, *, from_key: str | None = None, to_key: str | None = None
) -> Iterator[Record]:
    """The records of a pack from `from_key` (inclusive) to `to_key` (exclusive), by ranged reads of only the frames
    that can hold them.

    Every byte used is checked: the table of contents against the reference, the frames against the table. Raises
    PackCorrupt.
    """
    if (to_key is not None and pack.first_key >= to_key) or (from_key is not None and pack.last_key < from_key):
        return
    frames = _frames_between(read_toc(payloads, pack), from_key, to_key)
    yield from _records_between(read_frames(payloads, pack, frames), from_key, to_key)


def read_frames(payloads: PayloadStore, pack: PackRef, frames: Sequence[FrameEntry]) -> Iterator[Record]:
    """The records of frames that follow each other in the pack, by one ranged read; each frame is checked against its
    entry. Raises PackCorrupt.
    """
    offset = frames[0].offset
    body = memoryview(read_range(payloads, pack, offset, frames[-1].offset + frames[-1].length - offset))
    decompressor = zstandard.ZstdDecompressor()
    for frame in frames:
        stored = bytes(body[frame.offset - offset : frame.offset - offset + frame.length])
        _check_frame(pack.key, frame, stored)
        yield from _parsed(pack.key, frame, _text(pack.key, decompressor, frame, stored))


def _records_between(records: Iterator[Record], from_key: str | None, to_key: str | None) -> Iterator[Record]:
    for found in records:
        if to_key is not None and found.key >= to_key:
            return
        if from_key is None or found.key >= from_key:
            yield found


def _text(key: str, decompressor: zstandard.ZstdDecompressor, frame: FrameEntry, stored: bytes) -> bytes:
    if frame.raw_bytes > _MAX_FRAME_RAW_BYTES:
        raise PackCorrupt(f"pack {key} names a frame of {frame.raw_bytes} bytes; none is above {_MAX_FRAME_RAW_BYTES}")
    try:
        text = decompressor.decompress(stored, max_output_size=frame.raw_bytes)
    except zstandard.ZstdError as error:
        raise PackCorrupt(f"pack {key} is damaged: its frame at offset {frame.offset} cannot be unpacked") from error
    if len(text) != frame.raw_bytes:
        raise PackCorrupt(f"pack {key} is damaged: its frame at offset {frame.offset} has the wrong raw length")
    return text


def _parsed(
    key: str, frame: FrameEntry, text: bytes, parse: Callable[[bytes], Iterator[Record]] = parse_lines
) -> Iterator[Record]:
    try:
        yield from parse(text)
    except ValueError as error:
        raise PackCorrupt(
            f"pack {key} cannot be read: its frame at offset {frame.offset} is not record lines"
        ) from error


def read_toc(payloads: PayloadStore, pack: PackRef) -> TableOfContents:
    """A pack's table of contents by one ranged read, checked against the reference. Raises PackCorrupt."""
    return _decode_toc(pack.key, read_table(payloads, pack))


def _frames_between(toc: TableOfContents, from_key: str | None, to_key: str | None) -> list[FrameEntry]:
    """The frames that can hold keys of the range: never empty when the range meets the pack."""
    first_keys = [SEPARATOR.join(frame.first_key) for frame in toc.frames]
    start, stop = 0, len(toc.frames)
    while from_key is not None and start + 1 < stop and first_keys[start + 1] <= from_key:
        start += 1
    while to_key is not None and stop - 1 > start and first_keys[stop - 1] >= to_key:
        stop -= 1
    return list(toc.frames[start:stop])

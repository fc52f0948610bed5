"""Images that are uploaded in parts: where the parts lie, the list that says which there are, and their blocks.

The list of parts, the index, is a text as `sha256sum` prints it: a line `{sha256}  {part}` for each part that was sent,
its number in eight digits. Whoever sends an image PUTs parts and index to addresses that stay good for some time, so
neither is safe from being written again; the copy of the index that counts is filed under its own SHA-256, to which no
address leads, and each part is held against it. Everything is below a prefix that the bucket forgets.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched, islice
from typing import ClassVar, Final

from tidemark.domain.blocks import BLOCK_BYTES, Block, BlockRange
from tidemark.domain.disk_formats import HEAD_BYTES, TAIL_BYTES, other_format
from tidemark.domain.environment import image_owner
from tidemark.domain.upload import PART_BLOCKS, Upload, blocks_of
from tidemark.domain.volume import VolumeSnapshot
from tidemark.engine.blocks.sources import block_of
from tidemark.errors import ImportIncomplete, ImportRefused, ObjectExists, ObjectNotFound
from tidemark.ports import Parallel, PayloadStore, Ports

# As in `engine.transfer.plans`, which would bring with it what unpacks files. No tenant is called so.
IMPORTS: Final = "transfer-imports"
# How many parts are read side by side: what a worker has in memory beside its pack.
_AT_ONCE: Final = 4
# Parts whose numbers have all digits but these in common are found by one listing, as it answers by the thousand.
_DIGITS: Final = 8
_LISTED_DIGITS: Final = 3
_LISTED: Final = 10**_LISTED_DIGITS
# More than a line of the index needs, by far.
_LINE_BYTES: Final = 256
# What is left after this many is left to the bucket's own forgetting.
_REMOVED_AT_MOST: Final = 5000
_LINE: Final = re.compile(rb"([0-9a-f]{64})(?: [ *]|\s+)(?:\S*/)?([0-9]{8})")

type Index = Mapping[int, str]
"""The SHA-256 of each part that was sent, in hexadecimal, by its number."""


def _prefix(snapshot: VolumeSnapshot) -> str:
    return f"{IMPORTS}/{image_owner(snapshot.environment)}/{snapshot.id}/"


def part_key(snapshot: VolumeSnapshot, part: int) -> str:
    """Where a part is stored."""
    return f"{_prefix(snapshot)}parts/{part:0{_DIGITS}d}"


def index_key(snapshot: VolumeSnapshot) -> str:
    """Where the index is stored by whoever sends the image."""
    return f"{_prefix(snapshot)}index"


def _kept_key(snapshot: VolumeSnapshot, sha256: str) -> str:
    return f"{_prefix(snapshot)}index-{sha256}"


def parse_index(text: bytes, upload: Upload) -> Index:
    """The parts that an index names. Raises ImportRefused, naming the line that is wrong."""
    found: dict[int, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            if line.strip():
                raise ImportRefused(
                    f"line {number} of the list of parts is none that sha256sum prints: a SHA-256 in 64 small "
                    f"hexadecimal digits, two spaces, and the number of the part in {_DIGITS} digits"
                )
            continue
        part = int(match[2])
        if part >= upload.parts:
            raise ImportRefused(f"line {number} of the list of parts has part {part}; the image has {upload.parts}")
        if part in found:
            raise ImportRefused(f"line {number} of the list of parts has part {part} a second time")
        found[part] = match[1].decode()
    return found


def sent_index(payloads: PayloadStore, snapshot: VolumeSnapshot, upload: Upload) -> bytes:
    """The index as it was sent. Raises ImportIncomplete, and ImportRefused where it can be none."""
    key = index_key(snapshot)
    try:
        if payloads.head(key).size_bytes > (upload.parts + 1) * _LINE_BYTES:
            raise ImportRefused("the list of parts is longer than that of all parts of the image could be")
        return payloads.get(key)
    except ObjectNotFound:
        raise ImportIncomplete("the list of parts has not arrived; PUT it to its address, then ask again") from None


def keep_index(payloads: PayloadStore, snapshot: VolumeSnapshot, text: bytes) -> str:
    """Store the index so that nobody can write it again; its SHA-256, by which it is found. Can be repeated."""
    sha256 = hashlib.sha256(text).hexdigest()
    with suppress(ObjectExists):
        payloads.put(_kept_key(snapshot, sha256), text)
    return sha256


def kept_index(payloads: PayloadStore, snapshot: VolumeSnapshot, upload: Upload) -> Index:
    """The index that counts. Raises ImportIncomplete where it is gone, ImportRefused where it is another one."""
    sha256 = upload.index_sha256 or ""
    try:
        text = payloads.get(_kept_key(snapshot, sha256))
    except ObjectNotFound:
        raise ImportIncomplete("the list of parts is not there any more; import the image again") from None
    if hashlib.sha256(text).hexdigest() != sha256:
        raise ImportRefused("the list of parts is not the one that was stored; import the image again")
    return parse_index(text, upload)


def arrived(ports: Ports, snapshot: VolumeSnapshot, parts: range) -> Mapping[int, int]:
    """The sizes of those of the parts that are there, by number."""
    if not parts:
        return {}
    thousands = range(parts.start // _LISTED, (parts.stop - 1) // _LISTED + 1)
    prefixes = [f"{_prefix(snapshot)}parts/{one:0{_DIGITS - _LISTED_DIGITS}d}" for one in thousands]
    listed = ports.parallel.map(lambda prefix: list(ports.payloads.list(prefix)), prefixes)
    sizes = {int(one.key[-_DIGITS:]): one.size_bytes for found in listed for one in found}
    return {part: size for part, size in sizes.items() if part in parts}


def check_parts(ports: Ports, snapshot: VolumeSnapshot, upload: Upload, index: Index) -> None:
    """Raises ImportIncomplete, naming the part, unless all parts of the index are there and as long as they must be."""
    sizes = arrived(ports, snapshot, range(upload.parts))
    for part in sorted(index):
        _check_size(upload, part, sizes.get(part))


def check_raw(payloads: PayloadStore, snapshot: VolumeSnapshot, upload: Upload, index: Index) -> None:
    """Raises ImportRefused where the image is of a format that is not raw. Its parts are there."""
    last = upload.parts - 1
    head = payloads.get_range(part_key(snapshot, 0), 0, HEAD_BYTES) if 0 in index else b""
    offset = max(0, upload.bytes_of(last) - TAIL_BYTES)
    tail = payloads.get_range(part_key(snapshot, last), offset, TAIL_BYTES) if last in index else b""
    refused = other_format("what was sent", head, tail)
    if refused is not None:
        raise ImportRefused(refused)


@dataclass(frozen=True, slots=True)
class UploadedParts:
    """The blocks of an uploaded image. `open_index` gives the index, and is asked once for each range."""

    payloads: PayloadStore
    parallel: Parallel
    snapshot: VolumeSnapshot
    upload: Upload
    open_index: Callable[[], Index]
    whole: ClassVar[bool] = True

    def read(self, within: BlockRange) -> Iterator[Block]:
        """See `BlockSource`. Raises ImportIncomplete and ImportRefused, naming the part and its blocks."""
        index = self.open_index()
        wanted = [part for part in self.upload.parts_of(within) if part in index]
        for some in batched(wanted, _AT_ONCE, strict=False):
            bodies = self.parallel.map(lambda part: self._body(part, index[part]), some)
            for part, body in zip(some, bodies, strict=True):
                yield from _blocks(part, body, within)

    def _body(self, part: int, sha256: str) -> bytes:
        try:
            body = self.payloads.get(part_key(self.snapshot, part))
        except ObjectNotFound:
            body = None
        _check_size(self.upload, part, None if body is None else len(body))
        if body is None or hashlib.sha256(body).hexdigest() != sha256:
            raise ImportRefused(f"{_named(part)} has another SHA-256 than the list of parts says; import it again")
        return body


def remove_parts(ports: Ports, snapshot: VolumeSnapshot, upload: Upload, blocks: BlockRange) -> None:
    """Remove the parts of a range that is stored. Can be repeated."""
    ports.parallel.map(
        ports.payloads.delete, [part_key(snapshot, part) for part in arrived(ports, snapshot, upload.parts_of(blocks))]
    )


def remove_all(ports: Ports, snapshot: VolumeSnapshot) -> None:
    """Remove what was uploaded, or a first part of very much: the bucket forgets the rest. Can be repeated."""
    found = [one.key for one in islice(ports.payloads.list(_prefix(snapshot)), _REMOVED_AT_MOST)]
    ports.parallel.map(ports.payloads.delete, found)


def _check_size(upload: Upload, part: int, size_bytes: int | None) -> None:
    wanted = upload.bytes_of(part)
    if size_bytes != wanted:
        found = "is missing" if size_bytes is None else f"has {size_bytes} bytes instead of {wanted}"
        raise ImportIncomplete(f"{_named(part)} {found}; PUT it to its address, then ask again")


def _blocks(part: int, body: bytes, within: BlockRange) -> Iterator[Block]:
    first = part * PART_BLOCKS
    for index in range(max(first, within.start), min(first + PART_BLOCKS, within.stop)):
        held = body[(index - first) * BLOCK_BYTES : (index - first + 1) * BLOCK_BYTES]
        if not held:
            return
        block = block_of(index, held.ljust(BLOCK_BYTES, b"\0"))
        if block.body is not None:
            yield block


def _named(part: int) -> str:
    blocks = blocks_of(part)
    return f"part {part:0{_DIGITS}d} of the image (blocks {blocks.start} to {blocks.stop - 1})"

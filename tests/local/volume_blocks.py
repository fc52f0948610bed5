"""What is in the volumes and snapshots of the pretended EC2: maps of blocks, over one sparse file that keeps the bytes.

A block's bytes are on disk once, whoever has them, so a snapshot is a copy of a map: 4,096 entries for 2 GiB, and not
one byte read. A place in the file is free again when nobody has its block any more.

Source for the size: Amazon EBS User Guide, "Concepts for EBS direct APIs", "Block indexes".
"""

import atexit
import hashlib
import os
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BLOCK_BYTES = 512 * 1024
GIB_BYTES = 1024**3
ZEROS = bytes(BLOCK_BYTES)


class Block:
    """The bytes of one block: their place in the file and their SHA-256."""

    __slots__ = ("__weakref__", "checksum", "free", "place")

    def __init__(self, place: int, checksum: bytes, free: "deque[int]") -> None:
        self.place = place
        self.checksum = checksum
        self.free = free

    def __del__(self) -> None:
        self.free.append(self.place)


class BlockFile:
    """Keeps blocks in a file without a name, which goes with the process."""

    def __init__(self, place: str | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=place or directory())  # noqa: SIM115 - open as long as it is kept
        self._blocks: weakref.WeakValueDictionary[bytes, Block] = weakref.WeakValueDictionary()
        self._free: deque[int] = deque()
        self._end = 0
        self._lock = threading.Lock()

    def keep(self, content: bytes) -> Block:
        """The block of those bytes; written unless it is there already."""
        checksum = hashlib.sha256(content).digest()
        with self._lock:
            found = self._blocks.get(checksum)
            if found is not None:
                return found
            if len(self._free) == self._end:  # nobody has any block, so all of its space is given back
                os.ftruncate(self._file.fileno(), 0)
                self._free.clear()
                self._end = 0
            if not self._free:
                self._free.append(self._end)
                self._end += 1
            made = Block(self._free.popleft(), checksum, self._free)
            os.pwrite(self._file.fileno(), content, made.place * BLOCK_BYTES)
            self._blocks[checksum] = made
            return made

    def read(self, block: Block) -> bytes:
        """The bytes of a block."""
        return os.pread(self._file.fileno(), BLOCK_BYTES, block.place * BLOCK_BYTES)

    @property
    def kept(self) -> int:
        """How many different blocks somebody has."""
        return len(self._blocks)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


def directory() -> str | None:
    """Where large files go for a while: the usual place for temporary ones is memory on some systems."""
    return os.environ.get("TMPDIR") or ("/var/tmp" if Path("/var/tmp").is_dir() else None)


FILE = BlockFile()
atexit.register(FILE.close)


@dataclass
class Content:
    """What a volume or a snapshot holds. Blocks that are not in the map are zeros."""

    lineage: str
    """The volume that it goes back to: only snapshots of one lineage can be compared."""
    blocks: dict[int, Block] = field(default_factory=dict)

    def copy(self) -> "Content":
        """The same content, to be changed by itself."""
        return Content(self.lineage, dict(self.blocks))

    def read(self, index: int) -> bytes:
        """The bytes of one block."""
        block = self.blocks.get(index)
        return ZEROS if block is None else FILE.read(block)

    def read_range(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Any bytes, wherever they are."""
        first, start = divmod(offset_bytes, BLOCK_BYTES)
        last = (offset_bytes + length_bytes - 1) // BLOCK_BYTES
        around = b"".join(self.read(index) for index in range(first, last + 1))
        return around[start : start + length_bytes]

    def put(self, index: int, content: bytes, *, keep_zeros: bool = False) -> None:
        """Set one block. Without `keep_zeros`, one of zeros is as absent as one that was never written."""
        if keep_zeros or content != ZEROS:
            self.blocks[index] = FILE.keep(content)
        else:
            self.blocks.pop(index, None)

    def write(self, offset_bytes: int, content: bytes, *, keep_zeros: bool = False) -> None:
        """Set any bytes, as a disk does."""
        position = 0
        while position < len(content):
            index, start = divmod(offset_bytes + position, BLOCK_BYTES)
            part = content[position : position + BLOCK_BYTES - start]
            if len(part) < BLOCK_BYTES:
                before = self.read(index)
                part = before[:start] + part + before[start + len(part) :]
            self.put(index, part, keep_zeros=keep_zeros)
            position = (index + 1) * BLOCK_BYTES - offset_bytes

    def fill(self, path: Path) -> None:
        """Become what a raw image file holds; holes are skipped, and what is equal is not written again."""
        written = set()
        with path.open("rb") as image:
            for index in written_blocks(image.fileno()):
                content = os.pread(image.fileno(), BLOCK_BYTES, index * BLOCK_BYTES)
                self.put(index, content.ljust(BLOCK_BYTES, b"\0"))
                written.add(index)
        for index in set(self.blocks) - written:
            del self.blocks[index]

    def save(self, path: Path, size_bytes: int) -> None:
        """Write all of it to a new raw file, sparse where nothing is.

        Raises:
            FileExistsError: there is a file: none is written over.
        """
        with path.open("xb") as image:
            image.truncate(size_bytes)
            for index, block in sorted(self.blocks.items()):
                os.pwrite(image.fileno(), FILE.read(block), index * BLOCK_BYTES)


def written_blocks(image: int) -> Iterator[int]:
    """The indexes of a file's blocks that are no holes, in order. The file is named by its descriptor."""
    size_bytes, position = os.fstat(image).st_size, 0
    while position < size_bytes:
        try:
            data = os.lseek(image, position, os.SEEK_DATA)
        except OSError:  # nothing but a hole follows
            return
        hole = os.lseek(image, data, os.SEEK_HOLE)
        first, last = data // BLOCK_BYTES, (hole - 1) // BLOCK_BYTES
        yield from range(max(first, -(-position // BLOCK_BYTES)), last + 1)
        position = (last + 1) * BLOCK_BYTES

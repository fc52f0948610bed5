"""A raw image in memory that is sent in parts, as a client does it."""

import hashlib
from dataclasses import dataclass, field

from tests.unit.volumes.backing import Content, World, body
from tests.unit.volumes.examples import TEST_AREA
from tidemark.domain.blocks import BLOCK_BYTES, SHARD_BLOCKS, digest_of
from tidemark.domain.upload import PART_BLOCKS, PART_BYTES, Upload
from tidemark.domain.volume import VolumeId, VolumeSnapshot
from tidemark.engine.blocks import uploads
from tidemark.ports import Ports
from tidemark.usecases.import_volume_image import Begun, ImageWanted, complete_upload, import_volume_image

# Two shards, the second with one part that is shorter than a block and a half.
SIZE_BYTES = SHARD_BLOCKS * BLOCK_BYTES + BLOCK_BYTES + 1000
LAST_PART = SHARD_BLOCKS // PART_BLOCKS
TAIL = b"the end of it".ljust(1000, b"\1")
HELD: Content = {0: body("zero"), 5: body("five"), SHARD_BLOCKS: body("other")}


@dataclass
class RawFile:
    """What is imported: blocks, and a tail that fills no block."""

    held: Content = field(default_factory=lambda: dict(HELD))
    size_bytes: int = SIZE_BYTES
    tail: bytes = TAIL

    @property
    def content(self) -> Content:
        """What a snapshot of it holds."""
        return {**self.held, SHARD_BLOCKS + 1: self.tail.ljust(BLOCK_BYTES, b"\0")}

    @property
    def digest(self) -> str:
        return digest_of((index, hashlib.sha256(block).digest()) for index, block in self.content.items()).hex

    def part(self, number: int) -> bytes:
        """A part as it is sent."""
        blocks = range(number * PART_BLOCKS, (number + 1) * PART_BLOCKS)
        held = b"".join(self.content.get(index, bytes(BLOCK_BYTES)) for index in blocks)
        return held[: min(PART_BYTES, self.size_bytes - number * PART_BYTES)]

    @property
    def parts(self) -> dict[int, bytes]:
        """Those that are not zeros."""
        numbers = sorted({index // PART_BLOCKS for index in self.content})
        return {number: self.part(number) for number in numbers}


def index_of(parts: dict[int, bytes]) -> bytes:
    """What `sha256sum *` prints of files named by their numbers."""
    lines = [f"{hashlib.sha256(part).hexdigest()}  {number:08d}\n" for number, part in parts.items()]
    return "".join(lines).encode()


def opened(world: World, volume_id: VolumeId | None = None, size_bytes: int = SIZE_BYTES) -> VolumeSnapshot:
    """An import that waits for its parts."""
    return import_volume_image(world.ports, TEST_AREA, ImageWanted(size_bytes, volume_id)).snapshot


def send(ports: Ports, snapshot: VolumeSnapshot, parts: dict[int, bytes], index: bytes | None = None) -> None:
    """What a client PUTs."""
    objects = {uploads.part_key(snapshot, number): part for number, part in parts.items()}
    objects[uploads.index_key(snapshot)] = index_of(parts) if index is None else index
    for key, held in objects.items():
        # Such a PUT writes over what is there.
        ports.payloads.delete(key)
        ports.payloads.put(key, held)


def begun(world: World, file: RawFile, volume_id: VolumeId | None = None, digest: str | None = None) -> Begun:
    """An import all of whose parts have arrived, and that was said of it."""
    snapshot = opened(world, volume_id)
    send(world.ports, snapshot, file.parts)
    return complete_upload(world.ports, TEST_AREA, snapshot.id, digest=digest or file.digest)


def left_of(world: World) -> list[str]:
    """What is left of what was uploaded."""
    return [one.key for one in world.ports.payloads.list(f"{uploads.IMPORTS}/")]


def upload_of(snapshot: VolumeSnapshot) -> Upload:
    assert snapshot.uploaded is not None
    return snapshot.uploaded

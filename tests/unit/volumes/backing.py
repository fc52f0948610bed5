"""An environment with a volume in memory, and what the state machine of a backup does, step by step."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import inf
from typing import Self

from tests.fakes import ManualClock, MemoryDisks, memory_ports
from tests.fakes.copying import copied
from tests.unit.blocks import imaging
from tests.unit.engine.disturbed import Counter, Numbered
from tests.unit.volumes.examples import TEST_AREA, environment
from tidemark.domain.blocks import SHARD_BLOCKS, ZEROS
from tidemark.domain.snapshot import Failure
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotId, volume_id
from tidemark.engine import manifests
from tidemark.engine.blocks import images
from tidemark.errors import TidemarkError
from tidemark.ports import Ports
from tidemark.ports.volumes import Region
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot
from tidemark.usecases.volume_phases import backup

REGION = "eu-west-1"
SIZE_GIB = 3
OTHER_SHARD = 4100
type Content = dict[int, bytes]

body = lru_cache(maxsize=64)(imaging.body)
FIRST = {0: body(0), 7: body(7), OTHER_SHARD: body(1)}


@dataclass
class World:
    """`source_id` is the volume as EC2 knows it."""

    disks: MemoryDisks = field(default_factory=MemoryDisks)
    ports: Ports = field(default_factory=memory_ports)
    source_id: str = ""

    def __post_init__(self) -> None:
        self.ports = replace(self.ports, region=lambda _name: self.disks.region)
        self.ports.volumes.add_environment(environment(region=REGION))
        self.source_id = self.disks.add_volume(SIZE_GIB, FIRST, {"Environment": "test_area", "Name": "foo"})

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Another world in the state of this one."""
        other = copy.copy(self)
        memo[id(self)] = other
        other.__dict__.update(copied(self.__dict__, memo))
        other.ports = replace(other.ports, region=lambda _name: other.disks.region)
        return other

    @property
    def held(self) -> Content:
        """What the volume holds now."""
        return self.disks.content[self.source_id]

    def change(self, **blocks: bytes | None) -> None:
        """Write to the volume: `b7=...`."""
        for name, content in blocks.items():
            index = int(name.removeprefix("b"))
            if content is None:
                self.held.pop(index, None)
            else:
                self.held[index] = content

    def ask(self, *, keeps_source: bool = False) -> VolumeSnapshotId:
        """The id of a snapshot that was asked for."""
        assert isinstance(self.ports.clock, ManualClock)
        self.ports.clock.advance(1)
        wanted = Wanted(volume_id(REGION, self.source_id), keeps_source=keeps_source)
        return create_volume_snapshot(self.ports, TEST_AREA, wanted).snapshot_id

    def take(self, *, keeps_source: bool = False) -> VolumeSnapshot:
        """A snapshot, made from the beginning to the end."""
        return run(self.ports, self.ask(keeps_source=keeps_source))

    def record(self, snapshot_id: str) -> VolumeSnapshot:
        return self.ports.volumes.volume_snapshot(TEST_AREA, snapshot_id)

    def content(self, snapshot: VolumeSnapshot) -> Content:
        """What a snapshot holds."""
        assert snapshot.image is not None
        manifest = manifests.read(self.ports.payloads, snapshot.image.manifest)
        return {one.index: one.body or ZEROS for one in images.read_image(self.ports, manifest)}

    def numbered(self, counter: Counter) -> Ports:
        """The ports, whose calls are numbered and disturbed."""
        region = Region(Numbered(self.disks, counter), Numbered(self.disks, counter))
        return replace(
            self.ports,
            volumes=Numbered(self.ports.volumes, counter),
            catalog=Numbered(self.ports.catalog, counter),
            payloads=Numbered(self.ports.payloads, counter),
            workflows=Numbered(self.ports.workflows, counter),
            region=lambda _name: region,
        )

    def nothing_is_left(self, *kept: str | None) -> None:
        """EC2 has no snapshot but those that are to be kept, and no snapshot is in use."""
        assert set(self.disks.held) == set(kept)
        for one in self.ports.volumes.volume_snapshots(TEST_AREA):
            assert isinstance(one, VolumeSnapshot)
            assert not one.used_by, one
            assert not one.running, one


def run(
    ports: Ports, snapshot_id: str, pending: Callable[[], object] = lambda: None, *, budget_s: float = inf
) -> VolumeSnapshot:
    """What the state machine does; `pending` is called while EC2's snapshot is not completed. A call that copies may
    take `budget_s`.
    """
    try:
        backup.begin(ports, TEST_AREA, snapshot_id)
        while not (awaited := backup.await_source(ports, TEST_AREA, snapshot_id)).ready:
            pending()
        if not awaited.over:
            for shard in awaited.shards:
                copy_whole(ports, snapshot_id, shard, budget_s)
            for shard in backup.seal(ports, TEST_AREA, snapshot_id):
                backup.read_back(ports, TEST_AREA, snapshot_id, shard=shard)
        return backup.finish(ports, TEST_AREA, snapshot_id)
    except TidemarkError as error:
        return backup.abort(ports, TEST_AREA, snapshot_id, Failure(error.code, error.message))


def copy_whole(ports: Ports, snapshot_id: str, shard: int, budget_s: float = inf) -> list[int]:
    """Copy a range by as many calls as that takes; where each began."""
    place, begun = shard * SHARD_BLOCKS, list[int]()
    done = False
    while not done:
        begun.append(place)
        done, place, _ = backup.copy_range(ports, TEST_AREA, snapshot_id, shard=shard, place=place, budget_s=budget_s)
    return begun

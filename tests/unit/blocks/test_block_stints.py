"""A worker that copies blocks hands over when its time is over; the shard is the same, and no block is read twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from tests.unit.blocks.imaging import IMAGE, TENANT, Imaging, body, nothing
from tidemark.domain.blocks import BLOCK_BYTES, ZEROS, Block, BlockRange
from tidemark.domain.manifest import LayerKind, ShardManifest
from tidemark.domain.snapshot import CaptureId
from tidemark.engine.blocks.capture import BlockSource, ShardCut, Stint, Unfinished, copy_in_time, copy_shard
from tidemark.engine.blocks.images import read_range
from tidemark.engine.blocks.sources import block_of

RANGE = IMAGE.range_of(0)
FIRST = {0: body(0), 3: body(3), 5: body(5), 200: body(200), 300: body(300), 4000: body(4000)}
# One is new, one is another, two are gone, one of them behind the last that is there.
SECOND = {0: body(0), 1: body("new"), 3: body("other"), 5: body(5), 300: body(300)}


@dataclass
class Held:
    """A volume that holds these blocks, zeros among them where they were written, and what of it was looked at."""

    content: dict[int, bytes]
    whole: bool = True
    looked_at: list[int] = field(default_factory=list)

    def read(self, within: BlockRange) -> Iterator[Block]:
        for index, content in sorted(self.content.items()):
            if within.start <= index < within.stop:
                self.looked_at.append(index)
                yield block_of(index, content)


@dataclass
class Shard:
    """The first shard of a volume, that was stored once."""

    imaging: Imaging = field(default_factory=Imaging)
    base: ShardManifest | None = None

    def cut(self, name: str) -> ShardCut:
        return ShardCut(TENANT, CaptureId(name), 0, RANGE, self.base)

    def stored(self, source: BlockSource, name: str = "c1") -> ShardManifest:
        return copy_shard(self.imaging.ports, self.cut(name), source, nothing)

    def stints(
        self, source: BlockSource, spent: Callable[[], bool], name: str = "c1"
    ) -> tuple[ShardManifest, list[int]]:
        """The shard, stored by as many workers as that takes, and where each began."""
        place, begun = 0, list[int]()
        while True:
            begun.append(place)
            copied = copy_in_time(self.imaging.ports, self.cut(name), source, nothing, Stint(place, spent))
            if not isinstance(copied, Unfinished):
                return copied, begun
            place = copied.place

    def content(self, shard: ShardManifest) -> dict[int, bytes]:
        return {one.index: one.body or ZEROS for one in read_range(self.imaging.ports, shard, RANGE)}


def at_once() -> bool:
    return True


def after_each(count: int) -> Callable[[], bool]:
    """Time that is over after so many looks at it."""
    looks = iter(range(1, 10_000))
    return lambda: next(looks) % count == 0


@pytest.fixture
def shard() -> Shard:
    found = Shard()
    return replace(found, base=found.stored(Held(FIRST), "c0"))


@pytest.mark.parametrize("spent", [at_once, after_each(2), after_each(3), after_each(4)])
def test_shard_is_the_same_however_many_workers_stored_it(shard: Shard, spent: Callable[[], bool]) -> None:
    source = Held(SECOND)
    copied, begun = shard.stints(source, spent)
    assert shard.content(copied) == SECOND
    whole = Shard()
    at_one_go = replace(whole, base=whole.stored(Held(FIRST), "c0")).stored(Held(SECOND))
    assert (copied.digest, copied.records) == (at_one_go.digest, at_one_go.records)
    assert len(begun) > 1
    assert source.looked_at == sorted(SECOND)


def test_blocks_that_do_not_differ_are_looked_at_once_though_they_leave_no_pack(shard: Shard) -> None:
    source = Held(FIRST)
    copied, begun = shard.stints(source, at_once)
    assert copied == shard.base
    assert source.looked_at == sorted(FIRST)
    assert begun == [0, *(index + 1 for index in sorted(FIRST))]


def test_worker_that_stops_takes_no_block_behind_it_for_gone(shard: Shard) -> None:
    stopped = copy_in_time(shard.imaging.ports, shard.cut("c1"), Held(SECOND), nothing, Stint(0, after_each(3)))
    assert stopped == Unfinished(4)
    source = Held(SECOND)
    copied = copy_in_time(shard.imaging.ports, shard.cut("c1"), source, nothing, Stint(4, lambda: False))
    assert isinstance(copied, ShardManifest)
    assert shard.content(copied) == SECOND
    assert source.looked_at == [5, 300]


def test_zeros_that_were_written_take_time_too(shard: Shard) -> None:
    written = dict.fromkeys(range(10), ZEROS)
    source = Held(written)
    copied, begun = shard.stints(source, at_once)
    assert shard.content(copied) == {}
    assert begun[:10] == list(range(10))


def test_what_changed_is_told_to_several_workers(shard: Shard) -> None:
    source = Held({1: body("new"), 3: body("other"), 200: ZEROS, 4000: ZEROS}, whole=False)
    copied, begun = shard.stints(source, at_once)
    assert shard.content(copied) == SECOND
    assert begun == [0, 2, 4, 201, 4001, 4096]


def test_late_worker_with_an_older_place_adopts_what_others_stored(shard: Shard) -> None:
    for place in (0, 1, 2):
        copy_in_time(shard.imaging.ports, shard.cut("c1"), Held(SECOND), nothing, Stint(place, at_once))
    packs = {key for key in shard.imaging.payloads.objects if key.endswith(".pack")}
    # It began when the first one did, and comes only now.
    copied = copy_in_time(shard.imaging.ports, shard.cut("c1"), Held(SECOND), nothing, Stint(0, lambda: False))
    assert isinstance(copied, ShardManifest)
    assert shard.content(copied) == SECOND
    assert packs < set(shard.imaging.payloads.objects)
    again = copy_in_time(shard.imaging.ports, shard.cut("c1"), Held({}), nothing, Stint(4, at_once))
    assert again == copied


def test_layers_are_merged_by_a_worker_of_their_own(shard: Shard) -> None:
    # The delta below the one that is stored is larger than a part of its base, so that is made anew.
    larger = replace(shard, base=shard.stored(Held({**FIRST, **{index: body(index) for index in range(7, 13)}}), "c1"))
    looks: list[bool] = []

    def spent() -> bool:
        looks.append(True)
        return len(looks) > 1

    source = Held({7: body("seven")}, whole=False)
    stopped = copy_in_time(larger.imaging.ports, larger.cut("c2"), source, nothing, Stint(0, spent))
    assert stopped == Unfinished(RANGE.stop)
    merged = copy_in_time(larger.imaging.ports, larger.cut("c2"), source, nothing, Stint(RANGE.stop, at_once))
    assert isinstance(merged, ShardManifest)
    assert [(layer.kind, layer.capture_id) for layer in merged.layers] == [
        (LayerKind.BASE, "c2"),
        (LayerKind.DELTA, "c2"),
    ]
    assert larger.content(merged)[7] == body("seven")
    assert source.looked_at == [7]
    assert merged.layers[1].raw_bytes == BLOCK_BYTES

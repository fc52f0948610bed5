"""Collections of images are killed at any of their calls, or meet backups and deletions at any of them, or these them:
each stored snapshot verifies byte by byte, and in the end nothing stays that nobody needs.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial

import pytest

from tests.fakes.copying import copied
from tests.simulation.scheduler import Scheduler, Stepped
from tests.unit.blocks.imaging import small
from tests.unit.engine.disturbed import Counter, Death
from tests.unit.volumes.backing import REGION, Content, World, run
from tests.unit.volumes.examples import TEST_AREA
from tests.unit.volumes.keeping import (
    GIVEN_UP,
    all_whole,
    fail_after_storing,
    keys_of,
    needed,
    nothing_but_what_is_needed,
    snapshots_of,
)
from tests.unit.volumes.test_volume_backup_crashes import Asking, Interrupted
from tidemark.domain.volume import VolumeSnapshotId, volume_id
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.errors import TidemarkError, VolumeSnapshotNotFound
from tidemark.ports import Ports
from tidemark.ports.volumes import Region
from tidemark.usecases.collect_images import collect_images
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.volume_phases import backup
from tidemark.usecases.volume_phases.lifecycle import ENVIRONMENT_TAG, SNAPSHOT_TAG

dying = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
SEEDS = range(24)


class Kept:
    """A volume with a snapshot that is stored upon one that is deleted, one that failed, and one that was asked for.
    `moments` are what it held.
    """

    def __init__(self) -> None:
        self.world = World()
        self.world.held.clear()
        self.world.change(b0=small(0), b7=small(7), b4100=small(1))
        self.moments = [dict(self.world.held)]
        first = self.world.take()
        self.write(1)
        failed = fail_after_storing(self.world)
        # A process that died has left it.
        tags = {ENVIRONMENT_TAG: TEST_AREA, SNAPSHOT_TAG: failed}
        self.world.disks.create_snapshot(self.world.source_id, description="", tags=tags)
        self.write(2)
        self.newest = self.world.take()
        delete_volume_snapshot(self.world.ports, TEST_AREA, first.id)
        self.write(3)
        self.asked = self.world.ask()

    def write(self, value: int) -> None:
        self.world.change(b7=small(f"value {value}"))
        self.moments.append(dict(self.world.held))

    def whole(self) -> None:
        all_whole(self.world, *self.moments)

    def settle(self) -> None:
        """Whatever runs comes to an end, and what a last collection leaves is what is needed."""
        self.whole()
        for one in snapshots_of(self.world):
            if one.running:
                run(self.world.ports, one.id)
        self.whole()
        nothing_but_what_is_needed(self.world)
        self.whole()
        assert self.world.disks.held == {}


@cache
def made() -> Kept:
    return Kept()


def kept_world() -> Kept:
    return copied(made())


def calls_of_a_collection() -> range:
    counter = Counter()
    collected(kept_world().world.numbered(counter))
    return range(1, counter.calls + 1)


def calls_of_a_backup() -> range:
    counter, kept = Counter(), kept_world()
    run(kept.world.numbered(counter), kept.asked)
    return range(1, counter.calls + 1)


def collected(ports: Ports) -> None:
    collect_images(ports, TEST_AREA)


@dying
def test_collection_is_made_up_for_when_it_died_at_any_call(after: bool) -> None:
    for fatal in calls_of_a_collection():
        kept = kept_world()
        with pytest.raises(Death):
            collected(kept.world.numbered(Counter(fatal, after=after)))
        kept.whole()
        kept.settle()
        made = kept.world.record(kept.asked)
        assert (made.state, kept.world.content(made)) == (State.STORED, kept.moments[-1]), fatal


def backed_up(kept: Kept) -> None:
    assert run(kept.world.ports, kept.asked).state is State.STORED


def begun(kept: Kept) -> None:
    """A backup gets as far as having stored its shards, upon the newest snapshot."""
    backup.begin(kept.world.ports, TEST_AREA, kept.asked)
    for shard in backup.await_source(kept.world.ports, TEST_AREA, kept.asked).shards:
        backup.copy_range(kept.world.ports, TEST_AREA, kept.asked, shard=shard)


def replaced(kept: Kept) -> None:
    """A backup comes to its end, and what it was stored upon is deleted."""
    backed_up(kept)
    delete_volume_snapshot(kept.world.ports, TEST_AREA, kept.newest.id)


def deleted(kept: Kept) -> None:
    """What a backup would be stored upon is deleted before, so that it is a full copy."""
    delete_volume_snapshot(kept.world.ports, TEST_AREA, kept.newest.id)
    backed_up(kept)


def given_up(kept: Kept) -> None:
    begun(kept)
    backup.abort(kept.world.ports, TEST_AREA, kept.asked, GIVEN_UP)


def registered(kept: Kept) -> None:
    """A snapshot is asked for that the collection may not have met, and is stored."""
    world = kept.world
    other = world.disks.add_volume(3, {0: small("other")}, {"Environment": "test_area", "Name": "bar"})
    kept.moments.append(dict(world.disks.content[other]))
    task = create_volume_snapshot(world.ports, TEST_AREA, Wanted(volume_id(REGION, other)))
    assert run(world.ports, task.snapshot_id).state is State.STORED


def collected_beside(kept: Kept) -> None:
    """Another collection deletes what became garbage just now."""
    replaced(kept)
    collected(kept.world.ports)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("meanwhile", [backed_up, begun, replaced, deleted, given_up, registered, collected_beside])
def test_nothing_that_is_needed_goes_when_anything_happens_at_any_call_of_a_collection(
    meanwhile: Callable[[Kept], None], late: bool
) -> None:
    for at in calls_of_a_collection():
        kept = kept_world()
        disturbed = kept.world.numbered(Interrupted(at, partial(meanwhile, kept), late=late))
        # Where another collection was faster with a manifest, this one finds nothing to judge by, and deletes nothing.
        collect_images(disturbed, TEST_AREA)
        kept.settle()


def test_nothing_that_is_needed_goes_when_a_collection_happens_at_any_call_of_a_backup() -> None:
    for late in (False, True):
        for at in calls_of_a_backup():
            kept = kept_world()
            disturbed = kept.world.numbered(Interrupted(at, partial(collected, kept.world.ports), late=late))
            made = run(disturbed, kept.asked)
            assert (made.state, kept.world.content(made)) == (State.STORED, kept.moments[-1]), at
            kept.settle()


@dying
def test_backup_that_died_at_any_call_is_driven_on_after_a_collection(after: bool) -> None:
    for fatal in calls_of_a_backup():
        kept = kept_world()
        with pytest.raises(Death):
            run(kept.world.numbered(Counter(fatal, after=after)), kept.asked)
        report = collect_images(kept.world.ports, TEST_AREA)
        assert report.problems == ()
        kept.settle()
        assert kept.world.record(kept.asked).state is State.STORED, fatal


class Interleaved:
    """Backups of two volumes, deletions, writers and collections, of which the seed says who makes the next call."""

    def __init__(self, seed: int) -> None:
        self.kept = kept_world()
        self.world = self.kept.world
        self.random = random.Random(seed)
        self.scheduler = Scheduler(seed)
        self.other = self.world.disks.add_volume(3, {0: small("other")}, {"Environment": "test_area", "Name": "bar"})
        self.kept.moments.append(dict(self.world.disks.content[self.other]))

    def ports(self) -> Ports:
        base, scheduler = self.world.ports, self.scheduler
        region = Region(Stepped(self.world.disks, scheduler), Stepped(self.world.disks, scheduler))
        return replace(
            base,
            volumes=Stepped(base.volumes, scheduler),
            catalog=Stepped(base.catalog, scheduler),
            payloads=Stepped(base.payloads, scheduler),
            workflows=Stepped(base.workflows, scheduler),
            region=lambda _name: region,
        )

    def writer(self) -> None:
        for number in range(4):
            self.scheduler.pause("write")
            for source_id in (self.world.source_id, self.other):
                content: Content = self.world.disks.content[source_id]
                content[number] = small((source_id, number))
                self.kept.moments.append(dict(content))

    def backup(self, source_id: str, rounds: int) -> Callable[[], None]:
        def act() -> None:
            for _ in range(rounds):
                with suppress(TidemarkError):
                    self._fated()
                    task = create_volume_snapshot(self.ports(), TEST_AREA, Wanted(volume_id(REGION, source_id)))
                    run(self.ports(), task.snapshot_id)

        return act

    def runs_asked(self) -> None:
        self._fated()
        # It may be forgotten by the time that this run looks for it.
        with suppress(VolumeSnapshotNotFound):
            run(self.ports(), self.kept.asked)

    def aborts_asked(self) -> None:
        for _ in range(self.random.randrange(40)):
            self.scheduler.pause("wait")
        with suppress(VolumeSnapshotNotFound):
            backup.abort(self.ports(), TEST_AREA, self.kept.asked, GIVEN_UP)

    def deleter(self) -> None:
        for _ in range(5):
            with self.scheduler.unseen():
                ids = [VolumeSnapshotId(one.id) for one in snapshots_of(self.world) if one.state is not State.DELETED]
            with suppress(TidemarkError):
                delete_volume_snapshot(self.ports(), TEST_AREA, self.random.choice([*ids, self.kept.asked]))

    def collector(self) -> None:
        for _ in range(3):
            self._fated()
            collect_images(self.ports(), TEST_AREA)

    def _fated(self) -> None:
        """Perhaps the process dies on its way."""
        if self.random.random() < 0.3:
            self.scheduler.kill(self.random.randrange(1, 60), after=self.random.random() < 0.5)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_stored_snapshot_is_whole_whoever_makes_the_next_call(seed: int) -> None:
    run_of = Interleaved(seed)
    run_of.scheduler.run(
        {
            "writer": run_of.writer,
            "backup": run_of.backup(run_of.other, 3),
            "asked": run_of.runs_asked,
            "asked again": run_of.runs_asked,
            "asked later": run_of.backup(run_of.world.source_id, 2),
            "abort": run_of.aborts_asked,
            "deletes": run_of.deleter,
            "deletes too": run_of.deleter,
            "collects": run_of.collector,
            "collects too": run_of.collector,
        }
    )
    assert run_of.scheduler.errors == {}
    world = run_of.world
    run_of.kept.whole()
    assert needed(world) <= keys_of(world)
    run_of.kept.settle()


def test_snapshot_of_ec2s_is_taken_back_where_its_record_is_forgotten_meanwhile() -> None:
    world = World()
    snapshot_id = world.ask()

    def forgotten() -> None:
        backup.abort(world.ports, TEST_AREA, snapshot_id, GIVEN_UP)
        delete_volume_snapshot(world.ports, TEST_AREA, snapshot_id)
        assert collect_images(world.ports, TEST_AREA).purged == 1

    region = world.ports.region(REGION)
    slow = Region(Asking(region.disks, forgotten), region.blocks)
    with pytest.raises(VolumeSnapshotNotFound):
        backup.begin(replace(world.ports, region=lambda _name: slow), TEST_AREA, snapshot_id)
    assert world.disks.held == {}

"""Verification and scrub read images of volumes back block by block, say on which snapshots they found damage, and no
snapshot is stored upon one that is damaged.
"""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.driving import key, put
from tests.fakes import ManualClock, MemoryPayloads
from tests.unit.engine.disturbed import Counter as Calls
from tests.unit.engine.disturbed import Death
from tests.unit.test_scrub import Slow
from tests.unit.volumes.backing import World, body
from tests.unit.volumes.examples import TEST_AREA
from tests.unit.volumes.keeping import OWNER, damage, manifest_of, objects_of, three
from tidemark.domain.snapshot import Failure, Scope
from tidemark.domain.tenant import Tenant
from tidemark.domain.volume import VolumeSnapshot
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.engine.blocks.packs import read_blocks_of
from tidemark.errors import ManifestCorrupt, ObjectNotFound, PackCorrupt, VolumeSnapshotNotFound, WrongState
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.scrub import Damage, Scrubbed, scrub
from tidemark.usecases.snapshot_owners import owner_named
from tidemark.usecases.verify_volume_snapshot import list_packs, record, verify_shard
from tidemark.usecases.volume_phases import backup

DAYS = 3
DAY_S = 24 * 3600.0


@pytest.fixture
def world() -> World:
    return World()


def verify(world: World, snapshot: VolumeSnapshot) -> VolumeSnapshot:
    """What the state machine of a verification does."""
    owner, checked, failure = owner_named(world.ports, OWNER), [], None
    try:
        checked += [owner.verify_shard(snapshot.id, shard) for shard in owner.list_packs(snapshot.id)]
    except (ManifestCorrupt, PackCorrupt) as error:
        failure = Failure(error.code, error.message)
    assert owner.record(snapshot.id, () if failure else checked, Scope.FULL, failure)
    return world.record(snapshot.id)


def pass_a_day(world: World) -> None:
    assert isinstance(world.ports.clock, ManualClock)
    world.ports.clock.advance(DAY_S)


def scrub_all(world: World) -> list[Scrubbed]:
    """Scrubs of each pack."""
    runs = []
    for _ in range(DAYS):
        runs.append(scrub(world.ports, days=DAYS, budget_s=1e9))
        assert runs[-1].done
        pass_a_day(world)
    return runs


def damage_of(runs: list[Scrubbed]) -> list[Damage]:
    return [one for run in runs for one in run.damage]


def test_image_is_verified_shard_by_shard_and_the_result_is_on_its_record(world: World) -> None:
    *_, newest = three(world)
    assert list_packs(world.ports, TEST_AREA, newest.id) == [0, 1]
    assert verify_shard(world.ports, TEST_AREA, newest.id, shard=0).packs == 3
    found = verify(world, newest).verification
    assert found is not None
    assert newest.image is not None
    assert (found.ok, found.scope, found.checked_packs) == (True, Scope.FULL, 4)
    assert found.checked_bytes == newest.image.stored_bytes
    assert replace(world.record(newest.id), verification=None, version=newest.version) == newest


def test_scrub_reads_each_pack_of_an_image_once_within_the_days_and_notes_it(world: World) -> None:
    snapshots = three(world)
    runs = scrub_all(world)
    packs = {pack.key for one in snapshots for pack in manifest_of(world, one).packs}
    assert sum(run.packs for run in runs) == len(packs) == 4
    assert damage_of(runs) == []
    for snapshot in snapshots:
        found = world.record(snapshot.id).verification
        assert found is not None
        assert (found.ok, found.scope) == (True, Scope.SAMPLE)


def test_damaged_block_is_named_with_the_environment_and_every_snapshot_that_needs_it(world: World) -> None:
    first, *others = three(world)
    pack = manifest_of(world, first).packs[0]
    entry = read_blocks_of(world.ports.payloads, pack)[1]
    stored = bytearray(objects_of(world)[pack.key])
    stored[entry.offset + entry.length - 1] ^= 1
    objects_of(world)[pack.key] = bytes(stored)
    (found,) = damage_of(scrub_all(world))
    assert found.failure.code == "PackCorrupt"
    assert found.failure.message.startswith(f"block 7 in pack {pack.key} is damaged")
    assert (found.owner, set(found.snapshot_ids)) == (OWNER, {one.id for one in (first, *others)})
    for snapshot in (first, *others):
        noted = world.record(snapshot.id).verification
        assert noted is not None
        assert (noted.ok, noted.failure) == (False, found.failure)
        again = verify(world, snapshot).verification
        assert again is not None
        assert (again.failure, again.scope) == (found.failure, Scope.FULL)


def test_what_is_wrong_with_a_pack_but_with_no_block_is_said_of_the_pack(world: World) -> None:
    snapshot = world.take()
    pack = manifest_of(world, snapshot).packs[0]
    objects_of(world)[pack.key] += b"\0"
    found = verify(world, snapshot).verification
    assert found is not None
    assert found.failure is not None
    assert found.failure.message.startswith(f"pack {pack.key} is damaged: it has")


@pytest.mark.parametrize("where", ["image", "manifest"])
def test_manifest_that_its_record_does_not_describe_is_damage_every_day(world: World, where: str) -> None:
    snapshot = world.take()
    assert snapshot.image is not None
    if where == "image":
        other = replace(snapshot, image=replace(snapshot.image, digest="0" * 64))
        snapshot = world.ports.volumes.replace_volume_snapshot(other)
    else:
        objects_of(world)[f"{OWNER}/manifests/{snapshot.id}.json.zst"] += b"\0"
    found = damage_of(scrub_all(world))
    assert [(one.failure.code, one.snapshot_ids) for one in found] == [("ManifestCorrupt", (snapshot.id,))] * DAYS
    with pytest.raises(ManifestCorrupt):
        list_packs(world.ports, TEST_AREA, snapshot.id)


def test_next_snapshot_is_stored_upon_the_newest_of_which_nothing_is_damaged(world: World) -> None:
    first, second, third = three(world)
    damage(world, third)
    assert {one for found in damage_of(scrub_all(world)) for one in found.snapshot_ids} == {third.id}
    world.change(b0=body("later"))
    fourth = world.take()
    assert (fourth.state, fourth.parent_id) == (State.STORED, second.id)
    assert world.content(fourth) == world.held
    assert verify(world, fourth).verification == world.record(fourth.id).verification
    assert world.record(first.id).verification is not None


def test_next_snapshot_is_a_full_copy_where_a_pack_of_all_is_damaged_until_it_is_whole_again(world: World) -> None:
    first, *_ = three(world)
    before = dict(objects_of(world))
    damage(world, first)
    scrub_all(world)
    whole = world.take()
    assert (whole.state, whole.parent_id) == (State.STORED, None)
    assert whole.image is not None
    assert whole.image.new_bytes == whole.image.stored_bytes
    delete_volume_snapshot(world.ports, TEST_AREA, whole.id)
    objects_of(world).update(before)
    # A good sample is no proof that what was damaged is not.
    scrub_all(world)
    assert world.take().parent_id is None
    world.ports.clock.sleep(1)
    assert verify(world, world.record(first.id)).verification.ok  # type: ignore[union-attr]
    for one in [one for one in list(world.ports.volumes.volume_snapshots(TEST_AREA)) if one.id != first.id]:
        if isinstance(one, VolumeSnapshot) and one.state is State.STORED:
            delete_volume_snapshot(world.ports, TEST_AREA, one.id)
    assert world.take().parent_id == first.id


def test_snapshot_that_another_one_failed_for_is_built_upon_once_it_was_verified_as_a_whole(world: World) -> None:
    first = world.take()
    before = dict(objects_of(world))
    damage(world, first)
    failed = world.take()
    assert (failed.state, failed.parent_id) == (State.FAILED, first.id)
    objects_of(world).update(before)
    assert isinstance(world.ports.clock, ManualClock)
    world.ports.clock.advance(1)
    verify(world, first)
    assert world.take().parent_id == first.id


def test_good_sample_is_no_proof_that_a_snapshot_which_another_one_failed_for_is_whole(world: World) -> None:
    first = world.take()
    before = dict(objects_of(world))
    damage(world, first)
    world.take()
    objects_of(world).update(before)
    pass_a_day(world)
    scrub_all(world)
    assert world.record(first.id).verification is not None
    assert world.take().parent_id is None


def test_snapshot_fails_whose_parent_is_found_damaged_while_it_is_stored_and_the_next_one_is_whole(
    world: World,
) -> None:
    first = world.take()
    snapshot_id = world.ask()
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    for shard in backup.await_source(world.ports, TEST_AREA, snapshot_id).shards:
        backup.copy_range(world.ports, TEST_AREA, snapshot_id, shard=shard)
    assert world.record(snapshot_id).parent_id == first.id
    shards = backup.seal(world.ports, TEST_AREA, snapshot_id)
    packs = damage(world, first)
    assert scrub(world.ports, days=1, budget_s=60).damage
    for shard in shards:
        backup.read_back(world.ports, TEST_AREA, snapshot_id, shard=shard)
    with pytest.raises(PackCorrupt) as refused:
        backup.finish(world.ports, TEST_AREA, snapshot_id)
    failure = Failure(refused.value.code, refused.value.message)
    failed = backup.abort(world.ports, TEST_AREA, snapshot_id, failure)
    assert failed.failure is not None
    assert (failed.state, failed.failure.code) == (State.FAILED, "PackCorrupt")
    assert any(pack in failed.failure.message for pack in packs)
    whole = world.take()
    assert (whole.state, whole.parent_id) == (State.STORED, None)
    assert world.content(whole) == world.held


def test_pack_that_went_with_its_last_snapshot_is_no_damage(world: World) -> None:
    """The collector may remove a deleted snapshot's packs while a scrub that saw it before is about to read them."""

    class Collected(MemoryPayloads):
        def get(self, key: str) -> bytes:
            if key.endswith(".pack"):
                if world.record(snapshot.id).state is State.STORED:
                    delete_volume_snapshot(world.ports, TEST_AREA, snapshot.id)
                raise ObjectNotFound(key)
            return super().get(key)

    snapshot = world.take()
    gone = Collected()
    gone.objects = objects_of(world)
    run = scrub(replace(world.ports, payloads=gone), days=1, budget_s=60)
    assert (run.packs, run.damage) == (2, [])
    assert world.record(snapshot.id).verification is None


def test_only_stored_snapshots_are_verified(world: World) -> None:
    snapshot_id = world.ask()
    for call in (list_packs, lambda *asked: verify_shard(*asked, shard=0)):
        with pytest.raises(WrongState):
            call(world.ports, TEST_AREA, snapshot_id)
        with pytest.raises(VolumeSnapshotNotFound):
            call(world.ports, TEST_AREA, "nobody")
    assert record(world.ports, TEST_AREA, snapshot_id).verification is None
    assert scrub(world.ports, days=1, budget_s=60).packs == 0


def test_scrub_goes_through_tenants_and_environments_and_reads_each_pack_once_however_often_it_stops() -> None:
    class Counting(MemoryPayloads):
        def __init__(self) -> None:
            super().__init__()
            self.reads: Counter[str] = Counter()

        def get(self, key: str) -> bytes:
            self.reads[key] += 1
            return super().get(key)

    payloads = Counting()
    world = World()
    world.ports = replace(world.ports, payloads=payloads)
    # One before the environment in their order, and one behind it.
    for tenant in (Tenant("smartcity"), Tenant("zagreb")):
        put(world.ports, {key(number): number for number in range(8)}, tenant)
        create_snapshot(world.ports, tenant)
    made = []
    for number in (1, 2):
        world.held[7] = body(number)
        made.append(world.take())
    payloads.reads.clear()
    world.ports = replace(world.ports, clock=Slow(datetime(2026, 1, 16, tzinfo=UTC)))
    runs = [scrub(world.ports, days=1, budget_s=-1)]
    while not runs[-1].done:
        runs.append(scrub(world.ports, days=1, budget_s=-1, place=runs[-1].place))
    read = {key: count for key, count in payloads.reads.items() if key.endswith(".pack")}
    assert set(read.values()) == {1}
    assert {key.split("/")[0] for key in read} == {"smartcity", "volume-images", "zagreb"}
    assert sum(run.packs for run in runs) == len(read)
    assert all(world.record(one.id).verification for one in made)


def test_scrub_finds_the_damage_when_it_is_run_again_after_dying_at_any_call() -> None:
    def damaged() -> tuple[World, str, str]:
        world = World()
        snapshot = world.take()
        (bad, *_) = damage(world, snapshot)
        return world, snapshot.id, bad

    world, *_ = damaged()
    counter = Calls()
    scrub(world.numbered(counter), days=1, budget_s=1e9)
    for fatal in range(1, counter.calls + 1):
        for after in (False, True):
            world, snapshot_id, bad = damaged()
            with pytest.raises(Death):
                scrub(world.numbered(Calls(fatal, after=after)), days=1, budget_s=1e9)
            again = scrub(world.ports, days=1, budget_s=1e9)
            assert any(bad in one.failure.message for one in again.damage)
            noted = world.record(snapshot_id).verification
            assert noted is not None
            assert not noted.ok

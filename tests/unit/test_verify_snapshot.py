"""Verifying a snapshot: recorded on it, repeatable, handed over when it takes long, and changing nothing else."""

from dataclasses import replace

import pytest

from tests.driving import TENANT, damage, key, live, packs, put, run_restore
from tests.fakes import ManualClock, MemoryPayloads, MemoryWorkflows, Started, memory_ports
from tests.unit.engine.disturbed import Counter, Death, numbered
from tidemark.domain.live import Layout
from tidemark.domain.restore import RestoreStatus
from tidemark.domain.snapshot import Failure, Scope, Snapshot, SnapshotStatus, Verification
from tidemark.engine import manifests, readback
from tidemark.engine.verification import Checked
from tidemark.errors import SnapshotNotCompleted, SnapshotNotFound, Throttled
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.verify_snapshot import list_packs, record, verify_shard, verify_snapshot

FAILURE = Failure("PackCorrupt", "pack x is missing")


@pytest.fixture
def ports() -> Ports:
    world = replace(memory_ports(), layout=Layout(shards=2, gates=1))
    put(world, {key(number): number for number in range(30)})
    create_snapshot(world, TENANT)
    put(world, {key(1): 11})
    create_snapshot(world, TENANT)
    return world


def oldest_pack(ports: Ports) -> str:
    """A pack that both snapshots need."""
    *_, first = ports.catalog.snapshots(TENANT)
    return next(pack for pack in packs(ports) if first.capture_id in pack)


def newest(ports: Ports) -> Snapshot:
    return next(ports.catalog.snapshots(TENANT))


def move(ports: Ports, seconds: float) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(seconds)


def started(ports: Ports) -> list[Started]:
    assert isinstance(ports.workflows, MemoryWorkflows)
    return [one for one in ports.workflows.started if one.snapshot_id is not None]


def test_verify_records_when_and_how_much_was_good(ports: Ports) -> None:
    before = newest(ports)
    move(ports, 3600)
    verified, done = verify_snapshot(ports, TENANT, before.id)
    assert done
    found = Verification(ports.clock.now(), ok=True, checked_bytes=before.stored_bytes, checked_packs=3)
    assert verified == replace(before, verification=found, version=before.version + 1)
    assert newest(ports) == verified


def test_verify_records_the_damaged_object_and_nothing_counted_as_good(ports: Ports) -> None:
    pack = oldest_pack(ports)
    damage(ports, pack, 20)
    for snapshot in list(ports.catalog.snapshots(TENANT)):
        found = verify_snapshot(ports, TENANT, snapshot.id).snapshot.verification
        assert found is not None
        assert (found.ok, found.checked_bytes, found.checked_packs) == (False, 0, 0)
        assert found.failure == Failure("PackCorrupt", f"pack {pack} is damaged: it has the wrong checksum")


@pytest.mark.parametrize(("change", "said"), [(slice(0, -1), "bytes instead of"), (slice(0, 0), "has 0 bytes instead")])
def test_verify_says_how_long_a_pack_is_when_its_length_is_wrong(ports: Ports, change: slice, said: str) -> None:
    pack = oldest_pack(ports)
    assert isinstance(ports.payloads, MemoryPayloads)
    ports.payloads.objects[pack] = ports.payloads.objects[pack][change]
    found = verify_snapshot(ports, TENANT, newest(ports).id).snapshot.verification
    assert found is not None
    assert found.failure is not None
    assert said in found.failure.message


def test_verify_passes_again_when_the_damage_was_repaired(ports: Ports) -> None:
    pack = oldest_pack(ports)
    damage(ports, pack, 20)
    verify_snapshot(ports, TENANT, newest(ports).id)
    damage(ports, pack, 20)
    move(ports, 60)
    found = verify_snapshot(ports, TENANT, newest(ports).id).snapshot.verification
    assert found is not None
    assert (found.ok, found.failure, found.checked_at) == (True, None, ports.clock.now())


def test_snapshot_whose_verification_failed_is_restored_when_its_bytes_are_good_again(ports: Ports) -> None:
    """A restore looks for itself; what was found some time ago neither stops it nor saves it the work."""
    before = live(ports)
    snapshot = newest(ports)
    record(ports, TENANT, snapshot.id, failure=FAILURE)
    put(ports, {key(2): 22})
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    assert run_restore(ports, restore.id) is None
    assert live(ports) == before
    assert ports.catalog.restore(TENANT, restore.id).status is RestoreStatus.COMPLETED


@pytest.mark.parametrize("status", [SnapshotStatus.CREATING, SnapshotStatus.FAILED])
def test_verify_is_refused_when_the_snapshot_is_not_completed(ports: Ports, status: SnapshotStatus) -> None:
    snapshot = ports.catalog.replace_snapshot(replace(newest(ports), status=status))
    for call in (verify_snapshot, list_packs):
        with pytest.raises(SnapshotNotCompleted, match=f"{snapshot.id} is {status}"):
            call(ports, TENANT, snapshot.id)
    assert newest(ports) == snapshot


def test_verify_does_not_find_a_deleted_snapshot(ports: Ports) -> None:
    name = newest(ports).id
    delete_snapshot(ports, TENANT, name)
    with pytest.raises(SnapshotNotFound):
        verify_snapshot(ports, TENANT, name)


def test_nothing_is_recorded_on_a_snapshot_that_was_deleted_meanwhile(ports: Ports) -> None:
    name = newest(ports).id
    delete_snapshot(ports, TENANT, name)
    deleted = newest(ports)
    assert record(ports, TENANT, name, failure=FAILURE) == deleted
    assert newest(ports) == deleted


# --- in the state machine


def test_verify_is_handed_over_when_it_does_not_fit_its_time(ports: Ports) -> None:
    before = newest(ports)
    verified, done = verify_snapshot(ports, TENANT, before.id, budget_s=-1)
    assert (verified, done) == (before, False)
    (execution,) = started(ports)
    assert (execution.snapshot_id, execution.attempt) == (before.id, 1)
    assert execution.subject.startswith("verification_2026-01-15T10-00-00Z-2_")


def test_verify_is_handed_over_when_aws_does_not_answer(ports: Ports) -> None:
    class Busy(MemoryPayloads):
        def get(self, key: str) -> bytes:
            raise Throttled(f"reading {key}: slow down")

    assert not verify_snapshot(replace(ports, payloads=Busy()), TENANT, newest(ports).id).done
    assert len(started(ports)) == 1
    assert newest(ports).verification is None


def test_verify_starts_nothing_when_an_execution_runs_and_anew_when_it_ended(ports: Ports) -> None:
    assert isinstance(ports.workflows, MemoryWorkflows)
    name = newest(ports).id
    for _ in range(3):
        verify_snapshot(ports, TENANT, name, budget_s=-1)
    (first,) = started(ports)
    ports.workflows.end(TENANT, first.subject)
    verify_snapshot(ports, TENANT, name, budget_s=-1)
    assert [one.attempt for one in started(ports)] == [1, 2]
    record(ports, TENANT, name)
    verify_snapshot(ports, TENANT, name, budget_s=-1)
    assert [one.attempt for one in started(ports)] == [1, 2, 1]
    assert len({one.subject for one in started(ports)}) == 2


def test_phases_find_what_the_request_finds(ports: Ports) -> None:
    name = newest(ports).id
    shards = list_packs(ports, TENANT, name)
    found = [verify_shard(ports, TENANT, name, shard=shard) for shard in shards]
    phased = record(ports, TENANT, name, found).verification
    assert verify_snapshot(ports, TENANT, name).snapshot.verification == phased


def test_list_packs_leaves_out_shards_that_are_empty() -> None:
    ports = memory_ports()
    put(ports, {key(1): 1})
    assert len(list_packs(ports, TENANT, create_snapshot(ports, TENANT).id)) == 1


# --- whatever dies


def test_verify_changes_nothing_else_when_it_dies_at_any_call(ports: Ports) -> None:
    name = newest(ports).id
    counter = Counter()
    verify_snapshot(numbered(ports, counter), TENANT, name)
    assert counter.calls > 5
    payloads = ports.payloads
    assert isinstance(payloads, MemoryPayloads)
    objects, state, entities = dict(payloads.objects), ports.table.load(TENANT).state, live(ports)
    for fatal in range(1, counter.calls + 1):
        for after in (False, True):
            move(ports, 1)
            before = newest(ports)
            with pytest.raises(Death):
                verify_snapshot(numbered(ports, Counter(fatal, after=after)), TENANT, name)
            left = newest(ports)
            assert replace(left, verification=None, version=0) == replace(before, verification=None, version=0), fatal
            assert (payloads.objects, ports.table.load(TENANT).state, live(ports)) == (objects, state, entities)
            assert started(ports) == []
            again = verify_snapshot(ports, TENANT, name).snapshot.verification
            assert again is not None
            assert (again.ok, again.checked_at) == (True, ports.clock.now())


# --- which of two results is kept

T0 = ManualClock().now()
FULL = Verification(T0, ok=True)
SAMPLE = Verification(T0, ok=True, scope=Scope.SAMPLE)
BAD = Verification(T0, ok=False, failure=FAILURE)
BAD_SAMPLE = Verification(T0, ok=False, scope=Scope.SAMPLE, failure=FAILURE)


@pytest.mark.parametrize("held", [None, FULL, SAMPLE, BAD, BAD_SAMPLE])
@pytest.mark.parametrize("found", [FULL, SAMPLE, BAD, BAD_SAMPLE])
def test_good_sample_hides_neither_damage_nor_a_full_verification(
    held: Verification | None, found: Verification
) -> None:
    hidden = found is SAMPLE and held in (FULL, BAD, BAD_SAMPLE)
    assert found.outweighs(held) is not hidden


def test_record_adds_up_what_shards_report(ports: Ports) -> None:
    found = record(ports, TENANT, newest(ports).id, [Checked(1, 10), Checked(2, 20)], scope=Scope.SAMPLE).verification
    assert found == Verification(ports.clock.now(), ok=True, scope=Scope.SAMPLE, checked_bytes=30, checked_packs=3)


def test_shards_are_read_that_have_packs_or_should_have_some(ports: Ports) -> None:
    reference = newest(ports).manifest
    assert reference is not None
    manifest = manifests.read(ports.payloads, reference)
    full = manifest.shards[0]
    # Of one all of whose entities were deleted, the tombstones are read.
    shards = (full, replace(full, records=0), replace(full, layers=()), replace(full, records=0, layers=()))
    numbered_ones = tuple(replace(shard, shard=number) for number, shard in enumerate(shards))
    assert readback.shards_to_read(replace(manifest, shards=numbered_ones)) == [0, 1, 2]

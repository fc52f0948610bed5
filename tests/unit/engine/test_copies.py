"""Copies of snapshots: whole, independent of their source and of live data, ended by somebody in any case."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.driving import TENANT, content, damage, delete, key, live, packs, put, run_restore, run_transfer
from tests.fakes import ManualClock, MemoryPayloads, MemoryWorkflows, Started
from tests.unit.engine.disturbed import KEYS, Counter, Death, days_pass, numbered, world
from tidemark.domain.snapshot import CaptureId, Failure, Snapshot, SnapshotStatus, Trigger
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.transfer import copies
from tidemark.errors import (
    PackCorrupt,
    SnapshotInUse,
    SnapshotNotCompleted,
    SnapshotNotFound,
    Throttled,
    TransferEnded,
)
from tidemark.ports import Ports
from tidemark.usecases import transfer_phases
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.copy_snapshot import copy_snapshot
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.undelete_snapshot import undelete_snapshot
from tidemark.usecases.verify_snapshot import verify_snapshot

STAGING = Tenant("staging")


def layered(ports: Ports) -> Snapshot:
    """A snapshot whose shards have a base and two deltas, of three captures."""
    put(ports, {key(number): number for number in range(60)})
    create_snapshot(ports, TENANT)
    put(ports, {KEYS[2]: 3, key(99): 4})
    delete(ports, KEYS[7])
    create_snapshot(ports, TENANT)
    put(ports, {KEYS[3]: 8})
    snapshot = create_snapshot(ports, TENANT)
    assert snapshot.manifest is not None
    kinds = [len(shard.layers) for shard in manifests.read(ports.payloads, snapshot.manifest).shards]
    assert max(kinds) > 2, "the snapshot is not layered"
    return snapshot


def started(ports: Ports) -> Started:
    """The execution that was asked for last."""
    assert isinstance(ports.workflows, MemoryWorkflows)
    return ports.workflows.started[-1]


def finish(ports: Ports) -> None:
    """Run the last execution to its end."""
    execution = started(ports)
    run_transfer(ports, execution)
    end(ports)


def end(ports: Ports) -> None:
    execution = started(ports)
    assert isinstance(ports.workflows, MemoryWorkflows)
    ports.workflows.end(execution.tenant, execution.subject, attempt=execution.attempt)


def collecting(ports: Ports, *tenants: Tenant) -> Ports:
    """The ports, where a collection follows each call that stores an object."""

    class Collected(MemoryPayloads):
        def put(self, key: str, body: bytes) -> None:
            ports.payloads.put(key, body)
            collect()

        def copy(self, source_key: str, key: str) -> None:
            ports.payloads.copy(source_key, key)
            collect()

        def __getattribute__(self, name: str) -> Any:
            return object.__getattribute__(self if name in {"put", "copy"} else ports.payloads, name)

    def collect() -> None:
        for tenant in tenants:
            report = collect_garbage(ports, tenant)
            assert (report.problems, report.done) == ((), True)

    return replace(ports, payloads=Collected())


def copied(ports: Ports, source: Snapshot, target: Tenant = STAGING) -> Snapshot:
    made = copy_snapshot(ports, TENANT, source.id, target)
    finish(ports)
    return ports.catalog.snapshot(target, made.id)


def users(ports: Ports, snapshot: Snapshot) -> frozenset[str]:
    return ports.catalog.snapshot(TENANT, snapshot.id).used_by


@pytest.mark.parametrize("target", [STAGING, TENANT])
def test_copy_holds_the_same_entities_under_its_own_name(target: Tenant) -> None:
    ports = world()
    source = layered(ports)
    made = copy_snapshot(ports, TENANT, source.id, target, description="a copy")
    assert (made.status, made.trigger, made.description) == (SnapshotStatus.CREATING, Trigger.COPY, "a copy")
    finish(ports)
    copy = ports.catalog.snapshot(target, made.id)
    assert copy.status is SnapshotStatus.COMPLETED, copy.failure
    assert content(ports, copy.id, target) == content(ports, source.id)
    assert (copy.entity_count, copy.stored_bytes, copy.raw_bytes, copy.digest) == (
        source.entity_count,
        source.stored_bytes,
        source.raw_bytes,
        source.digest,
    )
    assert copy.manifest is not None
    named = [pack.key for pack in manifests.read(ports.payloads, copy.manifest).packs]
    assert all(one.startswith(f"{target}/packs/{copy.capture_id}/") for one in named)
    assert len(set(named)) == len(named)
    verified = verify_snapshot(ports, target, copy.id, budget_s=1e9).snapshot.verification
    assert verified is not None
    assert verified.ok
    assert users(ports, source) == frozenset()


def test_copy_outlives_its_source_and_can_be_restored() -> None:
    ports = world()
    source = layered(ports)
    held = content(ports, source.id)
    copy = copied(ports, source)
    for snapshot in list(ports.catalog.snapshots(TENANT)):
        delete_snapshot(ports, TENANT, snapshot.id)
    put(ports, {KEYS[1]: 1000})
    create_snapshot(ports, TENANT)
    days_pass(ports)
    collect_garbage(ports, TENANT)
    put(ports, {key(5000): 1}, STAGING)
    restore = restore_snapshot(ports, STAGING, copy.id)
    assert run_restore(ports, restore.id, tenant=STAGING) is None
    assert live(ports, STAGING) == held
    put(ports, {key(5001): 1}, STAGING)
    after = create_snapshot(ports, STAGING)
    assert content(ports, after.id, STAGING) == live(ports, STAGING)


def test_copy_leaves_the_live_data_of_both_tenants_alone_and_takes_no_lease() -> None:
    ports = world()
    source = layered(ports)
    put(ports, {KEYS[0]: 5}, STAGING)
    before = (ports.table.load(TENANT).state, ports.table.load(STAGING).state, live(ports), live(ports, STAGING))
    copied(ports, source)
    assert before == (
        ports.table.load(TENANT).state,
        ports.table.load(STAGING).state,
        live(ports),
        live(ports, STAGING),
    )


def test_source_cannot_be_deleted_while_it_is_copied() -> None:
    ports = world()
    source = layered(ports)
    copy = copy_snapshot(ports, TENANT, source.id, STAGING)
    with pytest.raises(SnapshotInUse, match=f"copy:staging:{copy.id}"):
        delete_snapshot(ports, TENANT, source.id)
    finish(ports)
    delete_snapshot(ports, TENANT, source.id)


def test_copy_that_is_deleted_while_it_is_made_is_over_and_lets_its_source_go() -> None:
    ports = world()
    source = layered(ports)
    copy = copy_snapshot(ports, TENANT, source.id, STAGING)
    first = started(ports)
    transfer_phases.begin(ports, STAGING, copy.id, first.subject, attempt=1)
    transfer_phases.copy_packs(ports, STAGING, copy.id, first.subject, attempt=1, shard=0)
    delete_snapshot(ports, STAGING, copy.id)
    assert users(ports, source) == frozenset()
    stored = packs(ports, STAGING)
    with pytest.raises(TransferEnded, match="deleted"):
        transfer_phases.copy_packs(ports, STAGING, copy.id, first.subject, attempt=1, shard=1)
    assert transfer_phases.begin(ports, STAGING, copy.id, first.subject, attempt=1).over
    failure = Failure("TransferEnded", "it is over")
    aborted = transfer_phases.abort(ports, STAGING, copy.id, first.subject, attempt=1, failure=failure)
    assert aborted is SnapshotStatus.DELETED
    assert stored == packs(ports, STAGING) != []
    collect_garbage(ports, STAGING)
    assert packs(ports, STAGING) == []
    back = undelete_snapshot(ports, STAGING, copy.id)
    assert (back.status, back.failure and back.failure.code) == (SnapshotStatus.FAILED, "TransferCancelled")


def test_two_copies_hold_their_source_each_for_itself() -> None:
    ports = world()
    source = layered(ports)
    copy_snapshot(ports, TENANT, source.id, STAGING)
    first = started(ports)
    copy_snapshot(ports, TENANT, source.id, Tenant("third"))
    run_transfer(ports, first)
    [user] = users(ports, source)
    assert user.startswith("copy:third:")


def test_copy_is_refused_when_the_source_is_not_completed_or_gone() -> None:
    ports = world()
    running = create_snapshot(ports, TENANT, budget_s=-1)
    with pytest.raises(SnapshotNotCompleted, match="creating"):
        copy_snapshot(ports, TENANT, running.id, STAGING)
    with pytest.raises(SnapshotNotFound):
        copy_snapshot(ports, TENANT, "snapshot_2020-01-01T00-00-00Z", STAGING)
    assert list(ports.catalog.snapshots(STAGING)) == []


def test_copy_fails_and_says_why_when_a_pack_is_damaged_or_missing() -> None:
    for spoil in (damage, lambda ports, pack: ports.payloads.objects.pop(pack)):
        ports = world()
        source = layered(ports)
        pack = packs(ports)[0]
        spoil(ports, pack)
        failed = copied(ports, source)
        assert (failed.status, failed.failure and failed.failure.code) == (SnapshotStatus.FAILED, "PackCorrupt")
        assert users(ports, source) == frozenset()


def test_shard_with_a_damaged_pack_is_not_noted_as_copied() -> None:
    ports = world()
    source = layered(ports)
    assert source.manifest is not None
    [shard, *_] = manifests.read(ports.payloads, source.manifest).shards
    damage(ports, shard.layers[-1].packs[0].key)
    job = copies.ShardCopy(shard, STAGING, CaptureId("c" * 32))
    with pytest.raises(PackCorrupt, match="staging/packs/"):
        copies.copy_packs(ports.payloads, job, lambda: None)
    assert isinstance(ports.payloads, MemoryPayloads)
    assert not [one for one in ports.payloads.objects if one.startswith("staging/") and one.endswith(".json")]


def test_copy_goes_on_after_the_packs_that_are_there_when_it_is_driven_again() -> None:
    ports = world()
    source = layered(ports)
    copy = copy_snapshot(ports, TENANT, source.id, STAGING)
    first = started(ports)
    transfer_phases.begin(ports, STAGING, copy.id, first.subject, attempt=1)
    transfer_phases.copy_packs(ports, STAGING, copy.id, first.subject, attempt=1, shard=0)
    stored = set(packs(ports, STAGING))
    transfer_phases.begin(ports, STAGING, copy.id, first.subject, attempt=2)
    with pytest.raises(TransferEnded):
        transfer_phases.copy_packs(ports, STAGING, copy.id, first.subject, attempt=1, shard=1)
    with pytest.raises(TransferEnded):
        transfer_phases.begin(ports, STAGING, copy.id, first.subject, attempt=1)
    run_transfer(ports, replace(first, attempt=2))
    assert stored < set(packs(ports, STAGING))
    assert ports.catalog.snapshot(STAGING, copy.id).status is SnapshotStatus.COMPLETED


def test_collection_keeps_what_a_running_copy_has_stored() -> None:
    ports = world()
    source = layered(ports)
    copy = copy_snapshot(ports, TENANT, source.id, STAGING)
    run_transfer(collecting(ports, STAGING, TENANT), started(ports))
    finished = ports.catalog.snapshot(STAGING, copy.id)
    assert finished.status is SnapshotStatus.COMPLETED, finished.failure
    assert content(ports, copy.id, STAGING) == content(ports, source.id)


def _copy(ports: Ports) -> None:
    source = next(iter(ports.catalog.snapshots(TENANT)))
    copy_snapshot(ports, TENANT, source.id, STAGING)


def _run(ports: Ports) -> None:
    run_transfer(ports, ports.workflows.started[-1])  # type: ignore[attr-defined]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("prepare", "run"), [(lambda _: None, _copy), (_copy, _run)], ids=["request", "execution"])
def test_copy_that_dies_at_any_call_is_ended_and_nothing_stays_behind(
    after: bool, prepare: Callable[[Ports], Any], run: Callable[[Ports], Any]
) -> None:
    ports, counter = world(), Counter()
    layered(ports)
    prepare(ports)
    run(numbered(ports, counter))
    for fatal in range(1, counter.calls + 1):
        ports = world()
        source = layered(ports)
        held = content(ports, source.id)
        prepare(ports)
        with pytest.raises(Death):
            run(numbered(ports, Counter(fatal, after=after)))
        assert isinstance(ports.workflows, MemoryWorkflows)
        for execution in ports.workflows.started:
            ports.workflows.end(execution.tenant, execution.subject, attempt=execution.attempt)
        assert isinstance(ports.clock, ManualClock)
        ports.clock.advance(timedelta(hours=2).total_seconds())
        for _ in range(2):
            # Whichever tenant's comes first.
            for tenant in (TENANT, STAGING):
                report = collect_garbage(ports, tenant)
                assert (report.problems, report.done) == ((), True)
        assert users(ports, source) == frozenset(), fatal
        assert content(ports, source.id) == held
        needed: set[str] = set()
        for snapshot in ports.catalog.snapshots(STAGING):
            assert snapshot.status in {SnapshotStatus.COMPLETED, SnapshotStatus.FAILED}, (fatal, snapshot)
            if snapshot.manifest is not None:
                assert content(ports, snapshot.id, STAGING) == held
                manifest = manifests.read(ports.payloads, snapshot.manifest)
                needed |= {snapshot.manifest.key, *(pack.key for pack in manifest.packs)}
        assert isinstance(ports.payloads, MemoryPayloads)
        assert {one for one in ports.payloads.objects if one.startswith(STAGING)} == needed, fatal


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_copy_is_whole_when_aws_fails_at_any_call_of_its_execution(after: bool) -> None:
    ports, counter = world(), Counter()
    layered(ports)
    _copy(ports)
    _run(numbered(ports, counter))
    for first in range(1, counter.calls + 1):
        ports = world()
        source = layered(ports)
        _copy(ports)
        disturbed = numbered(ports, Counter(first, after=after, error=lambda: Throttled("slow down")))
        run_transfer(disturbed, started(ports), tries=3)
        [copy] = ports.catalog.snapshots(STAGING)
        assert copy.status is SnapshotStatus.COMPLETED, (first, copy.failure)
        assert content(ports, copy.id, STAGING) == content(ports, source.id)
        assert users(ports, source) == frozenset()


def test_collection_leaves_a_copy_alone_whose_execution_runs_or_is_about_to_start() -> None:
    ports = world()
    source = layered(ports)
    copy = copy_snapshot(ports, TENANT, source.id, STAGING)
    days_pass(ports)
    collect_garbage(ports, STAGING)
    collect_garbage(ports, TENANT)
    assert ports.catalog.snapshot(STAGING, copy.id).status is SnapshotStatus.CREATING
    assert users(ports, source) != frozenset()
    end(ports)
    collect_garbage(ports, STAGING, dry_run=True)
    assert ports.catalog.snapshot(STAGING, copy.id).status is SnapshotStatus.CREATING
    collect_garbage(ports, STAGING)
    ended = ports.catalog.snapshot(STAGING, copy.id)
    assert (ended.status, ended.failure and ended.failure.code) == (SnapshotStatus.FAILED, "TransferEnded")
    assert users(ports, source) == frozenset()

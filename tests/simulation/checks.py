"""What must hold after a scene, and what is done first so that it can: executions that died are driven on."""

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.driving import TENANT, content, live, run_capture
from tests.fakes import MemoryWorkflows
from tests.simulation.world import BUDGET_S, KEYS, TOTAL, World, accounts
from tidemark.domain.change import change_of
from tidemark.domain.digest import SetDigest
from tidemark.domain.keys import EntityKey
from tidemark.domain.restore import Changes, Restore, RestoreStatus
from tidemark.domain.snapshot import Snapshot, SnapshotStatus, Trigger
from tidemark.engine import manifests
from tidemark.engine.overlay import Overlay
from tidemark.engine.records import record
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.restore_phases.cutover import LATECOMERS_LIVE
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.stored_plans import UnderWay, find

_ASKS = 20
# They expire after more days than pass here.
_WORK_LISTS = "work-lists/"


def settle(world: World) -> None:
    """Ask until nobody holds the lease, as whoever wants something next does, with nothing befalling anybody any more.

    Then nothing may be left half done, and a snapshot can be made.
    """
    seed = world.seed
    assert not world.scheduler.errors, (seed, world.scheduler.errors)
    world.fates.danger = 0.0
    world.scheduler.run({"operator": lambda: world.operator(_ASKS)})
    state = world.base.table.load(TENANT).state
    assert state is not None
    assert (state.lease, state.capturing) == (None, None), (seed, "the lease is stuck", state)
    assert isinstance(world.base.workflows, MemoryWorkflows)
    for one in world.base.workflows.started:
        assert world.base.workflows.running(one.tenant, one.subject, attempt=one.attempt) is False, (seed, one)
    if len(world.tenants) > 1:
        # Nobody drives a transfer that has died on but the collector, which ends it; whichever tenant's comes first.
        world.let_days_pass()
        for tenant in world.tenants * 2:
            collect_garbage(world.base, tenant)
    elif world.lost_requests:
        # What a request registered when others had given it up already is closed by the next collection.
        collect_garbage(world.base, TENANT)
    for restore in world.base.catalog.restores(TENANT):
        assert restore.status is not RestoreStatus.RESTORING, (seed, "a restore is stuck", restore)
    for snapshot in _snapshots(world):
        assert snapshot.status is not SnapshotStatus.CREATING, (seed, "a capture or transfer is stuck", snapshot)
        assert not snapshot.used_by, (seed, "a snapshot can never be deleted", snapshot)
    last = create_snapshot(world.base, TENANT, budget_s=BUDGET_S)
    assert last.status is SnapshotStatus.COMPLETED, (seed, last)


def finish_captures(world: World) -> None:
    """Do what requests have left to the state machine: writers may have kept them from ending the cut."""
    assert isinstance(world.base.workflows, MemoryWorkflows)
    for one in world.base.workflows.started:
        if one.capture_id is not None:
            run_capture(world.base, one.subject, one.capture_id, attempt=one.attempt)


def undo(world: World) -> None:
    """Restore the newest safety snapshot: what is live then is what was live when the restore that made it flipped."""
    safeties = [
        one
        for one in world.base.catalog.snapshots(TENANT)
        if one.trigger is Trigger.SAFETY and one.status is SnapshotStatus.COMPLETED
    ]
    if not safeties:
        return
    generation, cut = safeties[0].generation, safeties[0].cut
    assert generation is not None
    assert cut is not None
    world.scheduler.run({"undo": lambda: _restore(world, safeties[0].id)})
    assert not world.scheduler.errors, (world.seed, world.scheduler.errors)
    assert live(world.base) == world.oracle.at[generation, cut], (world.seed, "undoing the restore lost something")


def _restore(world: World, snapshot_id: str) -> None:
    restore_snapshot(world.ports(), TENANT, snapshot_id)


def check_restores(world: World) -> None:
    """What readers saw at the moment of each flip was the restored snapshot, and what it replaced is kept."""
    for restore in world.base.catalog.restores(TENANT):
        flipped = world.oracle.restored.get(restore.generation)
        assert (flipped is not None) == (restore.status is RestoreStatus.COMPLETED), (world.seed, restore)
        if flipped is None:
            continue
        was = world.ledger.held_by(world.base.catalog.snapshot(TENANT, restore.snapshot_id))
        safety = world.base.catalog.snapshot(TENANT, restore.safety_snapshot_id or "")
        assert flipped == _laid_over(world, restore, safety, was), (world.seed, restore.id, "not what was wanted")
        assert (safety.status, safety.generation) == (SnapshotStatus.COMPLETED, restore.from_generation), world.seed


def _laid_over(world: World, restore: Restore, safety: Snapshot, was: Mapping[EntityKey, str]) -> dict[EntityKey, str]:
    """What the restore should make of what was live when it flipped."""
    if not restore.partial:
        return dict(was)
    assert safety.generation is not None
    assert safety.cut is not None
    now = world.oracle.at[safety.generation, safety.cut]
    overlay = Overlay(restore.mode, world.base.select(restore.selection) if restore.selection else None)
    results = {one: overlay.result(one.sort_key, was.get(one), now.get(one)) for one in was.keys() | now.keys()}
    return {one: text for one, text in results.items() if text is not None}


def check_dry_runs(world: World) -> None:
    """Each dry run that was answered has come to a plan, which is exact as of its cut, or says why there is none."""
    for made in world.dry_runs:
        found = find(world.base, made.id)
        if isinstance(found, UnderWay):
            assert found.failure is not None, (world.seed, "a dry run is stuck", found)
            continue
        assert found is not None, (world.seed, made)
        restored = world.base.catalog.snapshot(TENANT, made.snapshot_id)
        assert restored.generation is not None
        assert restored.cut is not None
        assert found.generation is not None
        assert found.cut is not None
        was, now = world.oracle.at[restored.generation, restored.cut], world.oracle.at[found.generation, found.cut]
        overlay = Overlay(found.mode, world.base.select(found.selection) if found.selection else None)
        results = {one: overlay.result(one.sort_key, was.get(one), now.get(one)) for one in was.keys() | now.keys()}
        expected = Counter(change_of(now.get(one), results[one]) for one in results if one in now or results[one])
        assert found.changes == Changes.of(expected), (world.seed, found, "not what the restore would do")


def delete_failed(world: World) -> None:
    for one in list(_snapshots(world)):
        if one.status is SnapshotStatus.FAILED:
            delete_snapshot(world.base, one.tenant, one.id)


def check_collected(world: World) -> None:
    """When all is quiet, one more collection leaves what some snapshot needs and nothing else; that is still whole."""
    seed = world.seed
    world.let_days_pass()
    for tenant in world.tenants:
        report = collect_garbage(world.base, tenant)
        assert (report.problems, report.done) == ((), True), seed
    state = world.base.table.load(TENANT).state
    assert state is not None
    assert state.base is not None
    held = list(_snapshots(world))
    bin_ = [one for one in held if one.status is not SnapshotStatus.COMPLETED]
    assert {one.id for one in bin_} <= {state.base.snapshot_id}, (seed, "only the base outlives its time")
    needed: set[str] = set()
    for one in held:
        assert one.manifest is not None, (seed, one)
        needed |= {one.manifest.key, *(pack.key for pack in manifests.read(world.base.payloads, one.manifest).packs)}
    stored = {one.key for one in world.base.payloads.list("") if not one.key.startswith(_WORK_LISTS)}
    assert stored == needed, (seed, stored ^ needed)
    check(world, deletes=True)
    for restore in world.base.catalog.restores(TENANT):
        assert restore.swept, (seed, restore)
        pages = [world.base.table.page(TENANT, restore.dead_generation, shard) for shard in range(state.shards)]
        assert not any(page.items for page in pages), (seed, restore)


def check_swept(world: World) -> None:
    """The first snapshot that is made when nobody can be late any more leaves none of the tombstones that were kept."""
    before = world.base.table.load(TENANT).state
    world.let_pass(LATECOMERS_LIVE)
    create_snapshot(world.base, TENANT, budget_s=BUDGET_S)
    state = world.base.table.load(TENANT).state
    assert before is not None
    assert state is not None
    assert state.latecomers is None, (world.seed, state)
    if before.latecomers is not None:
        pages = [world.base.table.page(TENANT, state.generation, shard) for shard in range(state.shards)]
        left = [item.changed for page in pages for item in page.items if item.doc is None]
        assert all(cut <= before.latecomers.since for cut in left if cut), (world.seed, "a tombstone stays")


def check(world: World, *, deletes: bool = False, crashes: bool = False) -> None:
    """Hold what was made against the oracle. A failure names the seed."""
    seed = world.seed
    assert not world.scheduler.errors, (seed, world.scheduler.errors, world.scheduler.trace[-40:])
    assert set(world.accounts_read) <= {len(KEYS)}, (seed, "a read saw a part of a generation")
    now = live(world.base)
    assert sum(accounts(now).values()) == TOTAL, (seed, "the live data is torn")
    somewhere = set(now)
    # What is in the recycle bin must be as whole as if it had never been deleted.
    kept = {SnapshotStatus.COMPLETED, SnapshotStatus.DELETED} if deletes else {SnapshotStatus.COMPLETED}
    for snapshot in _snapshots(world):
        if deletes and snapshot.status is SnapshotStatus.PURGING:
            continue
        if crashes and not snapshot.was_completed:
            assert snapshot.status in {SnapshotStatus.FAILED, *kept} - {SnapshotStatus.COMPLETED}, (seed, snapshot)
            continue
        assert snapshot.status in kept, (seed, snapshot)
        held = content(world.base, snapshot.id, snapshot.tenant)
        assert len(held) == snapshot.entity_count
        assert snapshot.digest in {None, _digest(held)}, (seed, snapshot.id, "the digest is not that of its entities")
        assert held == world.ledger.held_by(snapshot), (seed, snapshot.id, "not what was live")
        assert sum(accounts(held).values()) == TOTAL, (seed, snapshot.id, "the snapshot is torn")
        somewhere |= set(held)
    assert deletes or world.committed <= somewhere, (seed, "a committed write is in no generation that was kept")
    state = world.base.table.load(TENANT).state
    assert state is not None
    assert (state.lease, state.capturing) == (None, None), (seed, state)
    gates = world.base.table.load(TENANT, gates=range(state.gates)).gates.values()
    assert {(gate.generation, gate.cut, gate.capturing, gate.closed_by) for gate in gates} == {
        (state.generation, state.cut, None, None)
    }, seed


def _snapshots(world: World) -> Iterator[Snapshot]:
    for tenant in world.tenants:
        yield from world.base.catalog.snapshots(tenant)


def _digest(held: Mapping[EntityKey, str]) -> str:
    digest = SetDigest()
    digest.add_all([record(one.sort_key, text).line for one, text in held.items()])
    return digest.hex

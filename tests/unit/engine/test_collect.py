"""The collector deletes what nobody needs, and nothing else, whatever happens beside it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests.driving import TENANT, content, damage, delete, key, live, packs, put, run_capture, run_restore
from tests.fakes import ManualClock, MemoryPayloads, memory_ports
from tidemark.domain.collection import Collection, Tally
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Generation, Item, ItemKey, Layout, LeaseKind
from tidemark.domain.restore import RestoreStatus, StagedPart
from tidemark.domain.snapshot import CaptureId, Failure, Snapshot, SnapshotStatus, snapshot_id
from tidemark.engine import collect
from tidemark.engine.live import leases
from tidemark.errors import SnapshotNotFound, SnapshotNotInRecycleBin
from tidemark.ports import Ports, StoredObject
from tidemark.usecases import capture_phases, restore_phases
from tidemark.usecases.cancel_restore import cancel_restore
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.contention import IN_REQUEST
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.read_restores import get_restore
from tidemark.usecases.read_snapshots import get_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.undelete_snapshot import undelete_snapshot

KEYS = [key(number) for number in range(40)]
DAY_S = 24 * 3600.0


class During:
    """A port beside which something happens: `act` runs once, when `name` is called, before or after the call."""

    def __init__(self, port: Any, name: str, act: Callable[[], object], *, after: bool = False) -> None:
        self._port = port
        self._name = name
        self._act = [act]
        self._after = after

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name != self._name or not self._act:
            return call

        def disturbed(*args: Any, **kwargs: Any) -> Any:
            act = self._act.pop() if self._act else lambda: None
            if not self._after:
                act()
            result = call(*args, **kwargs)
            if self._after:
                result = list(result)
                act()
            return result

        return disturbed


@pytest.fixture
def ports() -> Ports:
    world = replace(memory_ports(), layout=Layout(shards=2, gates=2))
    put(world, dict.fromkeys(KEYS, 1))
    return world


def later(ports: Ports, days: float) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(days * DAY_S)


def stored(ports: Ports) -> dict[str, bytes]:
    assert isinstance(ports.payloads, MemoryPayloads)
    return ports.payloads.objects


def statuses(ports: Ports) -> list[SnapshotStatus]:
    return [snapshot.status for snapshot in ports.catalog.snapshots(TENANT)]


def changed_snapshot(ports: Ports, value: int) -> Snapshot:
    """A snapshot of a small change, which is a delta on the one before."""
    put(ports, {KEYS[value % len(KEYS)]: value})
    return create_snapshot(ports, TENANT)


def registered(ports: Ports) -> Snapshot:
    """A capture that has taken the lease and registered its snapshot, and ended no cut yet."""
    capture_id, now = CaptureId("c" * 32), ports.clock.now()
    state = leases.acquire(
        ports, TENANT, kind=LeaseKind.CAPTURE, owner=capture_id, subject=snapshot_id(now), attempt=IN_REQUEST
    )
    return ports.catalog.add_snapshot(Snapshot(TENANT, snapshot_id(now), now, capture_id, leases.token_of(state)))


# --- objects


class FewAtOnce:
    """A port that makes calls side by side, and remembers the most of them that were wanted at once."""

    def __init__(self) -> None:
        self.most = 0

    def map[T, R](self, call: Callable[[T], R], items: Iterable[T]) -> list[R]:
        calls = list(items)
        self.most = max(self.most, len(calls))
        return [call(one) for one in calls]


def test_collection_holds_few_manifests_at_once_however_many_snapshots_there_are() -> None:
    ports = memory_ports()
    for number in range(20):
        put(ports, {KEYS[0]: number})
        create_snapshot(ports, TENANT)
    records = collect.read_records(ports, TENANT)
    assert records is not None
    few = FewAtOnce()
    named = collect.read_manifests(replace(ports, parallel=few), records)
    assert few.most <= 8
    assert {*packs(ports)} == {one for one in named.keys if one.endswith(".pack")}


def test_collect_keeps_what_completed_snapshots_need_and_deletes_the_notes_of_their_captures(ports: Ports) -> None:
    held = {snapshot.id: live(ports) for snapshot in [create_snapshot(ports, TENANT)]}
    for value in range(2, 5):
        snapshot = changed_snapshot(ports, value)
        held[snapshot.id] = live(ports)
    before = set(stored(ports))
    report = collect_garbage(ports, TENANT)
    gone = before - set(stored(ports))
    assert gone
    assert gone == {one for one in before if one.endswith(".shard.json")}
    assert {name: content(ports, name) for name in held} == held
    assert report.listed.objects == len(before)
    assert (report.kept.objects, report.deleted.objects) == (len(stored(ports)), len(gone))
    assert (report.retained, report.problems, report.done) == (Tally(), (), True)
    assert collect_garbage(ports, TENANT).deleted == Tally()


def test_collect_deletes_what_a_failed_capture_stored(ports: Ports) -> None:
    create_snapshot(ports, TENANT)
    collect_garbage(ports, TENANT)
    kept = set(stored(ports))
    put(ports, dict.fromkeys(KEYS, 2))
    snapshot = create_snapshot(ports, TENANT, budget_s=-1)
    begun = capture_phases.begin(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1)
    capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=0)
    failure = Failure("AwsFailure", "no answer")
    capture_phases.abort(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1, failure=failure)
    assert set(stored(ports)) > kept
    assert collect_garbage(ports, TENANT).deleted.objects > 0
    assert set(stored(ports)) == kept


def test_collect_keeps_what_a_running_capture_has_stored_and_what_it_builds_on(ports: Ports) -> None:
    base = create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, base.id)
    put(ports, {KEYS[0]: 2})
    snapshot = create_snapshot(ports, TENANT, budget_s=-1)
    begun = capture_phases.begin(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1)
    for shard in begun.shards:
        capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=shard)
    later(ports, 8)
    wanted = live(ports)
    collect_garbage(ports, TENANT)
    capture_phases.seal(ports, TENANT, snapshot.id, token=begun.token)
    assert content(ports, snapshot.id) == wanted


def test_collect_keeps_what_a_capture_will_build_on_when_it_has_not_noted_so_yet(ports: Ports) -> None:
    base = create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, base.id)
    later(ports, 8)
    put(ports, {KEYS[0]: 2})
    snapshot = registered(ports)
    collect_garbage(ports, TENANT)
    run_capture(ports, snapshot.id, snapshot.capture_id)
    assert content(ports, snapshot.id) == live(ports)
    assert ports.catalog.snapshot(TENANT, snapshot.id).parent_id == base.id


def test_collect_lists_before_it_reads_the_catalog(ports: Ports) -> None:
    """A whole capture passes just before the list is made: the catalog, read later, knows of it."""
    made: list[Snapshot] = []
    during = During(ports.payloads, "list", lambda: made.append(create_snapshot(ports, TENANT)))
    collect_garbage(replace(ports, payloads=during), TENANT)
    assert content(ports, made[0].id) == live(ports)


def test_collect_keeps_what_is_stored_while_it_runs(ports: Ports) -> None:
    """A capture begins when the catalog has been read and completes before anything is deleted."""
    old = create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, old.id)
    made: list[Snapshot] = []
    during = During(ports.payloads, "delete", lambda: made.append(changed_snapshot(ports, 2)))
    collect_garbage(replace(ports, payloads=during), TENANT)
    assert content(ports, made[0].id) == live(ports)


def test_records_are_read_as_of_one_moment(ports: Ports) -> None:
    """Between the state and the snapshots, a capture completes, and the next one registers."""
    create_snapshot(ports, TENANT)

    def meanwhile() -> None:
        changed_snapshot(ports, 2)
        later(ports, 1)
        registered(ports)

    found = collect.read_records(replace(ports, catalog=During(ports.catalog, "restores", meanwhile)), TENANT)
    assert found == collect.read_records(ports, TENANT)
    assert found is not None
    assert len(found.creating) == 1


def test_collect_gives_up_when_the_records_never_stand_still(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    before = dict(stored(ports))

    class Restless:
        def __getattr__(self, name: str) -> Any:
            if name == "snapshots":
                ports.catalog.replace_snapshot(ports.catalog.snapshot(TENANT, snapshot.id))
            return getattr(ports.catalog, name)

    report = collect_garbage(replace(ports, catalog=Restless()), TENANT)
    assert stored(ports) == before
    assert report.deleted == Tally()
    assert report.kept == report.listed
    assert "changed each time" in report.problems[0]


def test_collect_deletes_nothing_when_a_manifest_is_damaged_and_names_it(ports: Ports) -> None:
    damaged = create_snapshot(ports, TENANT)
    changed_snapshot(ports, 2)
    assert damaged.manifest is not None
    damage(ports, damaged.manifest.key)
    before = dict(stored(ports))
    report = collect_garbage(ports, TENANT)
    assert stored(ports) == before
    assert (report.deleted, report.kept) == (Tally(), report.listed)
    assert damaged.manifest.key in report.problems[0]


def test_collect_goes_on_when_the_snapshot_with_the_damaged_manifest_is_deleted_and_over(ports: Ports) -> None:
    damaged = create_snapshot(ports, TENANT)
    held = changed_snapshot(ports, 2)
    assert damaged.manifest is not None
    damage(ports, damaged.manifest.key)
    delete_snapshot(ports, TENANT, damaged.id)
    assert collect_garbage(ports, TENANT).problems
    later(ports, 8)
    report = collect_garbage(ports, TENANT)
    assert (report.problems, report.purged) == ((), 1)
    assert damaged.manifest.key not in stored(ports)
    assert content(ports, held.id) == live(ports)


def test_collect_keeps_objects_that_are_not_its_own_and_those_of_other_tenants(ports: Ports) -> None:
    foreign = [
        f"{TENANT}/packs/readme.txt",
        f"{TENANT}/manifests/notes/x.txt",
        f"{TENANT}_2/packs/c/000-base-00000.pack",
    ]
    for name in foreign:
        ports.payloads.put(name, b"x")
    report = collect_garbage(ports, TENANT)
    assert set(stored(ports)) == set(foreign)
    assert (report.listed, report.kept) == (Tally(2, 2), Tally(2, 2))


def test_collect_reports_what_the_store_retains_and_keeps_the_record(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    put(ports, dict.fromkeys(KEYS, 2))
    create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, snapshot.id)
    later(ports, 8)
    assert isinstance(ports.payloads, MemoryPayloads)
    kept = next(one for one in packs(ports) if snapshot.capture_id in one)
    ports.payloads.retained.add(kept)
    report = collect_garbage(ports, TENANT)
    assert report.retained == Tally(1, len(stored(ports)[kept]))
    assert (report.expired, report.purged) == (1, 0)
    assert ports.catalog.snapshot(TENANT, snapshot.id).status is SnapshotStatus.PURGING
    ports.payloads.retained.clear()
    assert collect_garbage(ports, TENANT).purged == 1
    assert kept not in stored(ports)


def test_collect_changes_nothing_and_reports_the_same_when_it_is_dry(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    put(ports, dict.fromkeys(KEYS, 2))
    create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, snapshot.id)
    restore = restore_snapshot(ports, TENANT, next(ports.catalog.snapshots(TENANT)).id)
    run_restore(ports, restore.id)
    later(ports, 8)
    records = (list(ports.catalog.snapshots(TENANT)), list(ports.catalog.restores(TENANT)))
    before = dict(stored(ports))
    dry = collect_garbage(ports, TENANT, dry_run=True)
    assert stored(ports) == before
    assert (list(ports.catalog.snapshots(TENANT)), list(ports.catalog.restores(TENANT))) == records
    assert (dry.dry_run, dry.expired, dry.purged, dry.swept_generations) == (True, 1, 1, 1)
    assert dry.deleted.objects > 0
    assert replace(collect_garbage(ports, TENANT), dry_run=True) == dry


def test_collect_goes_on_where_it_ended_when_its_budget_was_spent(ports: Ports) -> None:
    for number in range(450):
        ports.payloads.put(f"{TENANT}/packs/{'d' * 32}/{number:03d}-base-00000.pack", b"xy")
    reports = [collect_garbage(ports, TENANT, budget_s=0)]
    while not reports[-1].done:
        reports.append(collect_garbage(ports, TENANT, budget_s=0))
    assert [report.deleted.objects for report in reports] == [200, 200, 50]
    whole = reports[0]
    for report in reports[1:]:
        whole = whole.followed_by(report)
    assert whole == Collection(TENANT, dry_run=False, listed=Tally(450, 900), deleted=Tally(450, 900))
    assert stored(ports) == {}


def test_collect_does_nothing_for_a_tenant_that_has_nothing(ports: Ports) -> None:
    nobody = replace(ports, table=memory_ports().table)
    assert collect_garbage(nobody, TENANT) == Collection(TENANT, dry_run=False)


# --- the recycle bin


def test_deleted_snapshot_is_brought_back_whole_when_its_time_is_not_over(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    wanted = content(ports, snapshot.id)
    put(ports, dict.fromkeys(KEYS, 2))
    create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, snapshot.id)
    later(ports, 6.9)
    collect_garbage(ports, TENANT)
    assert undelete_snapshot(ports, TENANT, snapshot.id) == replace(
        snapshot, version=ports.catalog.snapshot(TENANT, snapshot.id).version
    )
    later(ports, 8)
    collect_garbage(ports, TENANT)
    assert content(ports, snapshot.id) == wanted


def test_failed_snapshot_is_failed_again_when_it_is_brought_back(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT, budget_s=-1)
    failure = Failure("AwsFailure", "no answer")
    capture_phases.abort(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1, failure=failure)
    delete_snapshot(ports, TENANT, snapshot.id)
    assert undelete_snapshot(ports, TENANT, snapshot.id).status is SnapshotStatus.FAILED


def test_nothing_is_left_of_a_deleted_snapshot_when_its_time_is_over(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    put(ports, dict.fromkeys(KEYS, 2))
    create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, snapshot.id, recycle_bin_days=3)
    later(ports, 3)
    report = collect_garbage(ports, TENANT)
    assert (report.expired, report.purged) == (1, 1)
    assert snapshot.manifest is not None
    assert [one for one in stored(ports) if snapshot.capture_id in one or one == snapshot.manifest.key] == []
    with pytest.raises(SnapshotNotFound):
        ports.catalog.snapshot(TENANT, snapshot.id)


def test_undelete_is_refused_when_there_is_nothing_to_bring_back(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    with pytest.raises(SnapshotNotInRecycleBin, match="is completed"):
        undelete_snapshot(ports, TENANT, snapshot.id)
    delete_snapshot(ports, TENANT, snapshot.id)
    later(ports, 7)
    with pytest.raises(SnapshotNotInRecycleBin, match="is over"):
        undelete_snapshot(ports, TENANT, snapshot.id)
    ports.catalog.replace_snapshot(replace(ports.catalog.snapshot(TENANT, snapshot.id), status=SnapshotStatus.PURGING))
    with pytest.raises(SnapshotNotInRecycleBin, match="is over"):
        undelete_snapshot(ports, TENANT, snapshot.id)
    with pytest.raises(SnapshotNotFound):
        undelete_snapshot(ports, TENANT, "snapshot_2020-01-15T10-00-00Z")


def test_deleted_snapshot_is_not_found_and_the_error_says_until_when_it_can_be_undeleted(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, snapshot.id)
    for call in (get_snapshot, delete_snapshot, restore_snapshot):
        with pytest.raises(SnapshotNotFound, match="until 2026-01-22T10:00:00Z"):
            call(ports, TENANT, snapshot.id)
    later(ports, 7)
    with pytest.raises(SnapshotNotFound) as raised:
        get_snapshot(ports, TENANT, snapshot.id)
    assert "until" not in raised.value.message


def test_snapshot_is_marked_before_anything_of_it_is_deleted(ports: Ports) -> None:
    """Whoever undeletes at the last moment either gets a whole snapshot or is refused."""
    snapshot = create_snapshot(ports, TENANT)
    put(ports, dict.fromkeys(KEYS, 2))
    create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, snapshot.id)
    later(ports, 8)
    refused: list[SnapshotNotInRecycleBin] = []

    def undelete() -> None:
        record = ports.catalog.snapshot(TENANT, snapshot.id)
        if record.status is SnapshotStatus.DELETED:
            ports.catalog.replace_snapshot(record.undeleted())
        else:
            refused.append(SnapshotNotInRecycleBin("too late"))

    collect_garbage(replace(ports, payloads=During(ports.payloads, "delete", undelete)), TENANT)
    assert len(refused) == 1


def test_snapshot_is_kept_when_it_is_brought_back_at_the_last_moment(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    wanted = content(ports, snapshot.id)
    put(ports, dict.fromkeys(KEYS, 2))
    create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, snapshot.id)
    later(ports, 8)

    def undelete() -> None:
        ports.catalog.replace_snapshot(ports.catalog.snapshot(TENANT, snapshot.id).undeleted())

    report = collect_garbage(replace(ports, catalog=During(ports.catalog, "replace_snapshot", undelete)), TENANT)
    assert report.expired == 0
    assert content(ports, snapshot.id) == wanted


def test_base_of_the_next_capture_stays_until_that_is_made(ports: Ports) -> None:
    base = create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, base.id)
    later(ports, 8)
    assert collect_garbage(ports, TENANT).expired == 0
    following = changed_snapshot(ports, 2)
    assert following.parent_id == base.id
    assert following.new_bytes < following.stored_bytes
    report = collect_garbage(ports, TENANT)
    assert (report.expired, report.purged) == (1, 1)
    assert content(ports, following.id) == live(ports)


def test_base_is_the_snapshot_that_was_deleted_before_its_capture_ended(ports: Ports) -> None:
    """Its tombstones may be swept already, so that an older base would bring deleted entities back."""
    create_snapshot(ports, TENANT)
    delete(ports, KEYS[3])
    snapshot = create_snapshot(ports, TENANT, budget_s=-1)
    begun = capture_phases.begin(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1)
    for shard in begun.shards:
        capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=shard)

    class Cut(Exception):
        """The end of the process."""

    def die() -> None:
        delete_snapshot(ports, TENANT, snapshot.id)
        later(ports, 8)
        collect_garbage(ports, TENANT)
        raise Cut

    # The first look at gates after the tombstones are swept is where the capture ends.
    swept = During(ports.table, "commit", lambda: None)
    dying = replace(ports, table=During(swept, "replace_state", die))
    with pytest.raises(Cut):
        capture_phases.seal(dying, TENANT, snapshot.id, token=begun.token)
    capture_phases.begin(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=2)
    following = changed_snapshot(ports, 2)
    assert content(ports, following.id) == live(ports)
    assert KEYS[3] not in content(ports, following.id)


# --- restores


def restore_with_safety_on_a_deleted_base(ports: Ports) -> tuple[str, dict[EntityKey, str]]:
    """A restore that runs, what is live before its cutover, and nothing that names the base of its safety snapshot but
    the restore's record.
    """
    first = create_snapshot(ports, TENANT)
    base = changed_snapshot(ports, 2)
    put(ports, {KEYS[7]: 7})
    restore = restore_snapshot(ports, TENANT, first.id)
    delete_snapshot(ports, TENANT, base.id)
    later(ports, 8)
    return restore.id, live(ports)


@pytest.mark.parametrize("phase", ["Plan", "Stage", "Verify", "Cutover", "Preserve", "Retire"])
def test_restore_and_its_safety_snapshot_are_whole_when_collection_runs_before_any_phase(
    ports: Ports, phase: str
) -> None:
    restore_id, wrecked = restore_with_safety_on_a_deleted_base(ports)

    def between(entered: str) -> None:
        if entered == phase:
            collect_garbage(ports, TENANT)

    assert run_restore(ports, restore_id, between=between) is None
    restore = ports.catalog.restore(TENANT, restore_id)
    assert restore.status is RestoreStatus.COMPLETED
    assert live(ports) == content(ports, restore.snapshot_id)
    assert content(ports, restore.safety_snapshot_id or "") == wrecked


def test_safety_snapshot_is_whole_when_its_base_is_named_by_the_restore_alone(ports: Ports) -> None:
    """Collection between the flip, after which the tenant has another base, and the registration of the safety
    snapshot, which then builds on the old one.
    """
    restore_id, wrecked = restore_with_safety_on_a_deleted_base(ports)
    unregistered = During(ports.catalog, "add_snapshot", lambda: collect_garbage(ports, TENANT))
    assert run_restore(replace(ports, catalog=unregistered), restore_id) is None
    restore = ports.catalog.restore(TENANT, restore_id)
    assert content(ports, restore.safety_snapshot_id or "") == wrecked
    safety = ports.catalog.snapshot(TENANT, restore.safety_snapshot_id or "")
    assert safety.new_bytes < safety.stored_bytes


def test_restored_snapshot_stays_when_the_request_died_before_it_marked_it(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    put(ports, dict.fromkeys(KEYS, 2))
    create_snapshot(ports, TENANT)
    wanted = content(ports, snapshot.id)
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    ports.catalog.replace_snapshot(ports.catalog.snapshot(TENANT, snapshot.id).released_by(restore.id))
    delete_snapshot(ports, TENANT, snapshot.id)
    later(ports, 8)
    collect_garbage(ports, TENANT)
    assert run_restore(ports, restore.id) is None
    assert live(ports) == wanted


def test_restore_ends_when_its_safety_snapshot_is_deleted_before(ports: Ports) -> None:
    restore_id, _ = restore_with_safety_on_a_deleted_base(ports)

    def between(entered: str) -> None:
        if entered == "Retire":
            delete_snapshot(ports, TENANT, ports.catalog.restore(TENANT, restore_id).safety_snapshot_id or "")
            later(ports, 8)
            collect_garbage(ports, TENANT)

    assert run_restore(ports, restore_id, between=between) is None
    assert ports.catalog.restore(TENANT, restore_id).status is RestoreStatus.COMPLETED


def leave_behind(ports: Ports, generation: Generation, number: int = 99) -> None:
    """What a worker leaves that comes late."""
    one = key(number)
    ports.table.insert(TENANT, [Item(ItemKey(generation, 0, one.sort_key), "{}", 1)])


def left_behind(ports: Ports, generation: Generation) -> int:
    return sum(len(ports.table.page(TENANT, generation, shard).items) for shard in range(2))


def test_collect_sweeps_once_what_restores_left_behind_and_keeps_their_progress(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    completed = restore_snapshot(ports, TENANT, snapshot.id)
    run_restore(ports, completed.id)
    cancelled = restore_snapshot(ports, TENANT, snapshot.id)
    planned = restore_phases.plan(ports, TENANT, cancelled.id, attempt=1)
    ports.catalog.record_part(TENANT, cancelled.id, StagedPart(0, 25, ()))
    cancel_restore(ports, TENANT, cancelled.id)
    run_restore(ports, cancelled.id)
    leave_behind(ports, completed.from_generation)
    leave_behind(ports, cancelled.generation)
    before = live(ports)
    assert planned.token
    progress = get_restore(ports, TENANT, cancelled.id).done
    assert progress == 25

    assert collect_garbage(ports, TENANT).swept_generations == 2
    assert (left_behind(ports, completed.from_generation), left_behind(ports, cancelled.generation)) == (0, 0)
    assert ports.catalog.parts(TENANT, cancelled.id) == []
    assert get_restore(ports, TENANT, cancelled.id).done == progress
    assert live(ports) == before
    assert collect_garbage(ports, TENANT).swept_generations == 0


def test_collect_never_sweeps_a_generation_that_is_live_or_needed(ports: Ports) -> None:
    """Not even where a record says that its restore failed though readers see what it built."""
    snapshot = create_snapshot(ports, TENANT)
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    run_restore(ports, restore.id)
    record = ports.catalog.restore(TENANT, restore.id)
    ports.catalog.replace_restore(replace(record, status=RestoreStatus.FAILED))
    before = live(ports)
    assert before
    assert collect_garbage(ports, TENANT).swept_generations == 0
    assert live(ports) == before
    put(ports, {KEYS[5]: 5})
    before = live(ports)
    following = restore_snapshot(ports, TENANT, snapshot.id)
    assert collect_garbage(ports, TENANT).swept_generations == 0

    def between(_phase: str) -> None:
        collect_garbage(ports, TENANT)

    assert run_restore(ports, following.id, between=between) is None
    assert content(ports, ports.catalog.restore(TENANT, following.id).safety_snapshot_id or "") == before


def test_capture_is_sealed_again_when_its_notes_are_collected(ports: Ports) -> None:
    """Two runs of Seal: one has completed the snapshot, and its notes are gone when the other looks for them."""
    snapshot = create_snapshot(ports, TENANT, budget_s=-1)
    begun = capture_phases.begin(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1)
    for shard in begun.shards:
        capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=shard)

    def other_run() -> None:
        capture_phases.seal(ports, TENANT, snapshot.id, token=begun.token)
        collect_garbage(ports, TENANT)

    overtaken = replace(ports, payloads=During(ports.payloads, "get", other_run))
    assert capture_phases.seal(overtaken, TENANT, snapshot.id, token=begun.token).was_completed


def test_objects_of_the_report_are_what_the_store_lists(ports: Ports) -> None:
    create_snapshot(ports, TENANT)
    listed = list(ports.payloads.list(""))
    report = collect_garbage(ports, TENANT, dry_run=True)
    assert all(isinstance(one, StoredObject) for one in listed)
    assert report.listed == Tally(len(listed), sum(one.size_bytes for one in listed))
    assert report.kept.plus(report.deleted) == report.listed

"""Dry runs that outlast their request: counted by workers as of the same cut, ended whatever dies, and told how far."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

import pytest

from tests.driving import TENANT, delete, key, put, run_capture, run_restore
from tests.fakes import ManualClock, MemoryWorkflows
from tests.unit.engine.disturbed import Counter, Death, drive_on, numbered, settle, world
from tidemark.dialects.ngsi import restore_filter
from tidemark.domain.change import Change
from tidemark.domain.live import FencingToken, Lease
from tidemark.domain.restore import Changes
from tidemark.domain.restore_plan import NAMED, Counted, DryRun, PlanId, RestorePlan, together
from tidemark.domain.snapshot import Failure, Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.errors import (
    AwsFailure,
    CountIncomplete,
    DryRunInProgress,
    LeaseLost,
    NothingSelected,
    PlanNotFound,
    PlanNotReady,
    PlanOutdated,
    Unavailable,
    WriteConflict,
)
from tidemark.ports import Ports
from tidemark.usecases import dry_run_phases
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.dry_run import check_plan, dry_run
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot
from tidemark.usecases.stored_plans import UnderWay, find, look_at_plan, read_plan

OTHER: Final = Tenant("test")
TRIES: Final = 3
ROOMS: Final = Wish(selection=restore_filter.accept({"type": "Room"}))
NOBODY: Final = Wish(selection=restore_filter.accept({"type": "Bus"}))
# Of the snapshot's twelve rooms one was changed and one deleted since, and one is new.
CHANGES: Final = Changes(created=1, updated=1, deleted=1, unchanged=10)


def captured(ports: Ports) -> Snapshot:
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {key(1): 5, key(50): 1})
    delete(ports, key(2))
    return snapshot


def asked(ports: Ports, snapshot: Snapshot, wish: Wish = ROOMS) -> DryRun:
    """A dry run for which the request had no time."""
    made = dry_run(ports, TENANT, snapshot.id, wish, budget_s=-1)
    assert not isinstance(made, RestorePlan)
    return made


def count(ports: Ports, made: DryRun, attempt: int = 1) -> None:
    run_capture(ports, made.id, made.id, attempt=attempt, tenant=made.tenant)


def failure_of(ports: Ports, made: DryRun) -> Failure | None:
    found = look_at_plan(ports, TENANT, made.id)
    assert isinstance(found, UnderWay)
    return found.failure


@pytest.mark.parametrize("wish", [ROOMS, Wish()], ids=["read in full", "told from layers"])
def test_plan_counted_by_workers_is_of_the_cut_whatever_is_written_while_they_count(wish: Wish) -> None:
    ports = world()
    made = asked(ports, captured(ports), wish)
    for shard in dry_run_phases.begin(ports, TENANT, made.id, attempt=1).shards:
        put(ports, {key(3 + shard): 9, key(1): 1, key(60 + shard): 1, key(2): 7})
        delete(ports, key(50), key(8 + shard))
        dry_run_phases.count_shard(ports, TENANT, made.id, token=held(ports), shard=shard)
    dry_run_phases.conclude(ports, TENANT, made.id, token=held(ports))
    plan = read_plan(ports, TENANT, made.id)
    assert plan.changes == CHANGES
    assert (plan.created, plan.updated, plan.deleted) == ((key(2),), (key(1),), (key(50),))
    with pytest.raises(PlanOutdated, match="entities were written"):
        check_plan(ports, plan)
    settle(ports)


def find_lease(ports: Ports) -> Lease | None:
    state = ports.table.load(TENANT).state
    assert state is not None
    return state.lease


def held(ports: Ports) -> FencingToken:
    lease = find_lease(ports)
    assert lease is not None
    return lease.token


def test_plan_counted_by_workers_is_the_one_of_a_request_and_can_be_carried_out() -> None:
    ports = world()
    snapshot = captured(ports)
    inline = dry_run(ports, TENANT, snapshot.id, ROOMS)
    made = asked(ports, snapshot)
    count(ports, made)
    plan = read_plan(ports, TENANT, made.id)
    assert isinstance(inline, RestorePlan)
    assert replace(plan, id=inline.id, cut=inline.cut, made_at=inline.made_at) == inline
    check_plan(ports, plan)
    restore = restore_snapshot(ports, TENANT, snapshot.id, replace(ROOMS, generation=plan.generation))
    assert run_restore(ports, restore.id) is None
    assert ports.catalog.restore(TENANT, restore.id).changes == CHANGES


def test_dry_run_says_how_far_it_is_and_cannot_be_carried_out_before_it_is_over() -> None:
    ports = world()
    made = asked(ports, captured(ports))
    seen = []
    for shard in dry_run_phases.begin(ports, TENANT, made.id, attempt=1).shards:
        found = look_at_plan(ports, TENANT, made.id)
        assert isinstance(found, UnderWay)
        seen.append((found.percent, found.failure, found.dry_run))
        with pytest.raises(PlanNotReady, match="still being made"):
            read_plan(ports, TENANT, made.id)
        dry_run_phases.count_shard(ports, TENANT, made.id, token=held(ports), shard=shard)
    assert seen == [(0, None, made), (50, None, made)]


def test_nobody_captures_or_restores_while_a_dry_run_is_counted_and_everybody_can_afterwards() -> None:
    ports = world()
    snapshot = captured(ports)
    made = asked(ports, snapshot)
    for refused in (
        lambda: create_snapshot(ports, TENANT),
        lambda: restore_snapshot(ports, TENANT, snapshot.id),
        lambda: dry_run(ports, TENANT, snapshot.id, ROOMS),
    ):
        with pytest.raises(DryRunInProgress, match=made.id):
            refused()
    # Its execution runs, so nobody started another.
    assert isinstance(ports.workflows, MemoryWorkflows)
    assert [one.attempt for one in ports.workflows.started] == [1]
    count(ports, made)
    settle(ports)
    assert create_snapshot(ports, TENANT).status == "completed"


def test_whoever_comes_while_a_dry_run_ends_waits_for_its_last_calls() -> None:
    ports = world()
    made = asked(ports, captured(ports))
    token = dry_run_phases.begin(ports, TENANT, made.id, attempt=1).token
    for shard in range(made.shards):
        dry_run_phases.count_shard(ports, TENANT, made.id, token=token, shard=shard)

    class Meanwhile(ManualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if find_lease(ports) is not None:
                dry_run_phases.conclude(ports, TENANT, made.id, token=token)

    assert create_snapshot(replace(ports, clock=Meanwhile()), TENANT).status == "completed"
    assert read_plan(ports, TENANT, made.id).changes == CHANGES


def test_late_request_that_was_given_up_starts_nothing_and_is_to_be_repeated() -> None:
    ports = world()
    snapshot = captured(ports)
    workflows = ports.workflows
    assert isinstance(workflows, MemoryWorkflows)

    class Overtaken:
        """Payloads by which an execution looks for what it is asked just before the request has asked for it."""

        def __getattr__(self, name: str) -> object:
            if name == "put":
                lease = find_lease(ports)
                assert lease is not None
                assert dry_run_phases.begin(ports, TENANT, lease.subject, attempt=1).over
            return getattr(ports.payloads, name)

    late: Ports = replace(ports, payloads=Overtaken())  # type: ignore[arg-type]
    with pytest.raises(WriteConflict, match="ask for it again"):
        asked(late, snapshot)
    assert workflows.started == []
    settle(ports)


def test_execution_that_takes_over_just_when_the_request_asks_counts() -> None:
    ports = world()
    snapshot = captured(ports)
    stored: list[tuple[str, bytes]] = []

    class Dying:
        def __getattr__(self, name: str) -> object:
            return self._put if name == "put" else getattr(ports.payloads, name)

        def _put(self, key: str, body: bytes) -> None:
            stored.append((key, body))
            raise Death

    class Asking:
        """The table as an execution uses it; its first change is just behind the request's last look at the lease."""

        def __getattr__(self, name: str) -> object:
            if name == "replace_state" and stored:
                ports.payloads.put(*stored.pop())
            return getattr(ports.table, name)

    with pytest.raises(Death):
        asked(replace(ports, payloads=Dying()), snapshot)  # type: ignore[arg-type]
    lease = find_lease(ports)
    assert lease is not None
    asking: Ports = replace(ports, table=Asking())  # type: ignore[arg-type]
    assert not dry_run_phases.begin(asking, TENANT, lease.subject, attempt=1).over


def test_dry_run_into_a_tenant_that_is_new_is_counted_too_and_holds_until_that_has_data() -> None:
    ports = world()
    made = asked(ports, captured(ports), replace(ROOMS, target=OTHER))
    count(ports, made)
    plan = read_plan(ports, TENANT, made.id)
    assert plan.changes == Changes(created=12)
    check_plan(ports, plan)
    with pytest.raises(PlanNotFound):
        read_plan(ports, OTHER, made.id)
    put(ports, {key(0): 1}, tenant=OTHER)
    with pytest.raises(PlanOutdated):
        check_plan(ports, plan)


def test_dry_run_of_a_snapshot_that_was_deleted_meanwhile_fails_and_says_why() -> None:
    ports = world()
    snapshot = captured(ports)
    create_snapshot(ports, TENANT)
    made = asked(ports, snapshot)
    delete_snapshot(ports, TENANT, snapshot.id)
    count(ports, made)
    failure = failure_of(ports, made)
    assert failure is not None
    assert (failure.code, snapshot.id in failure.message) == ("SnapshotNotFound", True)
    with pytest.raises(PlanNotReady, match="could not be made"):
        read_plan(ports, TENANT, made.id)
    assert create_snapshot(ports, TENANT).status == "completed"


def test_request_that_cannot_start_the_execution_gives_the_lease_back() -> None:
    ports = world()
    snapshot = captured(ports)

    class Unreachable(MemoryWorkflows):
        def start_capture(self, *_args: object, **_named: object) -> None:
            raise AwsFailure("Step Functions does not answer")

    with pytest.raises(AwsFailure):
        asked(replace(ports, workflows=Unreachable()), snapshot)
    settle(ports)


def ask_and_count(ports: Ports, beside: Ports, budget_s: float, wish: Wish = ROOMS) -> None:
    oldest = list(beside.catalog.snapshots(TENANT))[-1]
    dry_run(ports, TENANT, oldest.id, wish, budget_s=budget_s)
    run_started(ports, beside)


def run_started(ports: Ports, beside: Ports, tries: int = 1) -> None:
    assert isinstance(beside.workflows, MemoryWorkflows)
    for one in beside.workflows.started:
        if beside.workflows.running(TENANT, one.subject, attempt=one.attempt):
            run_capture(ports, one.subject, one.capture_id or "", attempt=one.attempt, tries=tries)
            beside.workflows.end(TENANT, one.subject, attempt=one.attempt)


def calls_of(budget_s: float, wish: Wish = ROOMS) -> int:
    ports, counter = world(), Counter()
    captured(ports)
    with suppress(NothingSelected):
        ask_and_count(numbered(ports, counter), ports, budget_s, wish)
    return counter.calls


def plans_of(ports: Ports) -> list[RestorePlan | UnderWay]:
    """All that is found of dry runs."""
    ids = {one.key.split("/")[2] for one in ports.payloads.list("work-lists/plans/")}
    return [found for found in (find(ports, one) for one in sorted(ids)) if found is not None]


@pytest.mark.parametrize("budget_s", [5, -1], ids=["in the request", "by workers"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_dry_run_is_exact_or_ended_when_whoever_counts_dies_at_any_call(after: bool, budget_s: float) -> None:
    ready = 0
    for fatal in range(1, calls_of(budget_s) + 1):
        ports = world()
        captured(ports)
        with suppress(Death):
            ask_and_count(numbered(ports, Counter(fatal, after=after)), ports, budget_s)
        assert isinstance(ports.workflows, MemoryWorkflows)
        for one in ports.workflows.started:
            ports.workflows.end(TENANT, one.subject, attempt=one.attempt)
        # What moves live data comes only after whoever counted is gone; a later attempt counts as of the cut.
        put(ports, {key(4): 44})
        drive_on(ports)
        for found in plans_of(ports):
            assert isinstance(found, RestorePlan), (fatal, found)
            assert found.changes == CHANGES, fatal
            ready += 1
        settle(ports)
    # What a request counts is lost with it, up to its last call.
    assert (ready > 0) == (after or budget_s < 0)


def test_dry_run_that_selects_nothing_comes_to_no_plan_and_says_so() -> None:
    ports = world()
    snapshot = captured(ports)
    made = asked(ports, snapshot, NOBODY)
    count(ports, made)
    failure = failure_of(ports, made)
    assert failure is not None
    assert (failure.code, snapshot.id in failure.message) == ("NothingSelected", True)
    with pytest.raises(PlanNotReady):
        read_plan(ports, TENANT, made.id)
    with pytest.raises(NothingSelected) as refused:
        dry_run(ports, TENANT, snapshot.id, NOBODY)
    assert refused.value.message == failure.message
    # What is selected, but does not differ, is something.
    put(ports, {key(1, "Bus"): 1})
    create_snapshot(ports, TENANT)
    newest = next(iter(ports.catalog.snapshots(TENANT)))
    for budget_s in (5, -1):
        same = dry_run(ports, TENANT, newest.id, NOBODY, budget_s=budget_s)
        run_started(ports, ports)
        assert read_plan(ports, TENANT, same.id).changes == Changes(unchanged=13)
    settle(ports)


@pytest.mark.parametrize("budget_s", [5, -1], ids=["in the request", "by workers"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_dry_run_that_selects_nothing_holds_nothing_when_it_dies_at_any_call(after: bool, budget_s: float) -> None:
    for fatal in range(1, calls_of(budget_s, NOBODY) + 1):
        ports = world()
        captured(ports)
        with suppress(Death, NothingSelected):
            ask_and_count(numbered(ports, Counter(fatal, after=after)), ports, budget_s, NOBODY)
        assert isinstance(ports.workflows, MemoryWorkflows)
        for one in ports.workflows.started:
            ports.workflows.end(TENANT, one.subject, attempt=one.attempt)
        drive_on(ports)
        settle(ports)
        for found in plans_of(ports):
            assert isinstance(found, UnderWay), fatal
            assert found.failure is not None, fatal
            assert found.failure.code == "NothingSelected", fatal


@pytest.mark.parametrize("length", [1, TRIES, 3 * TRIES], ids=["once", "a-phase-long", "several-phases-long"])
@pytest.mark.parametrize("after", [False, True], ids=["turned away", "answer lost"])
def test_dry_run_is_exact_or_failed_when_aws_fails_at_any_call(after: bool, length: int) -> None:
    outcomes = set()
    for first in range(1, calls_of(-1) + 1):
        ports = world()
        snapshot = captured(ports)
        disturbed = numbered(
            ports, Counter(first, after=after, length=length, error=lambda: AwsFailure("AWS does not answer"))
        )
        made = None
        with suppress(Unavailable):
            made = dry_run(disturbed, TENANT, snapshot.id, ROOMS, budget_s=-1)
        with suppress(Unavailable):
            run_started(disturbed, ports, tries=TRIES)
        assert isinstance(ports.workflows, MemoryWorkflows)
        for one in ports.workflows.started:
            ports.workflows.end(TENANT, one.subject, attempt=one.attempt)
        drive_on(ports)
        settle(ports)
        if made is None:
            continue
        found = look_at_plan(ports, TENANT, made.id)
        if isinstance(found, UnderWay):
            assert found.failure is not None, first
            outcomes.add("failed")
        else:
            assert found.changes == CHANGES, first
            outcomes.add("ready")
    # One failure costs time, nothing else. An execution that can't even record why it failed leaves the lease, and the
    # next attempt succeeds.
    assert outcomes == ({"ready", "failed"} if length == TRIES else {"ready"})


def test_later_attempt_goes_on_from_the_shards_that_are_counted() -> None:
    ports = world()
    made = asked(ports, captured(ports))
    begun = dry_run_phases.begin(ports, TENANT, made.id, attempt=1)
    first = dry_run_phases.count_shard(ports, TENANT, made.id, token=begun.token, shard=0)
    again = dry_run_phases.begin(ports, TENANT, made.id, attempt=2)

    class Unread:
        def __getattr__(self, name: str) -> object:
            assert name == "load"
            return getattr(ports.table, name)

    unread: Ports = replace(ports, table=Unread())  # type: ignore[arg-type]
    assert dry_run_phases.count_shard(unread, TENANT, made.id, token=again.token, shard=0) == first
    with pytest.raises(LeaseLost):
        dry_run_phases.count_shard(ports, TENANT, made.id, token=begun.token, shard=1)
    with pytest.raises(CountIncomplete, match="1 shards"):
        dry_run_phases.conclude(ports, TENANT, made.id, token=again.token)


def test_worker_whose_lease_passes_on_while_it_counts_notes_nothing() -> None:
    ports = world()
    made = asked(ports, captured(ports))
    token = dry_run_phases.begin(ports, TENANT, made.id, attempt=1).token
    page = ports.table.page

    class Slow:
        def __getattr__(self, name: str) -> Callable[..., object]:
            if name == "page":
                dry_run_phases.abort(ports, TENANT, made.id, attempt=1, failure=Failure("LeaseLost", "too slow"))
                return page
            found: Callable[..., object] = getattr(ports.table, name)
            return found

    slow: Ports = replace(ports, table=Slow())  # type: ignore[arg-type]
    with pytest.raises(LeaseLost):
        dry_run_phases.count_shard(slow, TENANT, made.id, token=token, shard=0)
    found = look_at_plan(ports, TENANT, made.id)
    assert isinstance(found, UnderWay)
    assert (found.counted, found.failure) == (0, Failure("LeaseLost", "too slow"))


def test_late_abort_leaves_a_later_attempt_and_a_plan_that_is_ready_alone() -> None:
    ports = world()
    made = asked(ports, captured(ports))
    dry_run_phases.begin(ports, TENANT, made.id, attempt=2)
    failure = Failure("Throttled", "AWS throttled")
    assert dry_run_phases.abort(ports, TENANT, made.id, attempt=1, failure=failure) == "creating"
    assert failure_of(ports, made) is None
    count(ports, made, attempt=2)
    assert dry_run_phases.abort(ports, TENANT, made.id, attempt=2, failure=failure) == "completed"
    assert read_plan(ports, TENANT, made.id).changes == CHANGES
    assert dry_run_phases.begin(ports, TENANT, made.id, attempt=3).over


def test_plan_of_a_conclude_that_comes_after_its_abort_does_not_hold() -> None:
    ports = world()
    snapshot = captured(ports)
    put(ports, {key(1): 1, key(2): 1}, tenant=OTHER)
    made = asked(ports, snapshot, replace(ROOMS, target=OTHER))
    begun = dry_run_phases.begin(ports, OTHER, made.id, attempt=1)
    for shard in begun.shards:
        dry_run_phases.count_shard(ports, OTHER, made.id, token=begun.token, shard=shard)

    class Late:
        """Payloads that take the plan only after the dry run was given up."""

        def __getattr__(self, name: str) -> object:
            if name == "put":
                dry_run_phases.abort(ports, OTHER, made.id, attempt=1, failure=Failure("Unavailable", "too slow"))
            return getattr(ports.payloads, name)

    late: Ports = replace(ports, payloads=Late())  # type: ignore[arg-type]
    with pytest.raises(LeaseLost):
        dry_run_phases.conclude(late, OTHER, made.id, token=begun.token)
    # Nobody noted a cut from which on deletes leave tombstones, so this one can't be seen.
    delete(ports, key(1), tenant=OTHER)
    with pytest.raises(PlanOutdated):
        check_plan(ports, read_plan(ports, TENANT, made.id))


def test_parts_together_name_the_first_of_all_in_order() -> None:
    parts = [
        Counted(Changes(created=NAMED), {Change.CREATED: [f"{n:05}" for n in range(odd, 2 * NAMED, 2)]})
        for odd in (1, 0)
    ]
    whole = together(parts)
    assert whole.changes == Changes(created=2 * NAMED)
    assert whole.named == {"created": [f"{n:05}" for n in range(NAMED)], "updated": [], "deleted": []}


def test_plan_that_was_never_asked_of_an_execution_is_ended_by_it() -> None:
    ports = world()
    assert find(ports, PlanId("plan_" + "0" * 32)) is None
    with pytest.raises(PlanNotFound):
        dry_run_phases.count_shard(ports, TENANT, "plan_" + "0" * 32, token=_somebodys(ports), shard=0)


def _somebodys(ports: Ports) -> int:
    create_snapshot(ports, TENANT, budget_s=-1)
    return held(ports)

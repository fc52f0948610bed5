"""The phases of the backup of one slot: Run, until the snapshot is there, and Conclude.

EventBridge Scheduler may deliver a slot late, twice, and after a later one. Each delivery is an execution; the first
that claims the slot in the schedule's record makes its snapshot, and the others are over at once. Slots are claimed in
their order, those that wait in a queue too: one that a later one has overtaken is not made. An execution that died
between its steps leaves a claim that nobody renews; when `CLAIM_FOR` has passed, a later slot is run regardless.

A slot that is not run is noted as such: `SKIPPED`, which it stays, or `MISSED`, until it is run after all.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf
from typing import Final, NamedTuple, Protocol

from tidemark.domain.patience import ask_again_in_s
from tidemark.domain.schedule import LastRun, Missed, Overlap, RunStatus, Schedule, ScheduleStatus
from tidemark.domain.snapshot import Failure, SnapshotId
from tidemark.domain.tenant import Tenant
from tidemark.errors import BackupOverdue, ScheduleNotFound, StaleRecord, TidemarkError
from tidemark.ports import Ports
from tidemark.usecases import entity_slots, volume_slots
from tidemark.usecases.delete_snapshot import RECYCLE_BIN_DAYS
from tidemark.usecases.records import amend_schedule
from tidemark.usecases.slot_notes import (
    CLAIM_FOR,
    SlotSnapshot,
    end_dead_run,
    ending,
    goes_on,
    is_being_made,
    is_of,
    is_yet_to_come,
    note_missed,
    note_waiting,
    refuse_yet_to_come,
    waits_behind,
    without,
)

_RENEWED_AFTER: Final = timedelta(minutes=1)
GIVEN_UP_AFTER: Final = timedelta(hours=12)
_SHORTEST_WAIT_S: Final = 5
_LONGEST_WAIT_S: Final = 60


class SlotState(StrEnum):
    """What the execution is to do next. `WAITING`: ask again, for something else goes on; `CREATING`: ask again, for
    its snapshot is being made; `MADE`: conclude; `SKIPPED`, by the overlap policy, and `OVER`: nothing.
    """

    WAITING = "waiting"
    CREATING = "creating"
    MADE = "made"
    SKIPPED = "skipped"
    OVER = "over"


class SlotRun(NamedTuple):
    """How far a slot is. `reason` says why there is nothing to do, or why it has to wait; `wait_s` is after how many
    seconds to ask again.
    """

    state: SlotState
    snapshot_id: SnapshotId | None = None
    reason: str = ""
    wait_s: int = 0


class _Making(Protocol):
    """What makes the snapshots of a schedule, by what they are of."""

    @property
    def BUSY(self) -> tuple[type[TidemarkError], ...]:  # noqa: N802 - a constant of a module
        """What the slot waits for."""
        ...

    def make(self, ports: Ports, schedule: Schedule, claimed: LastRun, budget_s: float, /) -> SlotSnapshot:
        """The snapshot of the slot that has the claim, made or looked after."""
        ...

    def check(self, ports: Ports, schedule: Schedule, snapshot_id: SnapshotId, /) -> Failure | None:
        """What is wrong with the snapshot."""
        ...

    def forget(self, ports: Ports, schedule: Schedule, recycle_bin_days: int, budget_s: float, /) -> None:
        """Forget what the schedule's policy does not keep."""
        ...


def run_slot(
    ports: Ports,
    tenant: Tenant,
    schedule_id: str,
    slot_at: datetime,
    *,
    owner: str,
    begun_at: datetime,
    budget_s: float = 5.0,
) -> SlotRun:
    """Claim the slot for the execution `owner`, and make its snapshot. Asked again by the same one, it goes on.

    A schedule that was deleted or paused since the slot was due makes none. Raises what a capture does, other than that
    the tenant is busy; BackupOverdue where the execution, which began at `begun_at`, has waited for half a day; and
    InvalidRequest for a slot that is yet to come, which would keep those before it from being made.
    """
    refuse_yet_to_come(ports, slot_at)
    run = _run(ports, tenant, schedule_id, slot_at, owner, budget_s)
    if run.state not in {SlotState.WAITING, SlotState.CREATING}:
        return run
    waited = ports.clock.now() - begun_at
    if waited >= GIVEN_UP_AFTER:
        why = run.reason or f"snapshot {run.snapshot_id} is still being made"
        raise BackupOverdue(f"the slot was given up after {GIVEN_UP_AFTER // timedelta(hours=1)} hours: {why}")
    return run._replace(wait_s=ask_again_in_s(waited, shortest_s=_SHORTEST_WAIT_S, longest_s=_LONGEST_WAIT_S))


def conclude_slot(
    ports: Ports,
    tenant: Tenant,
    schedule_id: str,
    slot_at: datetime,
    *,
    owner: str,
    failure: Failure | None = None,
    recycle_bin_days: int = RECYCLE_BIN_DAYS,
    budget_s: float = inf,
) -> LastRun | Missed | None:
    """Read the manifest of the slot's snapshot back, forget what the policy says, and note how the run ended. With a
    `failure`, which is why there is no snapshot, a slot that was never begun is missed. None where the slot is another
    execution's by now.

    Nothing is forgotten unless the new snapshot is good, nor once the schedule is deleted. It can be repeated.
    """
    with suppress(ScheduleNotFound):
        schedule = ports.catalog.schedule(tenant, schedule_id)
        if is_of(schedule.last_run, slot_at, owner):
            if schedule.last_run is not None and schedule.last_run.status is not RunStatus.RUNNING:
                return schedule.last_run
            found = failure or _check(ports, schedule)
            if found is None:
                _making(schedule).forget(ports, schedule, recycle_bin_days, budget_s)
            ended = ending(slot_at, owner, found, ports.clock.now())
            return amend_schedule(ports.catalog, tenant, schedule_id, ended).last_run
        # One that is yet to come can't be missed: noted as the last one, it would hide all that are.
        if failure is not None and schedule.newer(slot_at) and not is_yet_to_come(ports, slot_at):
            return note_missed(ports, schedule, Missed(slot_at, RunStatus.MISSED, failure.message, ports.clock.now()))
    return None


def _run(ports: Ports, tenant: Tenant, schedule_id: str, slot_at: datetime, owner: str, budget_s: float) -> SlotRun:
    try:
        claimed = _claim(ports, tenant, schedule_id, slot_at, owner)
    except ScheduleNotFound:
        return SlotRun(SlotState.OVER, reason="the schedule was deleted")
    return claimed if isinstance(claimed, SlotRun) else _make(ports, claimed, budget_s)


def _claim(ports: Ports, tenant: Tenant, schedule_id: str, slot_at: datetime, owner: str) -> Schedule | SlotRun:
    """The schedule once its last run is this slot's; or why that is not to be, or not now. Raises ScheduleNotFound."""
    while True:
        schedule = ports.catalog.schedule(tenant, schedule_id)
        refused = _refusal(ports, schedule, slot_at, owner)
        if refused is not None:
            return refused
        last = schedule.last_run
        # Nobody would hear that a run has died, once it is not the last one any more.
        if not is_of(last, slot_at, owner) and end_dead_run(ports, schedule, unheard_for=CLAIM_FOR) is not None:
            continue
        claimed = _claimed(schedule, slot_at, owner, ports.clock.now())
        if claimed == last:
            return schedule
        with suppress(StaleRecord):
            queue = without(schedule.waiting, slot_at)
            return ports.catalog.replace_schedule(replace(schedule, last_run=claimed, waiting=queue))


def _refusal(ports: Ports, schedule: Schedule, slot_at: datetime, owner: str) -> SlotRun | None:
    """Why the slot can't be run by this execution, or not now."""
    last = schedule.last_run
    if is_of(last, slot_at, owner):
        return None
    over = _over(schedule, slot_at)
    if over is not None:
        return SlotRun(SlotState.OVER, reason=over)
    if last is None or not goes_on(ports, schedule, CLAIM_FOR):
        first = waits_behind(schedule, slot_at, ports.clock.now())
        if first is None:
            return None
        return _wait(ports, schedule, slot_at, f"the slot {first.isoformat()} waits, too, and comes first")
    if schedule.volume_id is not None and last.snapshot_id is not None:
        # While nobody makes it, each slot would find it under way, until the next collection.
        volume_slots.drive_on(ports, schedule, last.snapshot_id)
    if schedule.overlap is Overlap.SKIP:
        reason = "the schedule's last run went on, and its overlap policy is to skip"
        with suppress(ScheduleNotFound):
            note_missed(ports, schedule, Missed(slot_at, RunStatus.SKIPPED, reason, ports.clock.now()))
        return SlotRun(SlotState.SKIPPED, reason=reason)
    return _wait(ports, schedule, slot_at, "the schedule's last run goes on")


def _wait(ports: Ports, schedule: Schedule, slot_at: datetime, reason: str) -> SlotRun:
    with suppress(ScheduleNotFound):
        note_waiting(ports, schedule, slot_at)
    return SlotRun(SlotState.WAITING, reason=reason)


def _over(schedule: Schedule, slot_at: datetime) -> str | None:
    """Why the slot is never to be run by another execution than the one that has it, if any."""
    last, missed = schedule.last_run, schedule.last_missed
    if schedule.status is ScheduleStatus.REMOVING or schedule.paused:
        return "the schedule was paused or deleted after the slot was due"
    if last is not None and not schedule.newer(slot_at):
        return f"the slot was {'delivered before' if slot_at == last.slot_at else 'overtaken by a later one'}"
    if missed is not None and missed.slot_at == slot_at and missed.status is RunStatus.SKIPPED:
        return "the slot was delivered before, and skipped"
    return None


def _claimed(schedule: Schedule, slot_at: datetime, owner: str, now: datetime) -> LastRun:
    """The claim as it is to be: new, or renewed where it is some time old."""
    last = schedule.last_run
    if last is None or not is_of(last, slot_at, owner):
        return LastRun(slot_at, now, RunStatus.RUNNING, owner=owner, seen_at=now)
    stale = last.seen_at is None or now - last.seen_at >= _RENEWED_AFTER
    return replace(last, seen_at=now) if stale and last.status is RunStatus.RUNNING else last


def _make(ports: Ports, schedule: Schedule, budget_s: float) -> SlotRun:
    """The snapshot of the slot that has the claim, made or looked after."""
    claimed = schedule.last_run
    if claimed is None:
        raise AssertionError("a slot is made whose claim was not stored")
    if claimed.status is not RunStatus.RUNNING:
        return SlotRun(SlotState.OVER, claimed.snapshot_id, "the slot was concluded before")
    if claimed.snapshot_id is not None and not is_being_made(ports, schedule, claimed.snapshot_id):
        return SlotRun(SlotState.MADE, claimed.snapshot_id)
    making = _making(schedule)
    try:
        snapshot = making.make(ports, schedule, claimed, budget_s)
    except making.BUSY as busy:
        return SlotRun(SlotState.WAITING, claimed.snapshot_id, busy.message)

    def note(present: Schedule) -> Schedule:
        last = present.last_run
        if last is None or not is_of(last, claimed.slot_at, claimed.owner):
            return present
        return replace(present, last_run=replace(last, snapshot_id=snapshot.id))

    with suppress(ScheduleNotFound):
        amend_schedule(ports.catalog, schedule.tenant, schedule.id, note)
    return SlotRun(SlotState.CREATING if snapshot.being_made else SlotState.MADE, snapshot.id)


def _check(ports: Ports, schedule: Schedule) -> Failure | None:
    """What is wrong with the snapshot of the schedule's last run."""
    last = schedule.last_run
    if last is None or last.snapshot_id is None:
        return Failure("BackupFailed", "no snapshot was made")
    return _making(schedule).check(ports, schedule, last.snapshot_id)


def _making(schedule: Schedule) -> _Making:
    return entity_slots if schedule.volume_id is None else volume_slots

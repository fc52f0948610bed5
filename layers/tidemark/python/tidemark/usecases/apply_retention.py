"""Forget what a schedule's retention policy does not keep, through the recycle bin."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf

from tidemark.domain.retention import Decision, Verdict
from tidemark.domain.schedule import Schedule, ScheduleStatus
from tidemark.domain.snapshot import SnapshotId
from tidemark.errors import (
    ScheduleNotFound,
    SnapshotHeld,
    SnapshotInUse,
    SnapshotNotFound,
    SnapshotPinned,
    TidemarkError,
    VolumeSnapshotNotFound,
)
from tidemark.ports import Ports
from tidemark.usecases.delete_snapshot import RECYCLE_BIN_DAYS, delete_snapshot
from tidemark.usecases.preview_retention import decided


def apply_retention(
    ports: Ports, schedule: Schedule, *, recycle_bin_days: int = RECYCLE_BIN_DAYS, budget_s: float = inf
) -> list[SnapshotId]:
    """Put into the recycle bin what the schedule's policy does not keep; their ids. It can be repeated.

    What somebody began to use, pinned or put under a hold since it was decided on stays. And from the moment on that
    the schedule is deleted, or has another policy, nothing goes by this one any more. What does not fit
    `budget_s` goes after the next slot.
    """
    if schedule.retention is None:
        return []

    def forget(snapshot_id: SnapshotId) -> None:
        delete_snapshot(ports, schedule.tenant, snapshot_id, recycle_bin_days=recycle_bin_days)

    decisions = decided(ports, schedule, schedule.retention).decisions
    return forget_by(ports, schedule, decisions, forget, budget_s=budget_s)


def forget_by(
    ports: Ports,
    schedule: Schedule,
    decisions: Iterable[Decision],
    forget: Callable[[SnapshotId], object],
    *,
    budget_s: float,
    left_for: tuple[type[TidemarkError], ...] = (),
) -> list[SnapshotId]:
    """Forget what was decided on so, unless something keeps it by now; their ids. One that fails for a reason of
    `left_for` is left, too.
    """
    until_s = ports.clock.monotonic_s() + budget_s
    stays: tuple[type[TidemarkError], ...] = (SnapshotInUse, SnapshotPinned, SnapshotHeld)
    stays += (SnapshotNotFound, VolumeSnapshotNotFound, *left_for)
    forgotten: list[SnapshotId] = []
    for decision in decisions:
        if decision.verdict is Verdict.FORGET:
            if ports.clock.monotonic_s() >= until_s or not _still_wanted(ports, schedule):
                return forgotten
            with suppress(*stays):
                forget(decision.candidate.id)
                forgotten.append(decision.candidate.id)
    return forgotten


def _still_wanted(ports: Ports, schedule: Schedule) -> bool:
    """Whether the policy that was decided by is the schedule's still."""
    try:
        present = ports.catalog.schedule(schedule.tenant, schedule.id)
    except ScheduleNotFound:
        return False
    decided_by = (schedule.retention, schedule.timezone)
    return present.status is not ScheduleStatus.REMOVING and (present.retention, present.timezone) == decided_by

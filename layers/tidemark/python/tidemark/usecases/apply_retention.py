"""Forget what a schedule's retention policy does not keep, through the recycle bin."""

from contextlib import suppress

from tidemark.domain.retention import Verdict
from tidemark.domain.schedule import Schedule
from tidemark.domain.snapshot import SnapshotId
from tidemark.errors import SnapshotHeld, SnapshotInUse, SnapshotNotFound, SnapshotPinned
from tidemark.ports import Ports
from tidemark.usecases.delete_snapshot import RECYCLE_BIN_DAYS, delete_snapshot
from tidemark.usecases.preview_retention import decided


def apply_retention(ports: Ports, schedule: Schedule, *, recycle_bin_days: int = RECYCLE_BIN_DAYS) -> list[SnapshotId]:
    """Put into the recycle bin what the schedule's policy does not keep; their ids. It can be repeated.

    What somebody began to use, pinned or put under a hold since it was decided on stays.
    """
    forgotten: list[SnapshotId] = []
    if schedule.retention is None:
        return forgotten
    for decision in decided(ports, schedule, schedule.retention).decisions:
        if decision.verdict is Verdict.FORGET:
            with suppress(SnapshotInUse, SnapshotPinned, SnapshotHeld, SnapshotNotFound):
                delete_snapshot(ports, schedule.tenant, decision.candidate.id, recycle_bin_days=recycle_bin_days)
                forgotten.append(decision.candidate.id)
    return forgotten

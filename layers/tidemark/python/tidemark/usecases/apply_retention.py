"""Decide which snapshots of a schedule stay by its policy, and forget the others, through the recycle bin."""

from contextlib import suppress

from tidemark.domain.retention import Candidate, Decision, RetentionPolicy, Verdict, candidate_of, decide, made_by
from tidemark.domain.schedule import Schedule
from tidemark.domain.snapshot import Snapshot, SnapshotId
from tidemark.domain.tenant import Tenant
from tidemark.domain.zones import parse_zone
from tidemark.errors import InvalidRequest, SnapshotHeld, SnapshotInUse, SnapshotNotFound, SnapshotPinned
from tidemark.ports import Ports
from tidemark.usecases.delete_snapshot import RECYCLE_BIN_DAYS, delete_snapshot
from tidemark.usecases.setting_schedules import wanted_schedule


def preview_retention(
    ports: Ports, tenant: Tenant, schedule_id: str, policy: RetentionPolicy | None = None
) -> tuple[Decision, ...]:
    """What the schedule's policy, or another one in its place, would do now to each snapshot of the tenant that a
    schedule made, newest first. Nothing is changed.

    Raises ScheduleNotFound, and InvalidRequest where there is no policy.
    """
    schedule = wanted_schedule(ports, tenant, schedule_id)
    tried = policy or schedule.retention
    if tried is None:
        raise InvalidRequest(
            f"schedule {schedule_id} has no retention policy, so it forgets nothing: send the one to try, such as "
            '{"retention": {"daily": 7}}'
        )
    return _decisions(ports, schedule, tried)


def apply_retention(ports: Ports, schedule: Schedule, *, recycle_bin_days: int = RECYCLE_BIN_DAYS) -> list[SnapshotId]:
    """Put into the recycle bin what the schedule's policy does not keep; their ids. It can be repeated.

    What somebody began to use, pinned or put under a hold since it was decided on stays.
    """
    forgotten: list[SnapshotId] = []
    if schedule.retention is None:
        return forgotten
    for decision in _decisions(ports, schedule, schedule.retention):
        if decision.verdict is Verdict.FORGET:
            with suppress(SnapshotInUse, SnapshotPinned, SnapshotHeld, SnapshotNotFound):
                delete_snapshot(ports, schedule.tenant, decision.candidate.id, recycle_bin_days=recycle_bin_days)
                forgotten.append(decision.candidate.id)
    return forgotten


def _decisions(ports: Ports, schedule: Schedule, policy: RetentionPolicy) -> tuple[Decision, ...]:
    # Of a snapshot whose record is damaged nothing is known, so it neither counts nor is forgotten.
    found = [one for one in ports.catalog.found_snapshots(schedule.tenant) if isinstance(one, Snapshot)]
    seen: list[Candidate] = [
        candidate_of(one, schedule_id=one.schedule_id)
        for one in found
        if one.schedule_id is not None and not one.forgotten
    ]
    zone = parse_zone(schedule.timezone)
    return decide(seen, policy, concerns=made_by(schedule.id), zone=zone, now=ports.clock.now())

"""Decide which snapshots a retention policy keeps, and show that without deleting anything."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from tidemark.domain.interval import IntervalType
from tidemark.domain.retention import Decision, RetentionPolicy, Verdict, candidate_of, decide, made_by
from tidemark.domain.schedule import Schedule, check_retention
from tidemark.domain.snapshot import Failure, Snapshot, SnapshotId
from tidemark.domain.tenant import Tenant
from tidemark.domain.zones import parse_zone
from tidemark.errors import InvalidRequest
from tidemark.ports import Ports
from tidemark.usecases.setting_schedules import wanted_schedule


class Shown(NamedTuple):
    """What people know a snapshot by, besides its id."""

    description: str
    interval: IntervalType


class Preview(NamedTuple):
    """What a policy would do now: a decision on each snapshot, newest first, and what those are called.

    `damage` is why records of the tenant could not be read: of such a snapshot nothing is known, so it neither counts
    nor is forgotten.
    """

    schedule: Schedule
    policy: RetentionPolicy
    decisions: tuple[Decision, ...]
    shown: Mapping[SnapshotId, Shown]
    damage: tuple[Failure, ...] = ()

    def counts(self) -> Mapping[Verdict, int]:
        """How many snapshots there are of each verdict; 0 where there are none."""
        found = Counter(one.verdict for one in self.decisions)
        return {verdict: found[verdict] for verdict in Verdict}


def preview_retention(ports: Ports, tenant: Tenant, schedule_id: str, policy: RetentionPolicy | None = None) -> Preview:
    """What the schedule's policy, or another one in its place, would do now to each snapshot of the tenant that a
    schedule made. Nothing is changed.

    Raises ScheduleNotFound, and InvalidRequest where there is no policy or it contradicts the schedule.
    """
    schedule = wanted_schedule(ports, tenant, schedule_id)
    tried = policy or schedule.retention
    if tried is None:
        raise InvalidRequest(
            f"schedule {schedule_id} has no retention policy, so it forgets nothing: send the one to try, such as "
            '{"retention": {"daily": 7}}'
        )
    check_retention(tried, schedule.interval())
    return decided(ports, schedule, tried)


def decided(ports: Ports, schedule: Schedule, policy: RetentionPolicy) -> Preview:
    """What a policy says of the snapshots of the schedule, and of those of other schedules of its tenant."""
    found = list(ports.catalog.found_snapshots(schedule.tenant))
    seen = [one for one in found if isinstance(one, Snapshot) and one.schedule_id is not None and not one.forgotten]
    decisions = decide(
        [candidate_of(one, schedule_id=one.schedule_id) for one in seen],
        policy,
        concerns=made_by(schedule.id),
        zone=parse_zone(schedule.timezone),
        now=ports.clock.now(),
    )
    return Preview(
        schedule,
        policy,
        decisions,
        {one.id: Shown(one.description, one.interval) for one in seen},
        tuple(one.failure for one in found if not isinstance(one, Snapshot)),
    )

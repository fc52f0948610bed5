"""Change what is said about a snapshot. What it holds never changes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from tidemark.domain.snapshot import MAX_LIFETIME, MIN_LIFETIME, Snapshot, SnapshotStatus, whole_second
from tidemark.domain.tenant import Tenant
from tidemark.errors import InvalidRequest, SnapshotNotCompleted
from tidemark.ports import Ports
from tidemark.usecases.read_snapshots import deleted
from tidemark.usecases.records import amend_snapshot


class Unsaid(Enum):
    """What a change does not mention, and so leaves as it is."""

    UNSAID = "unsaid"


UNSAID = Unsaid.UNSAID


@dataclass(frozen=True, slots=True)
class SnapshotChange:
    """What to say anew. `expires`: at a moment, so long after now, or never (None)."""

    description: str | Unsaid = UNSAID
    labels: Mapping[str, str] | Unsaid = UNSAID
    expires: datetime | timedelta | Unsaid | None = UNSAID
    pinned: bool | Unsaid = UNSAID


def update_snapshot(ports: Ports, tenant: Tenant, snapshot_id: str, change: SnapshotChange) -> Snapshot:
    """The snapshot with the change, in whatever state it is. It can be repeated.

    Raises SnapshotNotFound, also for one that was deleted; SnapshotNotCompleted where one that isn't is to be pinned;
    InvalidRequest for a moment that is over or far away.
    """
    expires_at = _moment(change.expires, ports.clock.now())

    def say(snapshot: Snapshot) -> Snapshot:
        if snapshot.forgotten:
            raise deleted(ports, snapshot)
        if change.pinned is True and snapshot.status is not SnapshotStatus.COMPLETED:
            raise SnapshotNotCompleted(
                f"snapshot {snapshot.id} is {snapshot.status}: only a completed one can be pinned"
            )
        return replace(
            snapshot,
            description=_said(change.description, snapshot.description),
            labels=_said(change.labels, snapshot.labels),
            expires_at=_said(expires_at, snapshot.expires_at),
            pinned=_said(change.pinned, snapshot.pinned),
        )

    return amend_snapshot(ports.catalog, tenant, snapshot_id, say)


def _said[T](new: T | Unsaid, present: T) -> T:
    return present if isinstance(new, Unsaid) else new


def _moment(expires: datetime | timedelta | Unsaid | None, now: datetime) -> datetime | Unsaid | None:
    if isinstance(expires, timedelta):
        return whole_second(now + expires)
    if not isinstance(expires, datetime):
        return expires
    if not MIN_LIFETIME <= expires - now <= MAX_LIFETIME:
        raise InvalidRequest(
            "a snapshot can expire a minute from now at the earliest, and 3650 days from now at the latest"
        )
    return whole_second(expires)

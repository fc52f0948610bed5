"""Get and list snapshots. Only the catalog is read."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from tidemark.domain.interval import IntervalType
from tidemark.domain.snapshot import DamagedSnapshot, Failure, Snapshot, SnapshotStatus, Trigger
from tidemark.domain.tenant import Tenant
from tidemark.errors import SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.listing import Listing, page_of

_NO_LABELS: Final[Mapping[str, str | None]] = MappingProxyType({})


class SnapshotsWanted(NamedTuple):
    """Which snapshots to list: those of which all this holds.

    `standing` as `Snapshot.standing` says it; None means any but deleted. `labels`: each must be there, with the value
    if one is given. From `since` on, earlier than `before`.
    """

    standing: str | None = None
    labels: Mapping[str, str | None] = _NO_LABELS
    trigger: Trigger | None = None
    schedule_id: str | None = None
    interval: IntervalType | None = None
    since: datetime | None = None
    before: datetime | None = None

    def fits(self, snapshot: Snapshot, now: datetime) -> bool:
        """Whether it is wanted, its second of creation apart."""
        if self.standing == SnapshotStatus.DELETED:
            seen = snapshot.recycled(now)
        else:
            seen = not snapshot.forgotten and self.standing in {None, snapshot.standing}
        return (
            seen
            and self.trigger in {None, snapshot.trigger}
            and self.schedule_id in {None, snapshot.schedule_id}
            and self.interval in {None, snapshot.interval}
            and all(
                key in snapshot.labels and value in {None, snapshot.labels[key]} for key, value in self.labels.items()
            )
        )

    @property
    def fits_damaged(self) -> bool:
        """Whether one is wanted of which nothing is known but that it failed its checksum."""
        asked = (self.trigger, self.schedule_id, self.interval)
        return self.standing in {None, SnapshotStatus.FAILED} and not self.labels and asked == (None, None, None)


NOT_DELETED: Final = SnapshotsWanted()


def get_snapshot(ports: Ports, tenant: Tenant, snapshot_id: str) -> Snapshot:
    """One snapshot that was not deleted. Raises SnapshotNotFound, which says whether it can be brought back."""
    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    if snapshot.forgotten:
        raise deleted(ports, snapshot)
    return snapshot


class TransferProgress(NamedTuple):
    """How many of so many entities a copy or import has gone through. `total` is None where nobody knows yet."""

    done: int
    total: int | None


def transfer_progress(ports: Ports, snapshot: Snapshot) -> TransferProgress | None:
    """How far a copy or import that is being made has come; None for other snapshots.

    An import goes through its entities twice, reading and storing them, so each time counts half.
    """
    origin = snapshot.origin
    if origin is None or snapshot.status is not SnapshotStatus.CREATING:
        return None
    done = ports.catalog.done(snapshot.tenant, origin.transfer_id) if origin.attempt else 0
    return TransferProgress(done // 2 if origin.tenant is None else done, origin.total)


def deleted(ports: Ports, snapshot: Snapshot) -> SnapshotNotFound:
    """The error for whoever asks for a snapshot that was deleted."""
    if snapshot.recycled_until is None or not snapshot.recycled(ports.clock.now()):
        return SnapshotNotFound(f"snapshot {snapshot.id} of tenant {snapshot.tenant} was deleted")
    until = snapshot.recycled_until.strftime("%Y-%m-%dT%H:%M:%SZ")
    return SnapshotNotFound(
        f"snapshot {snapshot.id} of tenant {snapshot.tenant} was deleted; it can be undeleted until {until}"
    )


def list_snapshots(
    ports: Ports, tenant: Tenant, *, limit: int, offset: int, wanted: SnapshotsWanted = NOT_DELETED
) -> Listing[Snapshot | DamagedSnapshot]:
    """The snapshots that are wanted, newest first, and those of which that can't be told: their record is damaged.

    Deleted ones are listed only if they alone are wanted, and only while they can be brought back.
    """
    damage: list[Failure] = []
    page = page_of(_found(ports, tenant, wanted, damage), limit=limit, offset=offset)
    return page._replace(damage=tuple(damage))


def _found(
    ports: Ports, tenant: Tenant, wanted: SnapshotsWanted, damage: list[Failure]
) -> Iterator[Snapshot | DamagedSnapshot]:
    """All that have an id. What is damaged, with or without one, is noted in `damage`."""
    now = ports.clock.now()
    for one in ports.catalog.found_snapshots(tenant, since=wanted.since, before=wanted.before):
        if isinstance(one, DamagedSnapshot):
            damage.append(one.failure)
            fits = one.id is not None and wanted.fits_damaged
        else:
            fits = wanted.fits(one, now)
        if fits:
            yield one

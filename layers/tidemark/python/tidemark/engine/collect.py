"""Garbage collection of a tenant's objects: what nobody needs is deleted, with no lock and no clock to make it safe.

The order is the whole safety: first the objects are listed, then the catalog is read, then the manifests, then objects
are deleted. Whatever is stored later than the list is not in it, and whatever is in it and will be needed later is
already needed, by something that the catalog tells, at the moment when it is read. `layers/DESIGN.md` argues this by
cases.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import batched
from typing import Final, NamedTuple

from tidemark.domain.collection import Collection, Tally
from tidemark.domain.live import TenantState
from tidemark.domain.restore import Restore, RestoreStatus
from tidemark.domain.retention import last_of_schedules
from tidemark.domain.snapshot import CaptureId, ManifestRef, Snapshot, SnapshotId, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.errors import ManifestCorrupt, SnapshotNotFound, StaleRecord
from tidemark.ports import Ports, StoredObject

_READINGS: Final = 8
_AT_ONCE: Final = 200
# Snapshots share most of the names, so only the manifests that are read at once count in memory, not all of a tenant's.
_MANIFESTS_AT_ONCE: Final = 8
# What the objects of a tenant are filed under, and what those of an environment's images are.
_OWNER: Final = r"(?:volume-images/[^/]+/[^/]+|[^/]+)"
_PACK_OR_NOTE: Final = re.compile(_OWNER + r"/packs/([^/]+)/[^/]+\.(?:pack|shard\.json)")
_MANIFEST: Final = re.compile(_OWNER + r"/manifests/[^/]+\.json\.zst")


class Records(NamedTuple):
    """All that the catalog and the live store say about a tenant's snapshots, as of one moment."""

    state: TenantState | None
    restores: tuple[Restore, ...]
    snapshots: tuple[Snapshot, ...]

    @property
    def restoring(self) -> list[Restore]:
        """The restores that are not over."""
        return [restore for restore in self.restores if restore.status is RestoreStatus.RESTORING]

    @property
    def creating(self) -> list[Snapshot]:
        """The snapshots whose capture is not over."""
        return [snapshot for snapshot in self.snapshots if snapshot.status is SnapshotStatus.CREATING]


class Named(NamedTuple):
    """The keys of all objects that some snapshot needs; `problems` says what could not be found out."""

    keys: frozenset[str]
    problems: tuple[str, ...]


class Deleted(NamedTuple):
    """What became of the garbage. `left` could not be deleted in time."""

    deleted: Tally
    retained: tuple[StoredObject, ...]
    left: tuple[StoredObject, ...]


def list_objects(ports: Ports, tenant: Tenant) -> tuple[StoredObject, ...]:
    """Step 1: the candidates. Listed before anything is read: a capture that is not in the catalog when that is read
    afterwards has not stored anything that is in this list, since it registers itself before it stores.
    """
    packs = ports.payloads.list(f"{tenant}/packs/")
    return (*packs, *ports.payloads.list(f"{tenant}/manifests/"))


def read_records(ports: Ports, tenant: Tenant) -> Records | None:
    """Step 2: the tenant's state, restores and snapshots as they were at one moment, which is between two readings that
    agree; None when they never did.

    One reading alone is of many moments. It could look for a snapshot before a capture registered it and for the base
    that this capture needs after the capture gave it up, and find neither. Records only ever move to higher versions,
    so what two readings in a row found stood still in between.
    """
    return settled(lambda: _read_once(ports, tenant))


def settled[R](read: Callable[[], R]) -> R | None:
    """What two readings in a row agree on; None when they never did."""
    before = read()
    for _ in range(_READINGS):
        after = read()
        if after == before:
            return after
        before = after
    return None


def recycle(ports: Ports, records: Records, bin_days: int, *, dry_run: bool) -> tuple[Records, int]:
    """Put snapshots that were to be kept until a moment that has passed into the recycle bin, where they stay for so
    many days: the records with that done, and how many.

    One that something still builds on or reads stays what it is, until nothing does, the last good one of a schedule
    until there is another, as retention has it, and a pinned or held one until it isn't: what is set after the records
    were read makes this compare-and-swap fail. No safety hangs on the clock that is asked here: what it puts into the
    bin can be brought back.
    """
    now = ports.clock.now()
    until = now + timedelta(days=bin_days)
    needed = needed_ids(records) | last_of_schedules(records.snapshots, now)

    def going(snapshot: Snapshot) -> Snapshot | None:
        wanted = snapshot.used_by or snapshot.id in needed or not snapshot.expired(now)
        return None if wanted else snapshot.deleted(now, until)

    return _changed(ports, records, going, dry_run=dry_run)


def expire(ports: Ports, records: Records, *, dry_run: bool) -> tuple[Records, int]:
    """Let snapshots whose time in the recycle bin is over go for good: the records with that done, and how many.

    This is the point of no return, a compare-and-swap before anything is deleted: a snapshot either is brought back or
    loses its bytes. One that something still builds on or reads stays in the bin. No safety hangs on the clock that is
    asked here.
    """
    now = ports.clock.now()
    needed = needed_ids(records)

    def going(snapshot: Snapshot) -> Snapshot | None:
        over = snapshot.status is SnapshotStatus.DELETED and not snapshot.recycled(now)
        if not over or snapshot.used_by or snapshot.id in needed:
            return None
        return replace(snapshot, status=SnapshotStatus.PURGING)

    return _changed(ports, records, going, dry_run=dry_run)


def needed_ids(records: Records) -> frozenset[SnapshotId]:
    """The snapshots that a capture or restore builds on or reads, or may from now on, whatever became of them.

    These are the tenant's base, on which the next capture builds, and a running one that has not yet noted so; what
    the lease's holder captures, which will be the base; what every running capture notes to be its base; what every
    running restore reads, the base that it found (its safety snapshot builds on it), and its safety snapshot.
    """
    found: set[SnapshotId | None] = {snapshot.parent_id for snapshot in records.creating}
    bases = [restore.from_base for restore in records.restoring]
    if records.state is not None:
        bases.append(records.state.base)
    found |= {SnapshotId(base.snapshot_id) for base in bases if base is not None and base.snapshot_id is not None}
    if records.state is not None and records.state.lease is not None:
        owner = records.state.lease.owner
        found |= {snapshot.id for snapshot in records.snapshots if snapshot.capture_id == owner}
    for restore in records.restoring:
        found.add(restore.safety_snapshot_id)
        if restore.source == restore.tenant:
            found.add(restore.snapshot_id)
    return frozenset(one for one in found if one is not None)


def read_manifests(ports: Ports, records: Records) -> Named:
    """Step 3: what is needed, from the manifests of every snapshot that is not going for good, and of every one that a
    capture or restore needs. A running capture may have stored its own manifest already, so that is needed too.

    A manifest that can't be read names nothing, so nothing could be told from garbage: it is a problem, and as long as
    there is one, nothing of the tenant may be deleted.
    """
    needed = needed_ids(records)
    wanted = [
        snapshot.manifest
        for snapshot in records.snapshots
        if snapshot.manifest is not None and (snapshot.status is not SnapshotStatus.PURGING or snapshot.id in needed)
    ]
    keys = {manifests.manifest_key(snapshot.tenant, snapshot.id) for snapshot in records.creating}
    problems: list[str] = []
    for some in batched(wanted, _MANIFESTS_AT_ONCE, strict=False):
        for named in ports.parallel.map(lambda reference: named_by(ports, reference), some):
            keys |= named.keys
            problems += named.problems
    lost = sorted(needed - {snapshot.id for snapshot in records.snapshots})
    problems += [f"snapshot {name} is needed and has no record" for name in lost]
    return Named(frozenset(keys), tuple(problems))


def garbage(listed: Iterable[StoredObject], records: Records, named: Named) -> list[StoredObject]:
    """Step 4, first half: what was listed and nobody needs.

    Packs and notes of running captures are needed: no manifest names them yet. Those of captures that are over are
    needed only where a manifest names them, whichever snapshot's that is. Objects of any other form are not ours.
    """
    return unneeded(listed, frozenset(snapshot.capture_id for snapshot in records.creating), named)


def unneeded(listed: Iterable[StoredObject], running: frozenset[CaptureId], named: Named) -> list[StoredObject]:
    """What is neither named nor stored by one of the `running` captures."""
    return [one for one in listed if one.key not in named.keys and _may_go(one.key, running)]


def named_by(ports: Ports, reference: ManifestRef) -> Named:
    """The keys of all objects that a manifest names, and its own."""
    try:
        manifest = manifests.read(ports.payloads, reference)
    except ManifestCorrupt as error:
        return Named(frozenset({reference.key}), (error.message,))
    return Named(frozenset({reference.key, *(pack.key for pack in manifest.packs)}), ())


def delete(ports: Ports, objects: Sequence[StoredObject], until_s: float) -> Deleted:
    """Step 4, second half. Stops when the clock has passed `until_s`, but not before some are deleted."""
    deleted = Tally()
    retained: list[StoredObject] = []
    reached = 0
    for some in batched(objects, _AT_ONCE, strict=False):
        gone = ports.parallel.map(lambda one: ports.payloads.delete(one.key), some)
        deleted = deleted.plus(tally(one for one, is_gone in zip(some, gone, strict=True) if is_gone))
        retained += [one for one, is_gone in zip(some, gone, strict=True) if not is_gone]
        reached += len(some)
        if ports.clock.monotonic_s() >= until_s:
            break
    return Deleted(deleted, tuple(retained), tuple(objects[reached:]))


def remove(
    ports: Ports,
    owner: Tenant,
    listed: Iterable[StoredObject],
    found: Sequence[StoredObject],
    until_s: float,
    *,
    dry_run: bool,
) -> tuple[Collection, tuple[StoredObject, ...]]:
    """Delete what was `found` to be garbage among what was listed: the report, and what is left of the garbage."""
    going = Deleted(tally(found), (), ()) if dry_run else delete(ports, found, until_s)
    candidates = {one.key for one in found}
    report = Collection(
        owner,
        dry_run,
        listed=tally(listed),
        kept=tally(one for one in listed if one.key not in candidates),
        deleted=going.deleted,
        retained=tally(going.retained),
        done=not going.left,
    )
    return report, (*going.retained, *going.left)


def untouched(owner: Tenant, listed: Iterable[StoredObject], problems: tuple[str, ...], *, dry_run: bool) -> Collection:
    """The report where garbage could not be told, so that nothing was deleted."""
    everything = tally(listed)
    return Collection(owner, dry_run, listed=everything, kept=everything, problems=problems)


def forget(ports: Ports, records: Records, left: Iterable[StoredObject], *, dry_run: bool) -> int:
    """Remove the records of snapshots that went for good and of which nothing is `left`; how many.

    Last of all, so that whoever looks at the catalog meanwhile can tell what the remaining objects were. Packs that
    other snapshots name are theirs from now on.
    """
    keys = {one.key for one in left}
    captures = {capture_of(key) for key in keys}
    needed = needed_ids(records)
    forgotten = 0
    for snapshot in records.snapshots:
        if snapshot.status is not SnapshotStatus.PURGING or snapshot.id in needed:
            continue
        if snapshot.capture_id in captures or manifests.manifest_key(snapshot.tenant, snapshot.id) in keys:
            continue
        if not dry_run:
            with suppress(StaleRecord):
                ports.catalog.remove_snapshot(snapshot)
        forgotten += 1
    return forgotten


def tally(objects: Iterable[StoredObject]) -> Tally:
    """How many they are, and how large in all."""
    total = Tally()
    for one in objects:
        total = Tally(total.objects + 1, total.size_bytes + one.size_bytes)
    return total


def capture_of(key: str) -> CaptureId | None:
    """The capture that stored a pack or a note; None for other objects."""
    match = _PACK_OR_NOTE.fullmatch(key)
    return CaptureId(match[1]) if match else None


def _read_once(ports: Ports, tenant: Tenant) -> Records:
    return Records(
        ports.table.load(tenant).state, tuple(ports.catalog.restores(tenant)), tuple(ports.catalog.snapshots(tenant))
    )


def _changed(
    ports: Ports, records: Records, going: Callable[[Snapshot], Snapshot | None], *, dry_run: bool
) -> tuple[Records, int]:
    """The records with the snapshots stored as `going` wants them, None being as they are; and how many it changed."""
    snapshots, changed = [], 0
    for snapshot in records.snapshots:
        wanted = going(snapshot)
        if wanted is None:
            snapshots.append(snapshot)
            continue
        try:
            snapshots.append(wanted if dry_run else ports.catalog.replace_snapshot(wanted))
            changed += 1
        except (StaleRecord, SnapshotNotFound):
            # Somebody changed it since it was read, or another collector came first.
            snapshots += _as_it_is(ports, snapshot)
    return records._replace(snapshots=tuple(snapshots)), changed


def _as_it_is(ports: Ports, snapshot: Snapshot) -> list[Snapshot]:
    """The snapshot as it is now, if there still is one."""
    try:
        return [ports.catalog.snapshot(snapshot.tenant, snapshot.id)]
    except SnapshotNotFound:
        return []


def _may_go(key: str, running: frozenset[CaptureId]) -> bool:
    capture_id = capture_of(key)
    if capture_id is not None:
        return capture_id not in running
    return _MANIFEST.fullmatch(key) is not None

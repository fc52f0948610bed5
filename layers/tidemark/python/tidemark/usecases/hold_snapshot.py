"""Place and lift the legal hold of a snapshot: on its record and, where the bucket has Object Lock, on its objects.

The record says what is to be done before any object is touched, and that it is done after the last one. So a record
that says `PLACED` has all of its objects held, and an object that is held belongs to a record with a hold, whatever
died in between. Snapshots of a tenant share packs: lifting leaves those alone that another one's hold needs, and none
is placed while another one is lifted. `layers/DESIGN.md` argues why that suffices.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import batched
from typing import Final

from tidemark.domain.hold import Hold, HoldStatus
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.errors import (
    BudgetSpent,
    HoldInProgress,
    ManifestCorrupt,
    ObjectNotFound,
    PackCorrupt,
    SnapshotNotCompleted,
    TidemarkError,
)
from tidemark.ports import Ports
from tidemark.usecases.read_snapshots import deleted
from tidemark.usecases.records import amend_snapshot

# A function behind the API ends after 29 seconds, dead or alive.
_REQUEST_LIVES: Final = timedelta(seconds=60)
_BUDGET_S: Final = 20.0
_AT_ONCE: Final = 200


@dataclass
class _Progress:
    done: int


def hold_snapshot(
    ports: Ports, tenant: Tenant, snapshot_id: str, *, object_lock: bool, budget_s: float = _BUDGET_S
) -> None:
    """Put the snapshot under a legal hold. It can be repeated, and goes on where it ended.

    Raises SnapshotNotFound, SnapshotNotCompleted; HoldInProgress beside a request that it must not meet; BudgetSpent;
    ManifestCorrupt or PackCorrupt when something is missing that was to be held.
    """

    def begin(snapshot: Snapshot) -> Snapshot:
        if snapshot.forgotten:
            raise deleted(ports, snapshot)
        if snapshot.status is not SnapshotStatus.COMPLETED:
            raise SnapshotNotCompleted(f"snapshot {snapshot_id} is {snapshot.status}: only a completed one can be held")
        before = snapshot.hold or Hold(HoldStatus.PLACING, object_lock)
        if before.placed and before.locked >= object_lock:
            return snapshot
        return _taken_on(ports, snapshot, before, HoldStatus.PLACING, object_lock=object_lock)

    snapshot = amend_snapshot(ports.catalog, tenant, snapshot_id, begin)
    hold = snapshot.hold
    if hold is None or hold.placed:
        return
    if hold.locked:
        with _left_when_it_fails(ports, snapshot, hold) as progress:
            _refuse_beside_lifting(ports, snapshot)
            _change(ports, _keys_of(ports, snapshot), frozenset(), progress, budget_s, on=True)
    _move(ports, snapshot, Hold(HoldStatus.PLACED, hold.locked))


def lift_hold(
    ports: Ports, tenant: Tenant, snapshot_id: str, *, object_lock: bool, budget_s: float = _BUDGET_S
) -> None:
    """Lift the snapshot's legal hold, if there is one. It can be repeated, and goes on where it ended.

    Raises SnapshotNotFound; HoldInProgress beside a request that it must not meet; BudgetSpent; ManifestCorrupt when
    it can't be told what is held.
    """

    def begin(snapshot: Snapshot) -> Snapshot:
        if snapshot.forgotten:
            raise deleted(ports, snapshot)
        if snapshot.hold is None:
            return snapshot
        return _taken_on(ports, snapshot, snapshot.hold, HoldStatus.LIFTING, object_lock=object_lock)

    snapshot = amend_snapshot(ports.catalog, tenant, snapshot_id, begin)
    hold = snapshot.hold
    if hold is None:
        return
    if hold.locked:
        with _left_when_it_fails(ports, snapshot, hold) as progress:
            # Read after the record says that the hold is lifted: whoever is to be held from now on sees that.
            needed = [key for other in _held_beside(ports, snapshot) for key in _keys_of(ports, other)]
            _change(ports, _keys_of(ports, snapshot), frozenset(needed), progress, budget_s, on=False)
    _move(ports, snapshot, None)


def _taken_on(ports: Ports, snapshot: Snapshot, hold: Hold, status: HoldStatus, *, object_lock: bool) -> Snapshot:
    now = ports.clock.now()
    if hold.busy(now):
        raise HoldInProgress(
            f"the legal hold of snapshot {snapshot.id} is {hold.status} by a request that may still be at work; "
            "send yours again in a minute"
        )
    return replace(snapshot, hold=hold.turned(status, now + _REQUEST_LIVES, locked=object_lock))


@contextmanager
def _left_when_it_fails(ports: Ports, snapshot: Snapshot, hold: Hold) -> Iterator[_Progress]:
    """Lets the next request go on at once where this one fails; after one that died it waits. The status stays: what
    was begun may have been seen by others, who left objects to it.
    """
    progress = _Progress(hold.done)
    try:
        yield progress
    except TidemarkError:
        _move(ports, snapshot, hold.left(progress.done))
        raise


def _refuse_beside_lifting(ports: Ports, snapshot: Snapshot) -> None:
    for other in ports.catalog.snapshots(snapshot.tenant):
        hold = other.hold
        if other.id != snapshot.id and hold is not None and hold.locked and hold.status is HoldStatus.LIFTING:
            raise HoldInProgress(
                f"the legal hold of snapshot {other.id} is being lifted, which may share objects with this one; send "
                "yours again when it is. If nobody lifts it any more, lift it again"
            )


def _held_beside(ports: Ports, snapshot: Snapshot) -> list[Snapshot]:
    """The other snapshots that are held, or are to be."""
    return [
        other
        for other in ports.catalog.snapshots(snapshot.tenant)
        if other.id != snapshot.id
        and other.hold is not None
        and other.hold.locked
        and other.hold.status is not HoldStatus.LIFTING
    ]


def _keys_of(ports: Ports, snapshot: Snapshot) -> list[str]:
    """The manifest and every pack that it names: always the same ones, in the same order."""
    if snapshot.manifest is None:
        raise ManifestCorrupt(f"snapshot {snapshot.id} is completed and its record names no manifest")
    manifest = manifests.read(ports.payloads, snapshot.manifest)
    return sorted({snapshot.manifest.key, *(pack.key for pack in manifest.packs)})


def _change(
    ports: Ports, keys: Sequence[str], needed: frozenset[str], progress: _Progress, budget_s: float, *, on: bool
) -> None:
    """Hold these objects, or let them go unless they are needed, from where `progress` says."""

    def change(key: str) -> None:
        try:
            ports.payloads.hold(key, on=on)
        except ObjectNotFound as error:
            # What is not there needs no lifting.
            if on:
                raise PackCorrupt(f"object {key} is missing, so it can't be held; verify the snapshot") from error

    until_s = ports.clock.monotonic_s() + budget_s
    for some in batched(keys[progress.done :], _AT_ONCE, strict=False):
        ports.parallel.map(change, [key for key in some if key not in needed])
        progress.done += len(some)
        if progress.done < len(keys) and ports.clock.monotonic_s() >= until_s:
            raise BudgetSpent(
                f"{progress.done} of the snapshot's {len(keys)} objects are done; send the request again to go on"
            )


def _move(ports: Ports, snapshot: Snapshot, hold: Hold | None) -> None:
    """Note what became of the hold that this request has taken on, unless somebody else has it by now."""

    def move(record: Snapshot) -> Snapshot:
        if record.hold == hold:
            return record
        if record.hold != snapshot.hold:
            raise HoldInProgress(f"the legal hold of snapshot {record.id} was taken on by a later request; see to it")
        return replace(record, hold=hold)

    amend_snapshot(ports.catalog, snapshot.tenant, snapshot.id, move)

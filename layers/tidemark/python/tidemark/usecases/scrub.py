"""The scrub: each day a share of all stored packs is read back, so that each one is read within a set number of days.

Which packs are due on a day follows from their keys alone, so nothing is kept between days and every day can be run
again. Manifests are small and say what is needed: each is read every day.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import batched
from typing import Final, NamedTuple

from tidemark.domain.blocks import Image
from tidemark.domain.manifest import Manifest, PackRef
from tidemark.domain.snapshot import DamagedSnapshot, Failure, Scope, Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import readback, verification
from tidemark.engine.verification import Checked
from tidemark.errors import Corrupt, ManifestCorrupt, PackCorrupt, SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.verify_snapshot import record

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Read side by side; each is held in memory as a whole.
_AT_ONCE: Final = 8
# Behind all keys: nothing of the tenant is left.
_END: Final = "~"


class Place(NamedTuple):
    """How far a day's scrub has come: all tenants before `tenant`, and its packs up to `key`."""

    day: int
    tenant: Tenant = Tenant("")
    key: str = ""


@dataclass(slots=True)
class Scrubbed:
    """What one run read, and what it found damaged: a sentence each. `place` is where to go on unless it is `done`."""

    place: Place
    done: bool = False
    packs: int = 0
    size_bytes: int = 0
    damage: list[Failure] = field(default_factory=list)


class _Pack(NamedTuple):
    """A pack, and what its manifest says of an image: one snapshot's records are entities, another's blocks."""

    reference: PackRef
    image: Image | None


@dataclass(slots=True)
class _Due:
    """The packs of a tenant that are due, by key, with the snapshots that need each; and each snapshot's share."""

    packs: dict[str, _Pack] = field(default_factory=dict)
    needed_by: dict[str, list[str]] = field(default_factory=dict)
    shares: dict[str, list[Checked]] = field(default_factory=dict)


def is_due(key: str, day: int, days: int) -> bool:
    """Whether a pack is read on that day, counted from 1970-01-01: on one day in each `days`."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % days == day % days


def scrub(ports: Ports, *, days: int, budget_s: float, place: Place | None = None) -> Scrubbed:
    """Read the packs that are due today, or at `place`, for as long as the budget lets; each run gets further.

    Damage is recorded on every snapshot that needs the object. Repeating a run records the same again.
    """
    until_s = ports.clock.monotonic_s() + budget_s
    start = place or Place((ports.clock.now() - _EPOCH).days)
    run = Scrubbed(start)

    def over() -> bool:
        return run.place != start and ports.clock.monotonic_s() > until_s

    for tenant in ports.catalog.tenants():
        resumed = tenant == start.tenant
        if tenant < start.tenant or (resumed and start.key == _END):
            continue
        if over():
            return run
        due = _due(ports, tenant, run, days, report=not resumed or not start.key)
        left = sorted(key for key in due.packs if not resumed or key > start.key)
        for some in batched(left, _AT_ONCE, strict=False):
            if over():
                return run
            _check(ports, tenant, [due.packs[key] for key in some], due, run)
            run.place = Place(start.day, tenant, some[-1])
        for snapshot_id, shares in due.shares.items():
            with suppress(SnapshotNotFound):
                record(ports, tenant, snapshot_id, shares, scope=Scope.SAMPLE)
        run.place = Place(start.day, tenant, _END)
    run.done = True
    return run


def _due(ports: Ports, tenant: Tenant, run: Scrubbed, days: int, *, report: bool) -> _Due:
    """What is due of a tenant. Manifests and records that are damaged are damage too: told once, if `report`."""
    due = _Due()
    for snapshot in ports.catalog.found_snapshots(tenant):
        if isinstance(snapshot, DamagedSnapshot):
            if report:
                run.damage.append(snapshot.failure)
            continue
        if snapshot.status is not SnapshotStatus.COMPLETED:
            continue
        try:
            _add(due, snapshot, verification.check_manifest(ports.payloads, snapshot), run.place.day, days)
        except ManifestCorrupt as error:
            if report:
                _damaged(ports, tenant, [snapshot.id], error, run)
    return due


def _add(due: _Due, snapshot: Snapshot, manifest: Manifest, day: int, days: int) -> None:
    for pack in manifest.packs:
        if is_due(pack.key, day, days):
            due.packs[pack.key] = _Pack(pack, manifest.image)
            due.needed_by.setdefault(pack.key, []).append(snapshot.id)
            due.shares.setdefault(snapshot.id, []).append(Checked(1, pack.size_bytes))


def _check(ports: Ports, tenant: Tenant, packs: list[_Pack], due: _Due, run: Scrubbed) -> None:
    def damage_of(pack: _Pack) -> PackCorrupt | None:
        try:
            readback.check_pack(ports.payloads, pack.reference, pack.image)
        except PackCorrupt as error:
            return error
        return None

    for (pack, _), error in zip(packs, ports.parallel.map(damage_of, packs), strict=True):
        run.packs += 1
        run.size_bytes += pack.size_bytes
        if error is not None:
            _damaged(ports, tenant, due.needed_by[pack.key], error, run)


def _damaged(ports: Ports, tenant: Tenant, needed_by: list[str], error: Corrupt, run: Scrubbed) -> None:
    """Record the damage on the snapshots that need the object. If all were deleted meanwhile, it is none."""
    failure = Failure(error.code, error.message)
    needed = False
    for snapshot_id in needed_by:
        with suppress(SnapshotNotFound):
            snapshot = record(ports, tenant, snapshot_id, scope=Scope.SAMPLE, failure=failure)
            needed |= snapshot.status is SnapshotStatus.COMPLETED
    if needed:
        run.damage.append(failure)

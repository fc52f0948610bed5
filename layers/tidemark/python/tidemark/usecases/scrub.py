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
from tidemark.domain.snapshot import Failure, Scope
from tidemark.domain.tenant import Tenant
from tidemark.engine import readback
from tidemark.engine.verification import Checked
from tidemark.errors import Corrupt, ManifestCorrupt, NotFound, PackCorrupt
from tidemark.ports import Ports
from tidemark.usecases.collection_runs import owners
from tidemark.usecases.snapshot_owners import Owner, owner_named

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Read side by side; each is held in memory as a whole.
_AT_ONCE: Final = 8
# Behind all keys: nothing of the owner is left.
_END: Final = "~"


class Place(NamedTuple):
    """How far a day's scrub has come: all owners of objects before `tenant`, and its packs up to `key`."""

    day: int
    tenant: Tenant = Tenant("")
    key: str = ""


class Damage(NamedTuple):
    """A damaged object or record of an owner, and the snapshots that need it, where that is known."""

    failure: Failure
    owner: Tenant
    snapshot_ids: tuple[str, ...] = ()


@dataclass(slots=True)
class Scrubbed:
    """What one run read, and what it found damaged. `place` is where to go on unless it is `done`."""

    place: Place
    done: bool = False
    packs: int = 0
    size_bytes: int = 0
    damage: list[Damage] = field(default_factory=list)


class _Pack(NamedTuple):
    """A pack, and what its manifest says of an image: one snapshot's records are entities, another's blocks."""

    reference: PackRef
    image: Image | None


@dataclass(slots=True)
class _Due:
    """The packs of an owner that are due, by key, with the snapshots that need each; and each snapshot's share."""

    name: Tenant
    owner: Owner
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

    for name in owners(ports):
        resumed = name == start.tenant
        if name < start.tenant or (resumed and start.key == _END):
            continue
        if over():
            return run
        due = _Due(name, owner_named(ports, name))
        _look(due, run, days, report=not resumed or not start.key)
        left = sorted(key for key in due.packs if not resumed or key > start.key)
        for some in batched(left, _AT_ONCE, strict=False):
            if over():
                return run
            _check(ports, [due.packs[key] for key in some], due, run)
            run.place = Place(start.day, name, some[-1])
        for snapshot_id, shares in due.shares.items():
            with suppress(NotFound):
                due.owner.record(snapshot_id, shares, Scope.SAMPLE, None)
        run.place = Place(start.day, name, _END)
    run.done = True
    return run


def _look(due: _Due, run: Scrubbed, days: int, *, report: bool) -> None:
    """Find what is due of an owner. Manifests and records that are damaged are damage too: told once, if `report`."""
    for snapshot in due.owner.kept():
        if isinstance(snapshot, Failure):
            if report:
                run.damage.append(Damage(snapshot, due.name))
            continue
        try:
            _add(due, snapshot.id, snapshot.read_manifest(), run.place.day, days)
        except ManifestCorrupt as error:
            if report:
                _damaged(due, [snapshot.id], error, run)


def _add(due: _Due, snapshot_id: str, manifest: Manifest, day: int, days: int) -> None:
    for pack in manifest.packs:
        if is_due(pack.key, day, days):
            due.packs[pack.key] = _Pack(pack, manifest.image)
            due.needed_by.setdefault(pack.key, []).append(snapshot_id)
            due.shares.setdefault(snapshot_id, []).append(Checked(1, pack.size_bytes))


def _check(ports: Ports, packs: list[_Pack], due: _Due, run: Scrubbed) -> None:
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
            _damaged(due, due.needed_by[pack.key], error, run)


def _damaged(due: _Due, needed_by: list[str], error: Corrupt, run: Scrubbed) -> None:
    """Record the damage on the snapshots that need the object. If all were deleted meanwhile, it is none."""
    failure = Failure(error.code, error.message)
    kept = []
    for snapshot_id in needed_by:
        with suppress(NotFound):
            if due.owner.record(snapshot_id, (), Scope.SAMPLE, failure):
                kept.append(snapshot_id)
    if kept:
        run.damage.append(Damage(failure, due.name, tuple(kept)))

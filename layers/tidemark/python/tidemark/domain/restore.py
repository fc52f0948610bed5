"""Restores: the catalog record, its phases, and the work that staging is cut into."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, NewType

from tidemark.domain.asked import Asked
from tidemark.domain.change import Change
from tidemark.domain.digest import SetDigest
from tidemark.domain.live import Base, Cut, FencingToken, Generation
from tidemark.domain.snapshot import CaptureId, Failure, SnapshotId
from tidemark.domain.tenant import Tenant

RestoreId = NewType("RestoreId", str)


class RestoreStatus(StrEnum):
    """How a restore stands. It is over in every status but `RESTORING`."""

    RESTORING = "restoring"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    """The phases in their order; the state machine's states have the same names."""

    PLAN = "Plan"
    STAGE = "Stage"
    VERIFY = "Verify"
    CATCH_UP = "CatchUp"
    CUTOVER = "Cutover"
    PRESERVE = "Preserve"
    RETIRE = "Retire"
    ROLLBACK = "Rollback"


# Four rounds that each find nine tenths of the one before are still getting on.
_IDLE_ROUNDS: Final = 4
_CLEARLY_LESS: Final = 3 / 4
BEFORE_CUTOVER = frozenset({Phase.PLAN, Phase.STAGE, Phase.VERIFY, Phase.CATCH_UP})


class Mode(StrEnum):
    """What becomes of entities that the snapshot does not have: `REPLACE` deletes them, `MERGE` leaves them."""

    REPLACE = "replace"
    MERGE = "merge"


@dataclass(frozen=True, slots=True)
class PhaseStart:
    """When a phase was first entered."""

    phase: Phase
    started_at: datetime


class Changes(NamedTuple):
    """What a restore does to live entities, in numbers."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0

    @classmethod
    def of(cls, counts: Mapping[Change | None, int]) -> "Changes":
        """From the numbers by kind of change; those that stay as they are come under None."""
        return cls(*(counts.get(change, 0) for change in (*Change, None)))

    def plus(self, other: "Changes") -> "Changes":
        """Both together."""
        return Changes(*(one + another for one, another in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True)
class Pace:
    """How the rounds of catching up get on in an `attempt`: `least` is what the best of them found, `idle` how many
    that followed it did not find clearly less.
    """

    attempt: int
    least: int
    idle: int = 0

    @property
    def steady(self) -> bool:
        """Whether further rounds will not find less: writers write as much as a round brings."""
        return self.idle >= _IDLE_ROUNDS

    def after(self, attempt: int, found: int) -> "Pace":
        """With one more round. The first of a later attempt also finds what was written since the one before ended,
        so those after it are compared with it; it is no proof of getting on either.
        """
        if attempt != self.attempt:
            return Pace(attempt, found, min(self.idle, _IDLE_ROUNDS - 1))
        return Pace(attempt, found) if found <= _CLEARLY_LESS * self.least else replace(self, idle=self.idle + 1)


@dataclass(frozen=True, slots=True)
class Restore:
    """The catalog record of one restore. `version` is the compare-and-swap token of the record.

    `owner` is what its lease is held by: random, so that two requests of one second can't take each other's.
    `generation` is the full version being built, `from_generation` the one that readers see until cutover. `total` is
    the number of entities that will be staged, fixed when the restore is accepted. `attempt` counts executions of the
    state machine.

    `source_tenant` is whose snapshot it is, None where it is the tenant's own. `selection` is the text of a filter in
    the caller's dialect. A restore with one, or in mode `MERGE`, is partial: it keeps what else is live. Then
    `baseline` is the cut as of which live data was staged, and `caught_up` the last one whose changes were added since;
    `changes` is what it does to live data as of the baseline, `pace` how the rounds of adding got on.

    `swept`: what was left in the dead one of its two generations, and the notes of its staged parts, are removed;
    `staged` is then what those notes added up to. `asked` is the request that began it, where that can be sent again.
    """

    tenant: Tenant
    id: RestoreId
    owner: str
    snapshot_id: SnapshotId
    created_at: datetime
    token: FencingToken
    generation: Generation
    from_generation: Generation
    total: int
    status: RestoreStatus = RestoreStatus.RESTORING
    phase: Phase = Phase.PLAN
    phases: tuple[PhaseStart, ...] = ()
    parts: int | None = None
    safety_wanted: bool = True
    from_base: Base | None = None
    safety_capture_id: CaptureId | None = None
    safety_snapshot_id: SnapshotId | None = None
    cancel_requested: bool = False
    attempt: int = 1
    finished_at: datetime | None = None
    failure: Failure | None = None
    staged: int | None = None
    swept: bool = False
    source_tenant: Tenant | None = None
    mode: Mode = Mode.REPLACE
    selection: str | None = None
    baseline: Cut | None = None
    caught_up: Cut | None = None
    pace: Pace | None = None
    changes: Changes | None = None
    asked: Asked | None = None
    version: int = 0

    @property
    def source(self) -> Tenant:
        """Whose snapshot is restored."""
        return self.source_tenant or self.tenant

    @property
    def user(self) -> str:
        """What the snapshot is in use by: unique among all tenants that may restore it."""
        return self.id if self.source_tenant is None else f"{self.id}@{self.tenant}"

    @property
    def partial(self) -> bool:
        """Whether entities that it does not restore stay as they are."""
        return self.selection is not None or self.mode is Mode.MERGE

    @property
    def dead_generation(self) -> Generation:
        """The generation that readers do not see once the restore is over."""
        return self.from_generation if self.status is RestoreStatus.COMPLETED else self.generation

    def entering(self, phase: Phase, now: datetime) -> "Restore":
        """The record in that phase. Repeating a phase keeps the time it was first entered."""
        if any(start.phase is phase for start in self.phases):
            return replace(self, phase=phase)
        return replace(self, phase=phase, phases=(*self.phases, PhaseStart(phase, now)))


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of staging work: the records of a shard from `from_key` (inclusive; None: the first) to `to_key`
    (exclusive; None: the last).
    """

    number: int
    shard: int
    from_key: str | None = None
    to_key: str | None = None


@dataclass(frozen=True, slots=True)
class ShardDigest:
    """The number of records and their set digest (see `domain.digest`) in one shard of the live store."""

    shard: int
    records: int
    digest: str


@dataclass(frozen=True, slots=True)
class StagedPart:
    """How far the staging of a part is: how many of the snapshot's records were gone through, what was written into
    each shard of the live store, and, of a partial restore, what that changes.

    `reached` is the sort key of the last entity so far, None when all of the part is staged.
    """

    part: int
    records: int
    shards: tuple[ShardDigest, ...]
    changes: Changes = Changes()  # noqa: RUF009 - a frozen tuple
    reached: str | None = None

    def followed_by(self, step: "StagedPart") -> "StagedPart":
        """The part after a further step, which says what that step alone did."""
        sums: dict[int, SetDigest] = {}
        for one in (*self.shards, *step.shards):
            sums.setdefault(one.shard, SetDigest()).add_hex(one.digest, one.records)
        return StagedPart(
            part=self.part,
            records=self.records + step.records,
            shards=tuple(ShardDigest(shard, some.count, some.hex) for shard, some in sorted(sums.items())),
            changes=self.changes.plus(step.changes),
            reached=step.reached,
        )


@dataclass(frozen=True, slots=True)
class DamagedRestore:
    """Stands for a restore whose catalog record is not what was stored. `id` and `created_at` are what the record's
    place says; None where that is no restore's.
    """

    id: RestoreId | None
    created_at: datetime | None
    failure: Failure


def parse_restore_user(user: str) -> tuple[Tenant, RestoreId] | None:
    """The target and id of the restore into another tenant that `Restore.user` calls so; None for other users."""
    identity, _, target = user.partition("@")
    return (Tenant(target), RestoreId(identity)) if target else None

"""Restores: the catalog record, its phases, and the work that staging is cut into."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType

from tidemark.domain.asked import Asked
from tidemark.domain.live import Base, FencingToken, Generation
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
    CUTOVER = "Cutover"
    PRESERVE = "Preserve"
    RETIRE = "Retire"
    ROLLBACK = "Rollback"


BEFORE_CUTOVER = frozenset({Phase.PLAN, Phase.STAGE, Phase.VERIFY})


@dataclass(frozen=True, slots=True)
class PhaseStart:
    """When a phase was first entered."""

    phase: Phase
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Restore:
    """The catalog record of one restore. `version` is the compare-and-swap token of the record.

    `owner` is what its lease is held by: random, so that two requests of one second can't take each other's.
    `generation` is the full version being built, `from_generation` the one that readers see until cutover. `total` is
    the number of entities that will be staged, fixed when the restore is accepted. `attempt` counts executions of the
    state machine.

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
    asked: Asked | None = None
    version: int = 0

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
    """What a staging worker wrote: how many records in all, and which into each shard of the live store."""

    part: int
    records: int
    shards: tuple[ShardDigest, ...]

"""What a restore would do: the result of a dry run."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType

from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Cut, Generation
from tidemark.domain.restore import Changes, Mode
from tidemark.domain.snapshot import SnapshotId
from tidemark.domain.tenant import Tenant

PlanId = NewType("PlanId", str)

# How many entities of each kind of change a plan names.
NAMED: Final = 1000


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What restoring `snapshot_id` of tenant `source` would do to tenant `tenant`, as of the end of `cut` of the live
    `generation` (both None for a tenant without data).

    `created`, `updated` and `deleted` are the first entities of each kind in key order, at most NAMED.
    """

    id: PlanId
    tenant: Tenant
    source: Tenant
    snapshot_id: SnapshotId
    mode: Mode
    selection: str | None
    made_at: datetime
    generation: Generation | None
    cut: Cut | None
    changes: Changes
    created: tuple[EntityKey, ...] = ()
    updated: tuple[EntityKey, ...] = ()
    deleted: tuple[EntityKey, ...] = ()

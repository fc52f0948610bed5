"""What a restore would do: a dry run, and the plan that it comes to."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from heapq import merge
from itertools import islice
from typing import Final, NewType

from tidemark.domain.change import Change
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Cut, Generation
from tidemark.domain.restore import Changes, Mode
from tidemark.domain.snapshot import SnapshotId
from tidemark.domain.tenant import Tenant

PlanId = NewType("PlanId", str)

# How many entities of each kind of change a plan names.
NAMED: Final = 1000
_ID: Final = re.compile(r"plan_[0-9a-f]{32}")


def is_plan_id(text: str) -> bool:
    """Whether a plan can have this id, as no snapshot and no restore can."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class DryRun:
    """What is to be told: what restoring `snapshot_id` of tenant `source` would do to tenant `tenant`, as of the end of
    `cut` of the live `generation`, which has so many `shards` (generation and cut are None for a tenant without data).
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
    shards: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What a restore would do to some shards, in numbers, and the sort keys of the first entities of each kind of
    change, in order, at most NAMED. `selected`: it is about any of their entities, whether they differ or not.
    """

    changes: Changes = Changes()  # noqa: RUF009 - a frozen tuple
    named: Mapping[Change, Sequence[str]] = field(default_factory=dict)
    selected: bool = True


def together(parts: Sequence[Counted]) -> Counted:
    """What is counted of several shards, as one."""
    return Counted(
        reduce(Changes.plus, (part.changes for part in parts), Changes()),
        {kind: list(islice(merge(*(part.named.get(kind, ()) for part in parts)), NAMED)) for kind in Change},
        any(part.selected for part in parts),
    )


@dataclass(frozen=True, slots=True)
class RestorePlan(DryRun):
    """What a dry run found. `created`, `updated` and `deleted` are the first entities of each kind in key order, at
    most NAMED.
    """

    changes: Changes
    created: tuple[EntityKey, ...] = ()
    updated: tuple[EntityKey, ...] = ()
    deleted: tuple[EntityKey, ...] = ()

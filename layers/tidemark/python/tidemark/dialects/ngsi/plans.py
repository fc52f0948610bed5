"""Plans of restores in the NGSIv2 vocabulary: what a dry run found."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.ngsi.parameters import PageWanted
from tidemark.dialects.ngsi.snapshots import ChangesBody, Milliseconds, SnapshotName, changes_of, milliseconds
from tidemark.dialects.wire import Request, or_unset
from tidemark.domain.keys import EntityKey
from tidemark.domain.restore import Mode
from tidemark.domain.restore_plan import RestorePlan
from tidemark.errors import PlanNotFound
from tidemark.usecases.restore_snapshot import Wish

PlanName = Annotated[str, Meta(pattern="^plan_[0-9a-f]{32}$", examples=["plan_0123456789abcdef0123456789abcdef"])]


class EntityName(msgspec.Struct, frozen=True, rename="camel"):
    """An entity that a restore changes."""

    id: str
    type: str
    service_path: str


class PlanBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a restore would do, with a page of the entities of each kind of change. `service` is the tenant that it
    would go into, where that is another one.
    """

    id: SnapshotName
    status: Literal["planned"] = "planned"
    plan: PlanName
    mode: Mode
    planned_at: Milliseconds | UnsetType
    changes: ChangesBody
    created: list[EntityName]
    updated: list[EntityName]
    deleted: list[EntityName]
    service: str | UnsetType = UNSET
    filter: dict[str, Any] | UnsetType = UNSET


def named(request: Request) -> str:
    """The plan in the path."""
    return request.path_parameter("planId")


def wish_of(plan: RestorePlan, snapshot_id: str, wish: Wish) -> Wish:
    """What the plan says is to be restored; all else as wished. Raises PlanNotFound for a plan of another snapshot."""
    if plan.snapshot_id != snapshot_id:
        raise PlanNotFound(f"plan {plan.id} is about snapshot {plan.snapshot_id}, not about {snapshot_id}")
    target = None if plan.tenant == plan.source else plan.tenant
    return replace(wish, target=target, mode=plan.mode, selection=plan.selection, generation=plan.generation)


def render(plan: RestorePlan, page: PageWanted) -> PlanBody:
    """The plan with a page of the entities of each kind of change."""
    return PlanBody(
        id=plan.snapshot_id,
        plan=plan.id,
        mode=plan.mode,
        planned_at=or_unset(milliseconds(plan.made_at)),
        changes=changes_of(plan.changes),
        created=_page(plan.created, page),
        updated=_page(plan.updated, page),
        deleted=_page(plan.deleted, page),
        service=UNSET if plan.tenant == plan.source else plan.tenant,
        filter=msgspec.json.decode(plan.selection) if plan.selection else UNSET,
    )


def location(plan: RestorePlan) -> dict[str, str]:
    """The header that says where more of a plan is."""
    return {"Location": f"/v2/plans/{plan.id}"}


def _page(keys: Sequence[EntityKey], page: PageWanted) -> list[EntityName]:
    shown = keys[page.offset : page.offset + page.limit]
    return [EntityName(key.id, key.type, key.path) for key in shown]

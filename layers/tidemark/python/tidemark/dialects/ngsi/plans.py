"""Plans of restores in the NGSIv2 vocabulary: what a dry run found."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.ngsi.errors import FailureBody, stored_failure
from tidemark.dialects.ngsi.parameters import PageWanted
from tidemark.dialects.ngsi.snapshots import ChangesBody, Milliseconds, SnapshotName, changes_of, milliseconds
from tidemark.dialects.wire import Request, Response, json_response, or_unset
from tidemark.domain.keys import EntityKey
from tidemark.domain.restore import Mode
from tidemark.domain.restore_plan import DryRun, RestorePlan
from tidemark.errors import PlanNotFound
from tidemark.usecases.restore_snapshot import Wish
from tidemark.usecases.stored_plans import UnderWay

PlanName = Annotated[str, Meta(pattern="^plan_[0-9a-f]{32}$", examples=["plan_0123456789abcdef0123456789abcdef"])]


class EntityName(msgspec.Struct, frozen=True, rename="camel"):
    """An entity that a restore changes."""

    id: str
    type: str
    service_path: str


class _DryRunBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: SnapshotName
    status: Literal["planned", "counting", "failed"]
    plan: PlanName
    mode: Mode
    planned_at: Milliseconds | UnsetType
    service: str | UnsetType = UNSET
    filter: dict[str, Any] | UnsetType = UNSET


class PlanBody(_DryRunBody, frozen=True, kw_only=True):
    """What a restore would do, with a page of the entities of each kind of change. `service` is the tenant that it
    would go into, where that is another one.
    """

    changes: ChangesBody
    created: list[EntityName]
    updated: list[EntityName]
    deleted: list[EntityName]


class CountingPlan(_DryRunBody, frozen=True, kw_only=True):
    """A dry run that goes on after its request."""

    percent: Annotated[int, Meta(ge=0, le=100)]


class FailedPlan(_DryRunBody, frozen=True, kw_only=True):
    """A dry run that could not be carried out."""

    error: FailureBody


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
        **_asked(plan, "planned"),
        changes=changes_of(plan.changes),
        created=_page(plan.created, page),
        updated=_page(plan.updated, page),
        deleted=_page(plan.deleted, page),
    )


def render_under_way(found: UnderWay) -> CountingPlan | FailedPlan:
    """A dry run that goes on, or has failed."""
    if found.failure is not None:
        return FailedPlan(**_asked(found.dry_run, "failed"), error=stored_failure(found.failure))
    return CountingPlan(**_asked(found.dry_run, "counting"), percent=found.percent)


def answer(made: DryRun, page: PageWanted) -> Response:
    """What a request for a dry run is answered: 200 with the plan, or 202 where it goes on after the request."""
    where = {"Location": f"/v2/plans/{made.id}"}
    if isinstance(made, RestorePlan):
        return json_response(HTTPStatus.OK, render(made, page), where)
    return json_response(HTTPStatus.ACCEPTED, CountingPlan(**_asked(made, "counting"), percent=0), where)


def _asked(dry_run: DryRun, status: str) -> dict[str, Any]:
    return {
        "id": dry_run.snapshot_id,
        "status": status,
        "plan": dry_run.id,
        "mode": dry_run.mode,
        "planned_at": or_unset(milliseconds(dry_run.made_at)),
        "service": UNSET if dry_run.tenant == dry_run.source else dry_run.tenant,
        "filter": msgspec.json.decode(dry_run.selection) if dry_run.selection else UNSET,
    }


def _page(keys: Sequence[EntityKey], page: PageWanted) -> list[EntityName]:
    shown = keys[page.offset : page.offset + page.limit]
    return [EntityName(key.id, key.type, key.path) for key in shown]

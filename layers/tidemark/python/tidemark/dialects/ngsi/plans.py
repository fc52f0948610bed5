"""Plans of restores in the NGSIv2 vocabulary: what a dry run found."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from tidemark.dialects.ngsi.errors import stored_failure
from tidemark.dialects.ngsi.parameters import PageWanted
from tidemark.dialects.ngsi.snapshots import milliseconds
from tidemark.dialects.wire import Request
from tidemark.domain.keys import EntityKey
from tidemark.domain.restore_plan import DryRun, RestorePlan
from tidemark.errors import PlanNotFound
from tidemark.usecases.restore_snapshot import Wish
from tidemark.usecases.stored_plans import UnderWay


def named(request: Request) -> str:
    """The plan in the path."""
    return request.path_parameter("planId")


def wish_of(plan: RestorePlan, snapshot_id: str, wish: Wish) -> Wish:
    """What the plan says is to be restored; all else as wished. Raises PlanNotFound for a plan of another snapshot."""
    if plan.snapshot_id != snapshot_id:
        raise PlanNotFound(f"plan {plan.id} is about snapshot {plan.snapshot_id}, not about {snapshot_id}")
    target = None if plan.tenant == plan.source else plan.tenant
    return replace(wish, target=target, mode=plan.mode, selection=plan.selection, generation=plan.generation)


def render(plan: RestorePlan, page: PageWanted) -> dict[str, Any]:
    """The plan with a page of the entities of each kind of change."""
    return {
        **_asked(plan, "planned"),
        "changes": plan.changes._asdict(),
        "created": _page(plan.created, page),
        "updated": _page(plan.updated, page),
        "deleted": _page(plan.deleted, page),
    }


def render_begun(dry_run: DryRun) -> dict[str, Any]:
    """A dry run that goes on after its request."""
    return {**_asked(dry_run, "counting"), "percent": 0}


def render_under_way(found: UnderWay) -> dict[str, Any]:
    """A dry run that goes on, or has failed."""
    if found.failure is not None:
        return {**_asked(found.dry_run, "failed"), "error": stored_failure(found.failure)}
    return {**_asked(found.dry_run, "counting"), "percent": found.percent}


def location(dry_run: DryRun) -> dict[str, str]:
    """The header that says where the plan, or more of it, is."""
    return {"Location": f"/v2/plans/{dry_run.id}"}


def _asked(dry_run: DryRun, status: str) -> dict[str, Any]:
    told = {
        "id": dry_run.snapshot_id,
        "status": status,
        "plan": dry_run.id,
        "mode": dry_run.mode.value,
        "plannedAt": milliseconds(dry_run.made_at),
        "service": None if dry_run.tenant == dry_run.source else dry_run.tenant,
        "filter": dry_run.selection and msgspec.json.decode(dry_run.selection),
    }
    return {name: value for name, value in told.items() if value is not None}


def _page(keys: Sequence[EntityKey], page: PageWanted) -> list[dict[str, str]]:
    shown = keys[page.offset : page.offset + page.limit]
    return [{"id": key.id, "type": key.type, "servicePath": key.path} for key in shown]

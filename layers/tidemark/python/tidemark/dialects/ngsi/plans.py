"""Plans of restores in the NGSIv2 vocabulary: what a dry run found."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from tidemark.dialects.ngsi.parameters import PageWanted
from tidemark.dialects.ngsi.snapshots import milliseconds
from tidemark.dialects.wire import Request
from tidemark.domain.keys import EntityKey
from tidemark.domain.restore_plan import RestorePlan
from tidemark.errors import PlanNotFound
from tidemark.usecases.restore_snapshot import Wish


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
    more = {
        "service": None if plan.tenant == plan.source else plan.tenant,
        "filter": plan.selection and msgspec.json.decode(plan.selection),
    }
    return {
        "id": plan.snapshot_id,
        "status": "planned",
        "plan": plan.id,
        "mode": plan.mode.value,
        "plannedAt": milliseconds(plan.made_at),
        "changes": plan.changes._asdict(),
        "created": _page(plan.created, page),
        "updated": _page(plan.updated, page),
        "deleted": _page(plan.deleted, page),
        **{name: value for name, value in more.items() if value is not None},
    }


def location(plan: RestorePlan) -> dict[str, str]:
    """The header that says where more of a plan is."""
    return {"Location": f"/v2/plans/{plan.id}"}


def _page(keys: Sequence[EntityKey], page: PageWanted) -> list[dict[str, str]]:
    shown = keys[page.offset : page.offset + page.limit]
    return [{"id": key.id, "type": key.type, "servicePath": key.path} for key in shown]

"""GET /v2/plans/{planId}: what a dry run of a restore found, or how far it is."""

from tidemark import web
from tidemark.dialects.ngsi import plans
from tidemark.dialects.ngsi.parameters import page_wanted
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.stored_plans import UnderWay, look_at_plan


def get(ports: Ports, request: Request) -> Response:
    """Answers 200, also while the plan is made and when it could not be."""
    found, page = look_at_plan(ports, request.tenant, plans.named(request)), page_wanted(request)
    if isinstance(found, UnderWay):
        return json_response(200, plans.render_under_way(found))
    return json_response(200, plans.render(found, page))


handler = web.handler({"GET /v2/plans/{planId}": get})

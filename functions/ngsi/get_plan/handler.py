"""GET /v2/plans/{planId}: what a dry run of a restore found."""

from tidemark import web
from tidemark.dialects.ngsi import plans
from tidemark.dialects.ngsi.parameters import page_wanted
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.dry_run import read_plan


def get(ports: Ports, request: Request) -> Response:
    """Answers 200."""
    plan = read_plan(ports, request.tenant, plans.named(request))
    return json_response(200, plans.render(plan, page_wanted(request)))


handler = web.handler({"GET /v2/plans/{planId}": get})

"""POST /v2/snapshots: take a snapshot of the tenant."""

from tidemark import bootstrap, web
from tidemark.dialects.idempotency import once
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.ngsi.snapshot_metadata import parse_create
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot


@once
def create(ports: Ports, request: Request) -> Response:
    """Answers 201 with status `completed` when the capture fitted the time budget, `creating` when it goes on."""
    wanted = parse_create(request.optional_json(max_bytes=snapshots.MAX_BODY_BYTES))
    snapshot = create_snapshot(
        ports,
        request.tenant,
        description=wanted.description,
        labels=wanted.labels,
        lifetime=wanted.lifetime,
        asked=request.asked,
        budget_s=bootstrap.settings().inline_budget_s,
    )
    return json_response(201, snapshots.summary(snapshot), snapshots.location(snapshot.id))


handler = web.handler({"POST /v2/snapshots": create})

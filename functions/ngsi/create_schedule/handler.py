"""POST /v2/schedules: have snapshots of the tenant taken on a schedule."""

from tidemark import bootstrap, web
from tidemark.dialects.idempotency import once
from tidemark.dialects.ngsi import schedules
from tidemark.dialects.ngsi.snapshots import MAX_BODY_BYTES
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.create_schedule import create_schedule


@once
def create(ports: Ports, request: Request) -> Response:
    """Answers 201 once EventBridge Scheduler has it."""
    wanted = schedules.parse_create(request.json(max_bytes=MAX_BODY_BYTES))
    quota = bootstrap.settings().schedules_per_tenant
    schedule = create_schedule(ports, request.tenant, wanted, asked=request.asked, quota=quota)
    return json_response(201, schedules.render(schedule, ports.clock.now()), schedules.location(schedule.id))


handler = web.handler({"POST /v2/schedules": create})

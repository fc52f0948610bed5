"""POST /v2/snapshots/{snapshotId}/verify: read every stored byte of a snapshot back."""

from tidemark import bootstrap, web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.telemetry import SNAPSHOT_ID, TENANT, report_damage
from tidemark.usecases.verify_snapshot import verify_snapshot


def verify(ports: Ports, request: Request) -> Response:
    """Answers 200 with what was found when the work fitted the time budget, 202 when the state machine goes on."""
    snapshots.parse_bare(request.optional_json(max_bytes=snapshots.MAX_BODY_BYTES))
    name = snapshots.named(request)
    snapshot, done = verify_snapshot(ports, request.tenant, name, budget_s=bootstrap.settings().inline_budget_s)
    if done and snapshot.verification and snapshot.verification.failure:
        report_damage([snapshot.verification.failure.message], **{TENANT: request.tenant, SNAPSHOT_ID: name})
    return json_response(200 if done else 202, snapshots.detail(snapshot), snapshots.location(snapshot.id))


handler = web.handler({"POST /v2/snapshots/{snapshotId}/verify": verify})

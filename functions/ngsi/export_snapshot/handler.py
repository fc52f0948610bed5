"""GET /v2/snapshots/{snapshotId}/export: addresses of plain files that hold the snapshot."""

from tidemark import web
from tidemark.dialects import addresses
from tidemark.dialects.ngsi import exports, snapshots
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.export_snapshot import export_snapshot


def export(ports: Ports, request: Request) -> Response:
    """Answers 200 with the manifest, or 202 while the state machine merges what has several layers."""
    addresses.expiry_s(request)
    exported = export_snapshot(ports, request.tenant, snapshots.named(request))
    if exported.parts is None:
        return json_response(202, exports.preparing(exported), {"Retry-After": str(exports.RETRY_AFTER_S)})
    return json_response(200, exports.render(ports, request, exported, exported.parts))


handler = web.handler({"GET /v2/snapshots/{snapshotId}/export": export})

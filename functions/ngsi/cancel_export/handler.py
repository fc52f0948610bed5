"""DELETE /v2/snapshots/{snapshotId}/export: stop preparing an export, or forget one that is ready."""

from tidemark import web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.export_snapshot import cancel_export


def cancel(ports: Ports, request: Request) -> Response:
    """Answers 204, also where there is no export."""
    cancel_export(ports, request.tenant, snapshots.named(request))
    return Response(204)


handler = web.handler({"DELETE /v2/snapshots/{snapshotId}/export": cancel})

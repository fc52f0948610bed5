"""PATCH /v2/snapshots/{snapshotId}: change the description, labels, expiry or pin of a snapshot, or its legal hold."""

from tidemark import bootstrap, web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.ngsi.snapshot_metadata import HoldChange, parse_update
from tidemark.dialects.wire import Request, Response
from tidemark.domain.api_key import Action
from tidemark.ports import Ports
from tidemark.usecases.hold_snapshot import hold_snapshot, lift_hold
from tidemark.usecases.update_snapshot import update_snapshot


def update(ports: Ports, request: Request) -> Response:
    """Answers 204, as NGSIv2 does to every PATCH."""
    change = parse_update(request.json(max_bytes=snapshots.MAX_BODY_BYTES))
    name = snapshots.named(request)
    if isinstance(change, HoldChange):
        request.check_may(Action.HOLD)
        change_hold = hold_snapshot if change.held else lift_hold
        change_hold(ports, request.tenant, name, object_lock=bootstrap.settings().object_lock)
    else:
        update_snapshot(ports, request.tenant, name, change)
    return Response(204)


handler = web.handler({"PATCH /v2/snapshots/{snapshotId}": update})

"""POST /v1/services/{serviceCode}/{environmentName}/snapshots/{snapshotId}: make a volume or template of a snapshot."""

from tidemark import web
from tidemark.dialects.cloudca import answers
from tidemark.dialects.cloudca.requests import RestoreWanted, environment_in, operation_wanted, snapshot_in
from tidemark.dialects.cloudca.routes import SNAPSHOT
from tidemark.dialects.idempotency import once
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.restore_volume_snapshot import (
    RestoreWish,
    TemplateWish,
    create_volume_template,
    restore_volume_snapshot,
)


@once
def operate(ports: Ports, request: Request) -> Response:
    """Answers 202 with a task: the state machine goes on."""
    environment, snapshot_id, wanted = environment_in(request), snapshot_in(request), operation_wanted(request)
    if isinstance(wanted, RestoreWanted):
        restore = RestoreWish(wanted.name, wanted.zone)
        task = restore_volume_snapshot(ports, environment, snapshot_id, restore, asked=request.asked)
    else:
        template = TemplateWish(wanted.name, wanted.description)
        task = create_volume_template(ports, environment, snapshot_id, template, asked=request.asked)
    return answers.accepted(task)


handler = web.handler({f"POST {SNAPSHOT}": operate}, dialect="cloudca")

"""POST /v2/snapshots/{snapshotId}/restore: put a tenant back to a snapshot, or say what that would do."""

from tidemark import bootstrap, web
from tidemark.dialects.idempotency import once
from tidemark.dialects.ngsi import plans, restores, snapshots
from tidemark.dialects.ngsi.parameters import page_wanted
from tidemark.dialects.ngsi.restore_requests import parse_restore
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.dry_run import check_plan, dry_run, require_selected
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.stored_plans import read_plan


def restore(ports: Ports, request: Request) -> Response:
    """Answers 202, since the state machine goes on; a dry run that fits the time budget answers 200."""
    snapshot_id = snapshots.named(request)
    wanted = parse_restore(request.optional_json(max_bytes=snapshots.MAX_BODY_BYTES))
    plan = None if wanted.plan is None else read_plan(ports, request.tenant, wanted.plan)
    wish = wanted.wish if plan is None else plans.wish_of(plan, snapshot_id, wanted.wish)
    if wish.target is not None:
        # Of repeats too: the answer that is kept is of that tenant, which the key may have lost since.
        request.check_may_use(wish.target)

    @once
    def begin(ports: Ports, request: Request) -> Response:
        if wanted.dry_run:
            page, budget_s = page_wanted(request), bootstrap.settings().inline_budget_s
            return plans.answer(dry_run(ports, request.tenant, snapshot_id, wish, budget_s=budget_s), page)
        if plan is not None:
            check_plan(ports, plan)
        else:
            require_selected(ports, request.tenant, snapshot_id, wish)
        begun = restore_snapshot(ports, request.tenant, snapshot_id, wish, asked=request.asked)
        return json_response(202, snapshots.accepted(begun), restores.location(begun.id))

    return begin(ports, request)


handler = web.handler({"POST /v2/snapshots/{snapshotId}/restore": restore})

"""Stage: write the snapshot, part by part, into a generation that nobody reads yet."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from tidemark.domain.live import FencingToken, TenantState
from tidemark.domain.restore import Part, Restore, StagedPart
from tidemark.domain.snapshot import Failure
from tidemark.domain.tenant import Tenant
from tidemark.engine import overlaying, staging
from tidemark.engine.live import leases
from tidemark.errors import Corrupt, LeaseLost, StaleRecord
from tidemark.ports import Ports
from tidemark.usecases.records import amend_restore
from tidemark.usecases.restore_phases.lifecycle import manifest_of, refuse_cancelled
from tidemark.usecases.restore_phases.overlaid import job_of


class Staged(NamedTuple):
    """What a call has done: `records` of the snapshot gone through. Unless the part is `done`, call again."""

    records: int
    done: bool


def stage(ports: Ports, tenant: Tenant, restore_id: str, *, token: int, part: Part, budget_s: float) -> Staged:
    """Write a part of the snapshot into the new generation, from where it is noted to be, for about `budget_s`. Can be
    repeated. Raises LeaseLost, RestoreCancelled, Corrupt ones.

    A Distributed Map does not pass on why an item failed, so a corruption is also noted on the restore's record, for
    Rollback to report.
    """
    until_s = ports.clock.monotonic_s() + budget_s
    restore = ports.catalog.restore(tenant, restore_id)
    state = leases.held_state(ports.table, tenant, FencingToken(token))

    def proceed() -> None:
        held = leases.held_state(ports.table, tenant, FencingToken(token))
        if held.generation == restore.generation:
            # From the flip on it is known until when a worker may still be writing what it staged.
            raise LeaseLost(f"restore {restore_id} has been cut over: nothing is staged any more")
        refuse_cancelled(ports.catalog.restore(tenant, restore_id))

    proceed()
    records = 0
    try:
        for step in _noted_steps(ports, restore, state, part, proceed):
            records += step.records
            if step.reached is not None and ports.clock.monotonic_s() >= until_s:
                return Staged(records, done=False)
    except Corrupt as error:
        failure = Failure(error.code, error.message)
        amend_restore(
            ports.catalog, tenant, restore_id, lambda record: replace(record, failure=record.failure or failure)
        )
        raise
    return Staged(records, done=True)


def _noted_steps(
    ports: Ports, restore: Restore, state: TenantState, part: Part, proceed: Callable[[], None]
) -> Iterator[StagedPart]:
    """Stage what is not noted to be; what each step did, once it is noted.

    A step counts once: it is noted only if what is noted is what it follows. So it makes no difference where workers
    that run side by side cut theirs: what lies between two keys is the same for both.
    """
    catalog, tenant = ports.catalog, restore.tenant
    noted = catalog.part(tenant, restore.id, part.number)
    while noted is None or noted.reached is not None:
        after = noted.reached if noted is not None else None
        for step in _steps(ports, restore, state, part, proceed, after):
            whole = step if noted is None else noted.followed_by(step)
            try:
                catalog.record_part(tenant, restore.id, whole, after=noted)
            except StaleRecord:
                # Another worker was faster, or it is this note, whose answer was lost.
                found = catalog.part(tenant, restore.id, part.number)
                if found == noted:
                    raise
                noted = found
                break
            noted = whole
            yield step


def _steps(
    ports: Ports, restore: Restore, state: TenantState, part: Part, proceed: Callable[[], None], after: str | None
) -> Iterator[StagedPart]:
    if restore.partial:
        return overlaying.stage(ports, job_of(ports, restore, state), part, proceed, after=after)
    shard = manifest_of(ports, restore).shards[part.shard]
    return staging.stage(ports, restore.tenant, restore.generation, state.shards, shard, part, proceed, after=after)

"""Stage: write the snapshot, part by part, into a generation that nobody reads yet."""

from dataclasses import replace

from tidemark.domain.live import FencingToken
from tidemark.domain.restore import Part
from tidemark.domain.snapshot import Failure
from tidemark.domain.tenant import Tenant
from tidemark.engine import overlaying, staging
from tidemark.engine.live import leases
from tidemark.errors import (
    Corrupt,
    LeaseLost,
)
from tidemark.ports import Ports
from tidemark.usecases.records import amend_restore
from tidemark.usecases.restore_phases.lifecycle import manifest_of, refuse_cancelled
from tidemark.usecases.restore_phases.overlaid import job_of


def stage(ports: Ports, tenant: Tenant, restore_id: str, *, token: int, part: Part) -> int:
    """Write one part of the snapshot into the new generation; the number of its records. Raises LeaseLost,
    RestoreCancelled, Corrupt ones.

    A Distributed Map does not pass on why an item failed, so a corruption is also noted on the restore's record, for
    Rollback to report.
    """
    restore = ports.catalog.restore(tenant, restore_id)
    state = leases.held_state(ports.table, tenant, FencingToken(token))

    def proceed() -> None:
        held = leases.held_state(ports.table, tenant, FencingToken(token))
        if held.generation == restore.generation:
            # From the flip on it is known until when a worker may still be writing what it staged.
            raise LeaseLost(f"restore {restore_id} has been cut over: nothing is staged any more")
        refuse_cancelled(ports.catalog.restore(tenant, restore_id))

    proceed()
    try:
        if restore.partial:
            staged = overlaying.stage(ports, job_of(ports, restore, state), part.shard, proceed)
        else:
            shard = manifest_of(ports, restore).shards[part.shard]
            staged = staging.stage(ports, tenant, restore.generation, state.shards, shard, part, proceed)
    except Corrupt as error:
        failure = Failure(error.code, error.message)
        amend_restore(
            ports.catalog, tenant, restore_id, lambda record: replace(record, failure=record.failure or failure)
        )
        raise
    ports.catalog.record_part(tenant, restore_id, staged)
    return staged.records

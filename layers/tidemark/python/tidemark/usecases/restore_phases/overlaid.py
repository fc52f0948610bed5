"""What the phases of a partial restore share: the job that its record describes."""

from tidemark.domain.live import TenantState
from tidemark.domain.restore import Restore
from tidemark.engine.overlay import Overlay, stamp_of
from tidemark.engine.overlaying import Job
from tidemark.errors import StageIncomplete
from tidemark.ports import Ports
from tidemark.usecases.restore_phases.lifecycle import manifest_of


def job_of(ports: Ports, restore: Restore, state: TenantState) -> Job:
    """What a partial restore that was planned has to do. Raises ManifestCorrupt, StageIncomplete."""
    if restore.baseline is None:
        raise StageIncomplete(f"restore {restore.id} was not planned: it has no baseline")
    selection = None if restore.selection is None else ports.select(restore.selection)
    return Job(
        tenant=restore.tenant,
        manifest=manifest_of(ports, restore),
        overlay=Overlay(restore.mode, selection),
        stamp=stamp_of(restore.tenant, restore.generation, restore.baseline, restore.from_base),
        live=restore.from_generation,
        staged=restore.generation,
        shards=state.shards,
        baseline=restore.baseline,
    )

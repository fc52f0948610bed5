"""CatchUp: lay a partial restore over what was written since live data was staged, round by round, until little is left
for the moment of the cutover.
"""

from dataclasses import replace
from functools import reduce
from typing import Final

from tidemark.domain.live import Cut, FencingToken
from tidemark.domain.restore import Changes, Phase, Restore
from tidemark.domain.tenant import Tenant
from tidemark.engine import overlaying
from tidemark.engine.live import gates, leases
from tidemark.ports import Ports
from tidemark.usecases.records import amend_restore
from tidemark.usecases.restore_phases.lifecycle import refuse_cancelled
from tidemark.usecases.restore_phases.overlaid import job_of

# So many entities are brought while writers wait, which takes a fraction of their patience.
FEW: Final = 200
_ROUNDS: Final = 20


def catch_up(ports: Ports, tenant: Tenant, restore_id: str, *, token: int, budget_s: float) -> bool:
    """Whether so little changed in the last round that the rest can wait for the cutover; if not, call again.

    A restore of everything has nothing to catch up with. Raises RestoreCancelled, LeaseLost, GenerationMoved,
    WriteConflict.
    """
    fence = FencingToken(token)
    state = leases.held_state(ports.table, tenant, fence)
    restore = ports.catalog.restore(tenant, restore_id)
    if not restore.partial or state.generation == restore.generation:
        return True
    restore = amend_restore(ports.catalog, tenant, restore_id, lambda record: _entering(ports, record))
    job = job_of(ports, restore, state)
    until_s = ports.clock.monotonic_s() + budget_s
    for _ in range(_ROUNDS):
        refuse_cancelled(ports.catalog.restore(tenant, restore_id))
        # Each round begins a cut, so that the next one finds only what was written since.
        ended = gates.end_cut(ports, tenant, fence)
        brought = overlaying.bring(ports, job, since_of(restore), gates.fences(ports, tenant, fence, job.live))
        restore = _note(ports, restore, ended)
        if brought <= FEW:
            return True
        if ports.clock.monotonic_s() >= until_s:
            break
    return False


def since_of(restore: Restore) -> Cut:
    """The cut up to which the new generation has everything."""
    return restore.caught_up or restore.baseline or Cut(0)


def _entering(ports: Ports, record: Restore) -> Restore:
    """The record in this phase, with what was found to change when live data was staged."""
    found = record.changes
    if found is None:
        found = reduce(
            Changes.plus, (part.changes for part in ports.catalog.parts(record.tenant, record.id)), Changes()
        )
    return replace(record, changes=found).entering(Phase.CATCH_UP, ports.clock.now())


def _note(ports: Ports, restore: Restore, ended: Cut) -> Restore:
    def advance(record: Restore) -> Restore:
        return replace(record, caught_up=max(ended, since_of(record)))

    return amend_restore(ports.catalog, restore.tenant, restore.id, advance)

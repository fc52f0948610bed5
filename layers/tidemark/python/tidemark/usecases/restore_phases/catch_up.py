"""CatchUp: lay a partial restore over what was written since live data was staged, round by round, until little is left
for the moment of the cutover.
"""

from dataclasses import replace
from functools import reduce
from typing import Final

from tidemark.domain.live import Cut, FencingToken
from tidemark.domain.restore import Changes, Pace, Phase, Restore
from tidemark.domain.tenant import Tenant
from tidemark.engine import overlaying
from tidemark.engine.live import gates, leases
from tidemark.engine.live.writes import GATE_PATIENCE_S
from tidemark.errors import RestoreOutpaced
from tidemark.ports import Ports
from tidemark.usecases.records import amend_restore
from tidemark.usecases.restore_phases.lifecycle import refuse_cancelled
from tidemark.usecases.restore_phases.overlaid import job_of

# So many entities are brought while writers wait, which takes a fraction of their patience.
FEW: Final = 200
# So long a round may have taken for Cutover to bring as much as it found while writers wait. The rest of their patience
# is for what they write until Cutover has begun.
_SHORT_S: Final = GATE_PATIENCE_S / 4
_ROUNDS: Final = 20


def catch_up(ports: Ports, tenant: Tenant, restore_id: str, *, token: int, budget_s: float) -> bool:
    """Whether so little changed in the last round that the rest can wait for the cutover; if not, call again.

    Rounds that no longer find less are ended, whichever attempt they are of: the rest is left to the cutover if that
    can bring it while writers wait. A restore of everything has nothing to catch up with. Raises RestoreOutpaced,
    RestoreCancelled, LeaseLost, GenerationMoved, WriteConflict.
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
        ended, began_s = gates.end_cut(ports, tenant, fence), ports.clock.monotonic_s()
        found = overlaying.bring(ports, job, since_of(restore), gates.fences(ports, tenant, fence, job.live))
        took_s = ports.clock.monotonic_s() - began_s
        restore, pace = _note(ports, restore, ended, found)
        if found <= FEW or (pace.steady and took_s <= _SHORT_S):
            return True
        if pace.steady:
            raise _outpaced(restore, found, took_s)
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


def _note(ports: Ports, restore: Restore, ended: Cut, found: int) -> tuple[Restore, Pace]:
    """The record after a round, and how the rounds get on."""

    def advance(record: Restore) -> Restore:
        pace = record.pace.after(record.attempt, found) if record.pace else Pace(record.attempt, found)
        return replace(record, caught_up=max(ended, since_of(record)), pace=pace)

    noted = amend_restore(ports.catalog, restore.tenant, restore.id, advance)
    return noted, noted.pace or Pace(noted.attempt, found)


def _outpaced(restore: Restore, found: int, took_s: float) -> RestoreOutpaced:
    return RestoreOutpaced(
        f"restore {restore.id} keeps what it does not select, and could not follow those who write: its last round "
        f"found {found} entities that were written since the one before, no less than earlier ones did, and took "
        f"{took_s:.1f} s, for which writers can't be let wait; nothing was restored. Restore when less is written, or "
        "restore the whole snapshot, without a filter and in mode replace, which does not follow writers"
    )

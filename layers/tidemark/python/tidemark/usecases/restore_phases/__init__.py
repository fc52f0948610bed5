"""The phases of a restore: Plan, Stage, Verify, CatchUp, Cutover, Retire and Rollback, one module each.

Preserve is a capture of the generation that cutover froze: see `capture_phases`. Each phase can be repeated, run late,
or run by a worker that has lost its lease: then it changes nothing that it should not.
"""

from tidemark.usecases.restore_phases.catch_up import catch_up
from tidemark.usecases.restore_phases.cutover import CutOver, cutover
from tidemark.usecases.restore_phases.plan import Planned, plan, read_work_list
from tidemark.usecases.restore_phases.retire import retire
from tidemark.usecases.restore_phases.rollback import RolledBack, rollback
from tidemark.usecases.restore_phases.stage import Staged, stage
from tidemark.usecases.restore_phases.verify import verify

__all__ = [
    "CutOver",
    "Planned",
    "RolledBack",
    "Staged",
    "catch_up",
    "cutover",
    "plan",
    "read_work_list",
    "retire",
    "rollback",
    "stage",
    "verify",
]

"""Transfer, SortFiles: check the entities of an uploaded file and store them sorted, by shard."""

from typing import Literal

from tidemark import bootstrap
from tidemark.dialects.ngsi.imports import read_entity
from tidemark.engine.transfer.sorting import Progress
from tidemark.tasks import Context, Result, Step, budget_s, task
from tidemark.usecases.transfer_phases import sort_file


class Input(Step, frozen=True):
    """Which file of which import; `place` is where an earlier call stopped, 0 where there was none."""

    snapshot_id: str
    transfer_id: str
    attempt: int
    file: int
    place: Progress | Literal[0]


@task("SortFile", Input)
def handler(step: Input, context: Context) -> Result:
    """`done` is false when the time was not enough: call again with the `place`."""
    place = sort_file(
        bootstrap.ports(),
        step.tenant,
        step.snapshot_id,
        step.transfer_id,
        read_entity,
        attempt=step.attempt,
        file=step.file,
        progress=step.place or None,
        budget_s=budget_s(context),
    )
    return {"done": place is None, "place": place and place.told}

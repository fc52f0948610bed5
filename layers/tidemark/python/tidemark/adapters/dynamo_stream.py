"""The stream of the catalog's table, as Lambda hands it to a function: which record changed, from what to what.

Source: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from tidemark.adapters import dynamo_catalog, dynamo_schedules, dynamo_volumes
from tidemark.adapters.dynamo_records import decoded
from tidemark.adapters.dynamo_rows import Row
from tidemark.domain.announcements import Record, Transition
from tidemark.domain.restore import Restore
from tidemark.domain.schedule import Schedule
from tidemark.domain.snapshot import Snapshot
from tidemark.domain.task import Task
from tidemark.domain.volume import VolumeSnapshot
from tidemark.errors import CatalogCorrupt

# The kinds of record that anything is announced of, by how the sort keys of their rows begin.
_KINDS: Final[dict[str, type[Record]]] = {
    dynamo_catalog.SNAPSHOT: Snapshot,
    dynamo_catalog.RESTORE: Restore,
    dynamo_schedules.SCHEDULE: Schedule,
    dynamo_volumes.SNAPSHOT: VolumeSnapshot,
    dynamo_volumes.TASK: Task,
}


class Changes(NamedTuple):
    """The transitions in the order in which they were committed, and a sentence for each record that is damaged: what
    became of that one can't be told.
    """

    transitions: list[Transition]
    damage: list[str]


def changes(event: Mapping[str, Any]) -> Changes:
    """What a batch of the stream says about snapshots, restores, schedules and tasks.

    Other rows of the table say nothing, nor do rows that were removed. The stream must carry both images of a row.
    """
    found, damage = list[Transition](), list[str]()
    for record in event["Records"]:
        change = record["dynamodb"]
        if "NewImage" not in change:
            continue
        at = datetime.fromtimestamp(float(change["ApproximateCreationDateTime"]), UTC)
        try:
            before, after = (
                _record_in(change[image]) if change.get(image) else None for image in ("OldImage", "NewImage")
            )
        except CatalogCorrupt as error:
            damage.append(error.message)
        else:
            found.append(Transition(change["SequenceNumber"], at, before, after))
    return Changes(found, damage)


def _record_in(row: Row) -> Record | None:
    """The record in a row of the table; None for rows of other kinds, by their place. Raises CatalogCorrupt."""
    kind = next((kind for place, kind in _KINDS.items() if row["sk"]["S"].startswith(place)), None)
    return None if kind is None else decoded(row, kind)

"""The records of schedules in the catalog's DynamoDB table: `TENANT#{tenant}` / `SCHEDULE#{id}`.

Apart from those of `dynamo_catalog`, which every function loads: few see a schedule, and what one is made of (cron,
retention, time zones) takes time to load.
"""

from collections.abc import Iterator
from typing import Final

from tidemark.adapters.dynamo_records import Kind, RecordRows, decoded, learn
from tidemark.adapters.dynamo_rows import Row, text
from tidemark.domain.schedule import DamagedSchedule, Schedule, ScheduleId, parse_schedule_id
from tidemark.domain.snapshot import Failure
from tidemark.domain.tenant import Tenant
from tidemark.errors import CatalogCorrupt, ScheduleNotFound

SCHEDULE: Final = "SCHEDULE#"

learn(Schedule)
_SCHEDULES: Final = Kind("schedule", Schedule, ScheduleNotFound)


class ScheduleRows:
    """The part of `tidemark.ports.Catalog` that is about schedules."""

    def __init__(self, rows: RecordRows) -> None:
        self._rows = rows

    def add(self, schedule: Schedule) -> Schedule:
        """See `Catalog.add_schedule`."""
        return self._rows.add(_SCHEDULES, _key(schedule.tenant, schedule.id), schedule)

    def get(self, tenant: Tenant, schedule_id: str) -> Schedule:
        """See `Catalog.schedule`."""
        return self._rows.get(_SCHEDULES, _key(tenant, schedule_id), schedule_id)

    def found(self, tenant: Tenant) -> Iterator[Schedule | DamagedSchedule]:
        """See `Catalog.found_schedules`."""
        for row in self._rows.query(f"TENANT#{tenant}", SCHEDULE):
            try:
                found: Schedule | DamagedSchedule = decoded(row, Schedule)
            except CatalogCorrupt as error:
                identity = ScheduleId(row["sk"]["S"].removeprefix(SCHEDULE))
                found = DamagedSchedule(identity, Failure(error.code, error.message))
            yield found

    def replace(self, schedule: Schedule) -> Schedule:
        """See `Catalog.replace_schedule`."""
        return self._rows.replace(_SCHEDULES, _key(schedule.tenant, schedule.id), schedule)

    def remove(self, schedule: Schedule) -> None:
        """See `Catalog.remove_schedule`."""
        self._rows.remove(_SCHEDULES, _key(schedule.tenant, schedule.id), schedule)

    def remove_damaged(self, tenant: Tenant, schedule_id: str) -> None:
        """See `Catalog.remove_damaged_schedule`."""
        self._rows.remove_damaged(_SCHEDULES, _key(tenant, schedule_id), schedule_id)


def _key(tenant: Tenant, schedule_id: str) -> Row:
    return {"pk": text(f"TENANT#{tenant}"), "sk": text(f"{SCHEDULE}{parse_schedule_id(schedule_id)}")}

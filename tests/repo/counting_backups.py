"""What a schedule asks of AWS: the backup of one of its slots, and a month of the watch over its tenant.

Nothing changes between the slots, so what a snapshot costs more for what changed is not in it. The tenant is as it is
after some time: the records that its policy keeps, and those that wait in the recycle bin.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tests.driving import TENANT
from tests.fakes import ManualClock
from tests.repo.counting import SHARDS, states_entered
from tests.repo.metering import Meter, metered_ports, taken
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import STACK_SCHEDULE_ID, RunStatus
from tidemark.engine.live.leases import ensure_tenant
from tidemark.ports import Ports
from tidemark.usecases.backup_phases import SlotState, conclude_slot, run_slot
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.stack_schedule import StackBackups, kept_in_step
from tidemark.usecases.watch_backups import watch_backups

# Every hour; what the policy keeps and the recycle bin holds no longer grows after so many days.
HOURLY: Final = StackBackups("cron(0 * * * ? *)", "UTC", RetentionPolicy(hourly=24, daily=7, weekly=4))
_DAYS: Final = 10
SLOTS_A_MONTH: Final = 30 * 24
# The watch looks every 15 minutes.
LOOKS_A_MONTH: Final = 4 * SLOTS_A_MONTH
# The states that an execution enters when nothing fails.
_BACKUP: Final = ("ForWhom", "RunSlot", "SlotState", "ConcludeSlot", "Outcome", "BackedUp")


class Backups(NamedTuple):
    """What was asked of AWS by the backup of a slot and by a look at its tenant, and how many snapshots had records."""

    slot: Meter
    look: Meter
    records: int


def count_backups(days: int = _DAYS, shards: int = SHARDS) -> Backups:
    """An hourly schedule that has run for so many days, with what it made purged by a collection each day."""
    meter: Meter = Counter()
    ports = metered_ports(meter, shards=shards)
    ensure_tenant(ports, TENANT)
    ports.catalog.add_tenant(TENANT)
    kept_in_step(ports, TENANT, HOURLY)
    for hour in range(1, 24 * days + 1):
        meter.clear()
        back_up(ports, ports.clock.now() + timedelta(hours=1))
        slot = taken(meter, states_entered("backup", _BACKUP))
        if hour % 24 == 0 and hour < 24 * days:
            collect_garbage(ports, TENANT)
    meter.clear()
    assert [found.age_s for found in watch_backups(ports, HOURLY)] == [0]
    look = taken(meter)
    return Backups(slot, look, len(list(ports.catalog.snapshots(TENANT))))


def back_up(ports: Ports, slot_at: datetime) -> None:
    """The slot of the schedule, delivered at its moment."""
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance((slot_at - ports.clock.now()).total_seconds())
    run = run_slot(ports, TENANT, STACK_SCHEDULE_ID, slot_at, owner="one", begun_at=slot_at)
    assert run.state is SlotState.MADE
    ended = conclude_slot(ports, TENANT, STACK_SCHEDULE_ID, slot_at, owner="one")
    assert ended is not None
    assert ended.status is RunStatus.COMPLETED


def times(meter: Meter, count: int) -> Meter:
    """What so many of it ask for."""
    return Counter({name: number * count for name, number in meter.items()})

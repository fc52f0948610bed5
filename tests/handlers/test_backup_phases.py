"""The phases of a backup as its state machine calls them, one after the other."""

from dataclasses import replace

import pytest

from functions.backup.conclude_slot import handler as conclude_slot
from functions.backup.run_slot import handler as run_slot
from tests.contract.examples import schedule
from tests.handlers.phases import TENANT, run, write
from tidemark.domain.schedule import RunStatus, ScheduleId, ScheduleStatus
from tidemark.errors import InvalidRequest
from tidemark.ports import Ports

HOURLY = replace(
    schedule(),
    tenant=TENANT,
    id=ScheduleId("schedule_9f86d081884c7d65"),  # that of the sample events
    expression="rate(1 hour)",
    paused=False,
    status=ScheduleStatus.ACTIVE,
)


@pytest.fixture
def scheduled(ports: Ports) -> Ports:
    """A world with entities, and a schedule of them."""
    write(ports, 1, 2, 3)
    ports.catalog.add_tenant(TENANT)
    ports.catalog.add_schedule(HOURLY)
    return ports


def test_slot_is_run_and_concluded(scheduled: Ports) -> None:
    made = run(run_slot.handler, "backup", "run_slot")
    [snapshot] = scheduled.catalog.snapshots(TENANT)
    assert made == {"state": "made", "snapshotId": snapshot.id, "reason": "", "waitSeconds": 0}
    ended = run(conclude_slot.handler, "backup", "conclude_slot")
    assert ended == {"status": "completed", "snapshotId": snapshot.id, "error": "", "cause": ""}
    last = scheduled.catalog.schedule(TENANT, HOURLY.id).last_run
    assert last is not None
    assert (last.status, last.owner) == (RunStatus.COMPLETED, "b0d4e3a2-6f1c-4a77-9a51-0c8f7e2d9b11")


def test_slot_that_is_no_moment_is_refused(scheduled: Ports) -> None:
    with pytest.raises(InvalidRequest, match="no scheduled time"):
        run(run_slot.handler, "backup", "run_slot", slotAt="<aws.scheduler.scheduled-time>")
    assert list(scheduled.catalog.snapshots(TENANT)) == []

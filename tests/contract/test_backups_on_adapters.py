"""Deliveries of one slot that come at the same moment, on the adapters: the record in DynamoDB lets one have it."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, local

import pytest

from tests.contract.ports_on_aws import moto_clients, ports_on
from tests.driving import TENANT, key, put
from tests.fakes import ManualClock, MemorySchedules, SeededEntropy
from tidemark.adapters.system import Threads
from tidemark.domain.schedule import RunStatus, Schedule
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases.backup_phases import SlotState, conclude_slot, run_slot
from tidemark.usecases.create_schedule import ScheduleWanted, create_schedule

DELIVERIES = 8


@pytest.fixture
def ports() -> Iterator[Ports]:
    with (
        moto_clients() as (dynamodb, s3),
        ports_on(dynamodb, s3, clock=ManualClock(), entropy=SeededEntropy(), parallel=Threads()) as found,
    ):
        yield replace(found, schedules=MemorySchedules())


def test_deliveries_of_a_slot_at_one_moment_make_one_snapshot(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    put(ports, {key(1): 1})
    schedule = create_schedule(ports, TENANT, ScheduleWanted("rate(1 hour)"))
    slot_at, read = schedule.starts_at, ports.catalog.schedule
    all_have_read, has_read = Barrier(DELIVERIES), local()

    def read_at_once(tenant: Tenant, schedule_id: str) -> Schedule:
        found = read(tenant, schedule_id)
        if not hasattr(has_read, "once"):
            has_read.once = True
            all_have_read.wait(60)
        return found

    monkeypatch.setattr(ports.catalog, "schedule", read_at_once)

    def deliver(number: int) -> SlotState:
        owner = f"execution {number}"
        state = run_slot(ports, TENANT, schedule.id, slot_at, owner=owner, begun_at=slot_at, budget_s=600).state
        if state is SlotState.MADE:
            conclude_slot(ports, TENANT, schedule.id, slot_at, owner=owner)
        return state

    with ThreadPoolExecutor(DELIVERIES) as pool:
        states = Counter(pool.map(deliver, range(DELIVERIES)))
    assert states == {SlotState.MADE: 1, SlotState.OVER: DELIVERIES - 1}
    [snapshot] = ports.catalog.snapshots(TENANT)
    last = read(TENANT, schedule.id).last_run
    assert last is not None
    assert (last.status, last.snapshot_id) == (RunStatus.COMPLETED, snapshot.id)

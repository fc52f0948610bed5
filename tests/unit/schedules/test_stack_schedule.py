"""The schedule of all tenants: its records, kept in step with the stack's parameters, and one run over them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.driving import TENANT, key, put
from tests.fakes import ManualClock, MemoryPayloads, memory_ports
from tidemark.domain.interval import IntervalType
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import STACK_SCHEDULE_ID, LastRun, Missed, RunStatus, Schedule, ScheduleStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import CatalogCorrupt, InvalidRequest, ScheduleNotFound, ScheduleOfStack, ScheduleQuotaReached
from tidemark.ports import Ports
from tidemark.usecases.backup_phases import SlotState, conclude_slot, run_slot
from tidemark.usecases.backup_runs import Fate, list_due, summary_of
from tidemark.usecases.create_schedule import ScheduleWanted, create_schedule
from tidemark.usecases.delete_schedule import delete_schedule
from tidemark.usecases.preview_retention import preview_retention
from tidemark.usecases.read_schedules import get_schedule
from tidemark.usecases.stack_schedule import StackBackups, kept_in_step
from tidemark.usecases.update_schedule import ScheduleChange, update_schedule
from tidemark.usecases.watch_backups import watch_backups

DAILY = StackBackups("cron(40 4 * * ? *)", "UTC", RetentionPolicy(daily=7))
SLOT = datetime(2026, 1, 16, 4, 40, tzinfo=UTC)
RUN = "run-1"
TENANTS = [Tenant(name) for name in ("acme", "harbour", "smartcity")]


@pytest.fixture
def ports() -> Ports:
    """Three tenants, of which one has an entity, just before the slot."""
    ports = memory_ports()
    put(ports, {key(1): 1})
    for tenant in TENANTS:
        ports.catalog.add_tenant(tenant)
    assert isinstance(ports.clock, ManualClock)
    return ports


def _advance(ports: Ports, until: datetime) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance((until - ports.clock.now()).total_seconds())


def _record(ports: Ports, tenant: Tenant = TENANT) -> Schedule:
    return ports.catalog.schedule(tenant, STACK_SCHEDULE_ID)


def _back_up(ports: Ports, tenant: Tenant, slot_at: datetime = SLOT) -> None:
    run = run_slot(ports, tenant, STACK_SCHEDULE_ID, slot_at, owner=tenant, begun_at=slot_at, budget_s=60)
    assert run.state is SlotState.MADE
    conclude_slot(ports, tenant, STACK_SCHEDULE_ID, slot_at, owner=tenant)


# --- the records


def test_record_is_made_as_the_parameters_say_and_tells_eventbridge_scheduler_nothing(ports: Ports) -> None:
    made = kept_in_step(ports, TENANT, DAILY)
    assert made == _record(ports) == kept_in_step(ports, TENANT, DAILY)
    assert made is not None
    assert (made.status, made.interval(), made.next_run(ports.clock.now())) == (
        ScheduleStatus.ACTIVE,
        IntervalType.DAILY,
        SLOT,
    )
    assert (made.expression, made.timezone, made.retention) == ("cron(40 4 * * ? *)", "UTC", DAILY.retention)
    assert getattr(ports.schedules, "held", None) == {}


def test_record_follows_the_parameters_and_keeps_its_history(ports: Ports) -> None:
    kept_in_step(ports, TENANT, DAILY)
    _advance(ports, SLOT)
    _back_up(ports, TENANT)
    before = _record(ports)
    weekly = StackBackups("cron(0 5 ? * MON *)", "Europe/Paris", None)
    after = kept_in_step(ports, TENANT, weekly)
    assert after is not None
    assert (after.expression, after.timezone, after.retention) == ("cron(0 5 ? * MON *)", "Europe/Paris", None)
    assert (after.last_run, after.created_at) == (before.last_run, before.created_at)
    assert after.starts_at == SLOT


def test_record_is_paused_while_the_stack_has_no_such_schedule_and_none_is_made(ports: Ports) -> None:
    assert kept_in_step(ports, TENANT, None) is None
    kept_in_step(ports, TENANT, DAILY)
    off = kept_in_step(ports, TENANT, None)
    assert off is not None
    assert (off.paused, off.next_run(ports.clock.now())) == (True, None)
    _advance(ports, SLOT + timedelta(hours=3))
    on = kept_in_step(ports, TENANT, DAILY)
    assert on is not None
    assert (on.paused, on.resumed_at) == (False, ports.clock.now())
    assert on.overdue_slot(ports.clock.now(), timedelta(0)) is None, "it was paused at the time"


def test_parameters_that_make_no_schedule_are_refused(ports: Ports) -> None:
    for wrong in (replace(DAILY, expression="cron(0 0 31 2 ? *)"), replace(DAILY, timezone="Mars/Olympus")):
        with pytest.raises(InvalidRequest):
            kept_in_step(ports, TENANT, wrong)
    contradiction = replace(DAILY, retention=RetentionPolicy(hourly=3))
    with pytest.raises(InvalidRequest, match="hourly"):
        kept_in_step(ports, TENANT, contradiction)
    with pytest.raises(ScheduleNotFound):
        _record(ports)


def test_tenants_can_read_and_preview_it_but_not_change_it(ports: Ports) -> None:
    kept_in_step(ports, TENANT, DAILY)
    _advance(ports, SLOT)
    _back_up(ports, TENANT)
    assert get_schedule(ports, TENANT, STACK_SCHEDULE_ID) == _record(ports)
    assert len(preview_retention(ports, TENANT, STACK_SCHEDULE_ID).decisions) == 1
    before = _record(ports)
    with pytest.raises(ScheduleOfStack, match="BackupSchedule"):
        update_schedule(ports, TENANT, STACK_SCHEDULE_ID, ScheduleChange(paused=True))
    with pytest.raises(ScheduleOfStack):
        delete_schedule(ports, TENANT, STACK_SCHEDULE_ID)
    assert _record(ports) == before


def test_it_does_not_count_for_the_quota(ports: Ports) -> None:
    kept_in_step(ports, TENANT, DAILY)
    create_schedule(ports, TENANT, ScheduleWanted("rate(1 hour)"), quota=1)
    with pytest.raises(ScheduleQuotaReached):
        create_schedule(ports, TENANT, ScheduleWanted("rate(1 hour)"), quota=1)


def test_watch_makes_the_records_so_that_a_schedule_that_never_began_is_missed_too(ports: Ports) -> None:
    assert [found.age_s for found in watch_backups(ports, DAILY)] == [0.0] * 3
    _advance(ports, SLOT + timedelta(hours=1, minutes=2))
    found = list(watch_backups(ports, DAILY))
    assert [[missed.slot_at for _, missed in one.missed] for one in found] == [[SLOT]] * 3
    assert [one.missed for one in watch_backups(ports, None)] == [()] * 3


# --- a run over all tenants


def test_due_are_the_tenants_that_have_not_run_the_slot_nor_a_later_one(ports: Ports) -> None:
    for tenant in TENANTS:
        kept_in_step(ports, tenant, DAILY)
    _advance(ports, SLOT + timedelta(days=1))
    _back_up(ports, TENANTS[0])
    _back_up(ports, TENANTS[1], SLOT + timedelta(days=1))
    listed = list_due(ports, RUN, SLOT, DAILY)
    assert (listed.tenants, _listed(ports, listed.key)) == (1, [{"tenant": TENANTS[2]}])


def test_list_is_what_it_was_when_it_is_made_again(ports: Ports) -> None:
    _advance(ports, SLOT)
    first = list_due(ports, RUN, SLOT, DAILY)
    ports.catalog.add_tenant(Tenant("late"))
    assert list_due(ports, RUN, SLOT, DAILY) == first
    assert first.tenants == 3
    assert list_due(ports, "another", SLOT, DAILY).tenants == 4


def test_run_is_refused_when_the_stack_has_no_such_schedule_or_its_slot_is_yet_to_come(ports: Ports) -> None:
    with pytest.raises(InvalidRequest, match="yet to come"):
        list_due(ports, RUN, SLOT, DAILY)
    _advance(ports, SLOT)
    with pytest.raises(InvalidRequest, match="BackupSchedule is disabled"):
        list_due(ports, RUN, SLOT, None)
    with pytest.raises(InvalidRequest, match="can't be called"):
        list_due(ports, "../elsewhere", SLOT, DAILY)


def test_tenant_whose_record_is_damaged_is_due_and_failed_and_keeps_no_other_from_it(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ports.catalog.schedule

    def damaged(tenant: Tenant, schedule_id: str) -> Schedule:
        if tenant == "acme":
            raise CatalogCorrupt("the record is damaged")
        return read(tenant, schedule_id)

    monkeypatch.setattr(ports.catalog, "schedule", damaged)
    _advance(ports, SLOT)
    assert list_due(ports, RUN, SLOT, DAILY).tenants == 3
    found = summary_of(ports, RUN, SLOT)
    assert (found.failed, found.unbegun) == (("acme",), ("harbour", "smartcity"))


def test_summary_counts_what_became_of_each_tenant(ports: Ports) -> None:
    fates: dict[Fate, dict[str, Any]] = {
        Fate.COMPLETED: _ran(RunStatus.COMPLETED),
        Fate.FAILED: _ran(RunStatus.FAILED),
        Fate.RUNNING: _ran(RunStatus.RUNNING),
        Fate.SKIPPED: {"last_missed": Missed(SLOT, RunStatus.SKIPPED, "", SLOT)},
        Fate.OVERTAKEN: _ran(RunStatus.COMPLETED, SLOT + timedelta(days=1)),
        Fate.UNBEGUN: _ran(RunStatus.COMPLETED, SLOT - timedelta(days=1)),
    }
    for fate in fates:
        ports.catalog.add_tenant(Tenant(fate))
    ports.catalog.add_tenant(Tenant("given_up"))
    _advance(ports, SLOT)
    list_due(ports, RUN, SLOT, DAILY)
    given_up: dict[str, Any] = {"last_missed": Missed(SLOT, RunStatus.MISSED, "too long", SLOT)}
    for name, happened in [*fates.items(), ("given_up", given_up)]:
        ports.catalog.replace_schedule(replace(_record(ports, Tenant(name)), **happened))
    found = summary_of(ports, RUN, SLOT)
    assert found.tenants == len(TENANTS) + 7
    assert found.fates == {**dict.fromkeys(fates, 1), Fate.FAILED: 2, Fate.UNBEGUN: 1 + len(TENANTS)}
    assert found.failed == ("failed", "given_up")
    assert set(found.unbegun) == {"unbegun", *TENANTS}


def _ran(status: RunStatus, slot_at: datetime = SLOT) -> dict[str, Any]:
    return {"last_run": LastRun(slot_at, slot_at, status)}


def _listed(ports: Ports, stored: str) -> object:
    assert isinstance(ports.payloads, MemoryPayloads)
    return json.loads(ports.payloads.objects[stored])


def test_parameters_that_make_no_schedule_keep_nobody_from_being_watched(ports: Ports) -> None:
    kept_in_step(ports, TENANT, DAILY)
    _advance(ports, SLOT + timedelta(hours=2))
    wrong = replace(DAILY, retention=RetentionPolicy(hourly=24))
    found = {one.tenant: one for one in watch_backups(ports, wrong)}[TENANT]
    assert isinstance(found.failure, InvalidRequest)
    assert "parameters" in found.problems[0]
    assert [missed.slot_at for _, missed in found.missed] == [SLOT]
    assert found.age_s is not None

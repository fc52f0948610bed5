"""Schedules are created, changed and deleted whole or not at all, whatever fails and whoever comes between."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import ManualClock, MemorySchedules, memory_ports
from tidemark.domain.asked import Asked
from tidemark.domain.interval import IntervalType
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import LastRun, RunStatus, Schedule, ScheduleId, ScheduleStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import (
    InvalidRequest,
    KeyReused,
    ScheduleNotFound,
    ScheduleQuotaReached,
    SchedulingRefused,
    Throttled,
    TidemarkError,
)
from tidemark.ports import Ports
from tidemark.usecases.create_schedule import ScheduleWanted, create_schedule
from tidemark.usecases.delete_schedule import delete_schedule
from tidemark.usecases.read_schedules import get_schedule, list_schedules
from tidemark.usecases.update_schedule import ScheduleChange, update_schedule

ACME = Tenant("acme")
NIGHTLY = ScheduleWanted("cron(30 0 * * ? *)", timezone="Europe/Paris")
ASKED = Asked("aa" * 32, "bb" * 32)
REFUSED = SchedulingRefused("the role may not")
THROTTLED = Throttled("try again later")


class ProcessDied(BaseException):
    """Nothing of the process runs any more: nothing is caught or tidied."""


@pytest.fixture
def aws() -> MemorySchedules:
    return MemorySchedules()


@pytest.fixture
def ports(aws: MemorySchedules) -> Ports:
    return replace(memory_ports(), schedules=aws)


def _stored(ports: Ports) -> list[Any]:
    return list(ports.catalog.found_schedules(ACME))


def _agree(ports: Ports, aws: MemorySchedules) -> bool:
    """Whether EventBridge Scheduler has what the catalog says, in all that it is told."""

    def told(one: Schedule) -> object:
        return one.expression, one.timezone, one.window_minutes, one.paused, one.starts_at

    return {one.id: told(one) for one in _stored(ports)} == {one.id: told(one) for one in aws.held.values()}


def _raise_in_call(aws: MemorySchedules, error: BaseException, *, calls: int = 1) -> None:
    left = [calls]

    def before(_: ScheduleId) -> None:
        if left[0]:
            left[0] -= 1
            raise error

    aws.before = before


def _once(aws: MemorySchedules, act: Callable[[ScheduleId], object]) -> None:
    def before(name: ScheduleId) -> None:
        aws.before = lambda _: None
        act(name)

    aws.before = before


# --- create


def test_created_schedule_is_active_and_delivered(ports: Ports, aws: MemorySchedules) -> None:
    made = create_schedule(ports, ACME, NIGHTLY)
    assert made.status is ScheduleStatus.ACTIVE
    assert get_schedule(ports, ACME, made.id) == made
    assert _agree(ports, aws)
    assert list(ports.catalog.tenants()) == [ACME]


def test_expression_is_stored_as_it_is_taken(ports: Ports) -> None:
    assert create_schedule(ports, ACME, ScheduleWanted("cron(0 2 ? * mon *)")).expression == "cron(0 2 ? * MON *)"


@pytest.mark.parametrize(
    "wanted",
    [
        ScheduleWanted("cron(0 0 31 2 ? *)"),
        ScheduleWanted("rate(30 seconds)"),
        replace(NIGHTLY, timezone="Mars/Olympus"),
        replace(NIGHTLY, window_minutes=1441),
        replace(NIGHTLY, interval=IntervalType.MANUAL),
        replace(NIGHTLY, description="{nobody}"),
        replace(NIGHTLY, retention=RetentionPolicy(hourly=5)),
        replace(NIGHTLY, interval=IntervalType.WEEKLY, retention=RetentionPolicy(daily=5)),
    ],
)
def test_nothing_is_made_of_a_schedule_that_is_not_possible(
    ports: Ports, aws: MemorySchedules, wanted: ScheduleWanted
) -> None:
    with pytest.raises(InvalidRequest):
        create_schedule(ports, ACME, wanted)
    assert not _stored(ports)
    assert not aws.held


@pytest.mark.parametrize("error", [REFUSED, THROTTLED])
def test_nothing_is_left_of_a_schedule_that_aws_refuses(
    ports: Ports, aws: MemorySchedules, error: TidemarkError
) -> None:
    _raise_in_call(aws, error)
    with pytest.raises(type(error), match=error.message):
        create_schedule(ports, ACME, NIGHTLY)
    assert not _stored(ports)
    assert not aws.held


def test_what_could_not_be_tidied_is_not_found_and_goes_with_the_next_schedule(
    ports: Ports, aws: MemorySchedules
) -> None:
    _raise_in_call(aws, THROTTLED, calls=2)
    with pytest.raises(Throttled):
        create_schedule(ports, ACME, NIGHTLY)
    [left] = _stored(ports)
    assert list_schedules(ports, ACME, limit=9, offset=0).total == 0
    with pytest.raises(ScheduleNotFound):
        get_schedule(ports, ACME, left.id)
    made = create_schedule(ports, ACME, NIGHTLY, quota=1)
    assert _stored(ports) == [made]


def test_quota_of_a_tenant_is_kept_and_others_are_not_counted(ports: Ports, aws: MemorySchedules) -> None:
    create_schedule(ports, Tenant("other"), NIGHTLY)
    made = [create_schedule(ports, ACME, NIGHTLY, quota=2) for _ in range(2)]
    with pytest.raises(ScheduleQuotaReached, match="tenant acme has 2 schedules"):
        create_schedule(ports, ACME, NIGHTLY, quota=2)
    assert sorted(_stored(ports), key=lambda one: one.id) == sorted(made, key=lambda one: one.id)
    assert len(aws.held) == 3


def test_request_that_died_is_repeated_without_a_second_schedule(ports: Ports, aws: MemorySchedules) -> None:
    _raise_in_call(aws, ProcessDied())
    with pytest.raises(ProcessDied):
        create_schedule(ports, ACME, NIGHTLY, asked=ASKED)
    [left] = _stored(ports)
    assert left.status is ScheduleStatus.SETTING
    made = create_schedule(ports, ACME, NIGHTLY, asked=ASKED)
    assert made.id == left.id
    assert made.status is ScheduleStatus.ACTIVE
    assert _agree(ports, aws)


def test_key_of_another_request_is_refused(ports: Ports) -> None:
    create_schedule(ports, ACME, NIGHTLY, asked=ASKED)
    with pytest.raises(KeyReused):
        create_schedule(ports, ACME, NIGHTLY, asked=replace(ASKED, content="cc" * 32))


def test_schedule_that_is_deleted_while_it_is_made_is_not_delivered(ports: Ports, aws: MemorySchedules) -> None:
    _once(aws, lambda name: delete_schedule(ports, ACME, name))
    with pytest.raises(ScheduleNotFound):
        create_schedule(ports, ACME, NIGHTLY)
    assert not _stored(ports)
    assert not aws.held


# --- update


def test_changed_schedule_starts_anew_only_where_its_times_change(ports: Ports, aws: MemorySchedules) -> None:
    made = create_schedule(ports, ACME, NIGHTLY)
    ports.clock.sleep(3600)
    renamed = update_schedule(ports, ACME, made.id, ScheduleChange(description="{date}", paused=True))
    assert (renamed.description, renamed.paused, renamed.starts_at) == ("{date}", True, made.starts_at)
    moved = update_schedule(ports, ACME, made.id, ScheduleChange(expression="rate(1 hour)"))
    assert moved.starts_at == made.starts_at + timedelta(hours=1)
    assert (moved.timezone, moved.paused) == ("Europe/Paris", True)
    assert _agree(ports, aws)


def test_repeated_change_asks_nothing_of_aws(ports: Ports, aws: MemorySchedules) -> None:
    made = create_schedule(ports, ACME, NIGHTLY)
    _raise_in_call(aws, REFUSED)
    assert update_schedule(ports, ACME, made.id, ScheduleChange(timezone="Europe/Paris")) == made


@pytest.mark.parametrize("error", [REFUSED, THROTTLED])
def test_schedule_stays_what_it_was_when_its_change_is_refused(
    ports: Ports, aws: MemorySchedules, error: TidemarkError
) -> None:
    made = create_schedule(ports, ACME, NIGHTLY)
    _raise_in_call(aws, error)
    with pytest.raises(type(error)):
        update_schedule(ports, ACME, made.id, ScheduleChange(expression="rate(1 hour)"))
    assert replace(get_schedule(ports, ACME, made.id), version=made.version) == made
    assert _agree(ports, aws)


@pytest.mark.parametrize("error", [REFUSED, THROTTLED])
def test_change_that_is_refused_is_taken_back_though_a_slot_was_begun_meanwhile(
    ports: Ports, aws: MemorySchedules, error: TidemarkError
) -> None:
    made = create_schedule(ports, ACME, NIGHTLY)
    run = LastRun(made.starts_at, made.starts_at, RunStatus.RUNNING, owner="one")

    def begun_and_refused(name: ScheduleId) -> None:
        ports.catalog.replace_schedule(replace(ports.catalog.schedule(ACME, name), last_run=run))
        raise error

    _once(aws, begun_and_refused)
    with pytest.raises(type(error)):
        update_schedule(ports, ACME, made.id, ScheduleChange(expression="rate(1 hour)"))
    after = get_schedule(ports, ACME, made.id)
    assert after == replace(made, last_run=run, version=after.version)
    assert _agree(ports, aws)


def test_change_that_contradicts_what_is_there_is_refused(ports: Ports) -> None:
    hourly = replace(NIGHTLY, expression="rate(1 hour)", retention=RetentionPolicy(hourly=24))
    made = create_schedule(ports, ACME, hourly)
    with pytest.raises(InvalidRequest, match="hourly"):
        update_schedule(ports, ACME, made.id, ScheduleChange(expression="rate(1 day)"))
    assert get_schedule(ports, ACME, made.id) == made


def test_schedule_is_setting_when_its_change_dies_and_the_next_change_brings_all_to_agree(
    ports: Ports, aws: MemorySchedules
) -> None:
    made = create_schedule(ports, ACME, NIGHTLY)
    _raise_in_call(aws, ProcessDied())
    with pytest.raises(ProcessDied):
        update_schedule(ports, ACME, made.id, ScheduleChange(expression="rate(1 hour)"))
    assert get_schedule(ports, ACME, made.id).status is ScheduleStatus.SETTING
    assert not _agree(ports, aws)
    again = update_schedule(ports, ACME, made.id, ScheduleChange(expression="rate(1 hour)"))
    assert again.status is ScheduleStatus.ACTIVE
    assert _agree(ports, aws)


def test_later_of_two_changes_is_delivered_though_aws_hears_of_the_earlier_last(
    ports: Ports, aws: MemorySchedules
) -> None:
    made = create_schedule(ports, ACME, NIGHTLY)
    _once(aws, lambda name: update_schedule(ports, ACME, name, ScheduleChange(expression="rate(2 hours)")))
    changed = update_schedule(ports, ACME, made.id, ScheduleChange(expression="rate(1 hour)"))
    assert changed.expression == "rate(2 hours)"
    assert _agree(ports, aws)


def test_what_is_never_due_again_is_not_told_to_aws(ports: Ports, aws: MemorySchedules) -> None:
    assert isinstance(ports.clock, ManualClock)
    soon = (ports.clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    made = create_schedule(ports, ACME, ScheduleWanted(f"at({soon})"))
    assert made.id in aws.held
    ports.clock.sleep(7200)
    changed = update_schedule(ports, ACME, made.id, ScheduleChange(description="was once"))
    assert changed.next_run(ports.clock.now()) is None
    assert not aws.held


# --- delete


def test_deleted_schedule_is_gone_everywhere(ports: Ports, aws: MemorySchedules) -> None:
    made = create_schedule(ports, ACME, NIGHTLY)
    delete_schedule(ports, ACME, made.id)
    assert not _stored(ports)
    assert not aws.held
    with pytest.raises(ScheduleNotFound):
        delete_schedule(ports, ACME, made.id)


def test_delete_that_failed_is_finished_when_it_is_repeated(ports: Ports, aws: MemorySchedules) -> None:
    made = create_schedule(ports, ACME, NIGHTLY)
    _raise_in_call(aws, THROTTLED)
    with pytest.raises(Throttled):
        delete_schedule(ports, ACME, made.id)
    with pytest.raises(ScheduleNotFound):
        get_schedule(ports, ACME, made.id)
    with pytest.raises(ScheduleNotFound):
        update_schedule(ports, ACME, made.id, ScheduleChange(paused=True))
    delete_schedule(ports, ACME, made.id)
    assert not _stored(ports)
    assert not aws.held


def test_schedule_of_another_tenant_is_not_found(ports: Ports, aws: MemorySchedules) -> None:
    made = create_schedule(ports, ACME, NIGHTLY)
    with pytest.raises(ScheduleNotFound):
        delete_schedule(ports, Tenant("other"), made.id)
    assert _agree(ports, aws)


def test_schedules_are_listed_oldest_first_and_by_pages(ports: Ports) -> None:
    made = []
    for _ in range(3):
        made.append(create_schedule(ports, ACME, NIGHTLY).id)
        ports.clock.sleep(60)
    page = list_schedules(ports, ACME, limit=2, offset=1)
    assert [one.id for one in page.items] == made[1:]
    assert page.total == 3

"""The phases of a backup as its state machine calls them, one after the other."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.backup.conclude_slot import handler as conclude_slot
from functions.backup.list_due import handler as list_due
from functions.backup.report_backups import handler as report_backups
from functions.backup.run_slot import handler as run_slot
from functions.backup.watch import handler as watch
from tests.contract.examples import schedule
from tests.fakes import ManualClock
from tests.handlers.phases import TENANT, Left, run, write
from tests.handlers.rest import sample
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import (
    STACK_SCHEDULE_ID,
    DamagedSchedule,
    RunStatus,
    Schedule,
    ScheduleId,
    ScheduleStatus,
)
from tidemark.domain.tenant import Tenant
from tidemark.errors import InvalidRequest, Throttled
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot

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


def test_slot_that_was_given_up_is_told_and_counted(scheduled: Ports, capsys: pytest.CaptureFixture[str]) -> None:
    told = {**sample("backup", "conclude_slot"), "error": "BackupOverdue", "cause": '{"errorMessage": "too long"}'}
    assert conclude_slot.handler(told, Left()) == {
        "status": "missed",
        "snapshotId": "",
        "error": "BackupOverdue",
        "cause": "too long",
    }
    assert _metrics(capsys, "BackupMissed") == [(1.0, TENANT)]


def test_slot_that_another_execution_has_is_lost_to_this_one(scheduled: Ports) -> None:
    run(run_slot.handler, "backup", "run_slot", owner="another")
    ended = run(conclude_slot.handler, "backup", "conclude_slot")
    assert ended == {"status": "lost", "snapshotId": "", "error": "", "cause": ""}


def test_failure_of_a_slot_is_handed_on(scheduled: Ports) -> None:
    run(run_slot.handler, "backup", "run_slot")
    told = {**sample("backup", "conclude_slot"), "error": "PackCorrupt", "cause": '{"errorMessage": "pack 3"}'}
    ended = conclude_slot.handler(told, Left())
    assert (ended["status"], ended["error"], ended["cause"]) == ("failed", "PackCorrupt", "pack 3")


# --- all tenants


@pytest.fixture
def for_all(scheduled: Ports, monkeypatch: pytest.MonkeyPatch) -> Ports:
    """The same world in a stack that backs up all tenants."""
    monkeypatch.setenv("TIDEMARK_BACKUP_SCHEDULE", "cron(40 4 * * ? *)")
    monkeypatch.setenv("TIDEMARK_BACKUP_RETENTION", "daily:7,keepWithin:P2D")
    scheduled.catalog.add_tenant(Tenant("acme"))
    return scheduled


def test_tenants_that_are_due_are_listed_run_and_reported(for_all: Ports) -> None:
    listed = run(list_due.handler, "backup", "list_due")
    key = "work-lists/backups/b0d4e3a2-6f1c-4a77-9a51-0c8f7e2d9b11/tenants.json"
    assert listed == {"tenantsKey": key, "tenants": 2, "scheduleId": STACK_SCHEDULE_ID}
    record = for_all.catalog.schedule(TENANT, STACK_SCHEDULE_ID)
    assert record.retention == RetentionPolicy(daily=7, within=timedelta(days=2))
    slot: dict[str, Any] = {"scheduleId": STACK_SCHEDULE_ID, "slotAt": "2026-01-15T04:40:00Z"}
    run(run_slot.handler, "backup", "run_slot", **slot)
    run(conclude_slot.handler, "backup", "conclude_slot", **slot)
    report = run(report_backups.handler, "backup", "report_backups")
    assert (report["tenants"], report["completed"], report["unbegun"], report["failed"]) == (2, 1, 1, 0)
    assert (report["begun"], report["message"]) == (False, "not begun: acme")


def test_stack_without_a_schedule_for_all_refuses_to_list(scheduled: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_BACKUP_SCHEDULE", "disabled")
    with pytest.raises(InvalidRequest, match="disabled"):
        run(list_due.handler, "backup", "list_due")


def test_watch_tells_an_age_when_there_is_nobody_to_watch_over(
    ports: Ports, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(ports.catalog.tenants()) == []
    assert run(watch.handler, "backup", "watch") == {"missed": 0}
    assert _metrics(capsys, "LastSnapshotAgeSeconds") == [(0.0, "")]


def test_watch_tells_what_is_missed_and_the_age_of_the_oldest_last_snapshot(
    for_all: Ports, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(watch.handler, "backup", "watch") == {"missed": 0}
    assert _metrics(capsys, "LastSnapshotAgeSeconds") == [(0.0, TENANT)]
    assert isinstance(for_all.clock, ManualClock)
    for_all.clock.advance(2 * 3600)
    create_snapshot(for_all, TENANT, budget_s=60)
    for_all.clock.advance(3600)
    assert run(watch.handler, "backup", "watch") == {"missed": 1}
    said = capsys.readouterr().out
    assert f"missed: nothing had begun it an hour after {HOURLY.starts_at.isoformat()[:10]}" in said
    assert _told(said, "BackupMissed") == [(1.0, TENANT)]
    assert _told(said, "LastSnapshotAgeSeconds") == [(3 * 3600.0, "acme")]


def test_watch_fails_when_a_tenant_can_not_be_looked_at_after_it_has_told_the_rest(
    for_all: Ports, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = for_all.catalog.found_schedules

    def failing(tenant: Tenant) -> Iterator[Schedule | DamagedSchedule]:
        if tenant == "acme":
            raise Throttled("slow down")
        return read(tenant)

    monkeypatch.setattr(for_all.catalog, "found_schedules", failing)
    with pytest.raises(Throttled):
        run(watch.handler, "backup", "watch")
    assert _metrics(capsys, "LastSnapshotAgeSeconds") == [(0.0, TENANT)]


def test_watch_that_sees_nobody_tells_no_age_that_would_look_like_a_good_one(
    for_all: Ports, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(tenant: Tenant) -> Iterator[Schedule | DamagedSchedule]:
        raise Throttled(f"slow down with {tenant}")

    monkeypatch.setattr(for_all.catalog, "found_schedules", failing)
    with pytest.raises(Throttled):
        run(watch.handler, "backup", "watch")
    assert _metrics(capsys, "LastSnapshotAgeSeconds") == []


def _metrics(capsys: pytest.CaptureFixture[str], name: str) -> list[tuple[float, str]]:
    """The values of a metric that were published, with the tenant that each has as a property."""
    return _told(capsys.readouterr().out, name)


def _told(output: str, name: str) -> list[tuple[float, str]]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    published = [line for line in lines if name in line and "_aws" in line]
    for line in published:
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] == [["service"]], "a tenant is no dimension"
    return [
        (line[name][0] if isinstance(line[name], list) else line[name], line.get("tenant", "")) for line in published
    ]

"""The endpoints of schedules, called as the REST API calls them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.ngsi.create_schedule import handler as create_schedule
from functions.ngsi.create_snapshot import handler as create_snapshot
from functions.ngsi.delete_schedule import handler as delete_schedule
from functions.ngsi.get_schedule import handler as get_schedule
from functions.ngsi.get_snapshot import handler as get_snapshot
from functions.ngsi.list_schedules import handler as list_schedules
from functions.ngsi.list_snapshots import handler as list_snapshots
from functions.ngsi.preview_retention import handler as preview_retention
from functions.ngsi.update_schedule import handler as update_schedule
from tests.fakes import ManualClock, MemoryCatalog, MemorySchedules
from tests.handlers.rest import Answer, assert_error, call, request, sample
from tidemark import bootstrap
from tidemark.domain.interval import IntervalType
from tidemark.domain.live import FencingToken
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import (
    STACK_SCHEDULE_ID,
    DamagedSchedule,
    LastRun,
    Missed,
    RunStatus,
    Schedule,
    ScheduleId,
    ScheduleStatus,
)
from tidemark.domain.snapshot import CaptureId, Failure, Snapshot, SnapshotId, SnapshotStatus, Trigger, snapshot_id
from tidemark.domain.tenant import Tenant
from tidemark.errors import SchedulingRefused, Throttled
from tidemark.ports import Ports
from tidemark.usecases.stack_schedule import StackBackups, kept_in_step
from tidemark.web import LambdaHandler

pytestmark = pytest.mark.usefixtures("ports")

SMARTCITY = Tenant("smartcity")
TEN = datetime(2026, 1, 15, 10, tzinfo=UTC)
DAY = timedelta(days=1)
UNKNOWN = "schedule_0123456789abcdef"
BAD_IDS = ["nonsense", "schedule_", "schedule_9F86D081884C7D65", "snapshot_2026-01-15T10-00-00Z", "%00", "x" * 2000]
REFUSED = SchedulingRefused("the service may not use EventBridge Scheduler")
NIGHTLY = {"expression": "cron(0 2 * * ? *)"}


def create(body: object = NIGHTLY, *, key: str | None = None, tenant: str = SMARTCITY) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    return call(create_schedule.handler, request("ngsi", "create_schedule", body=body, headers=headers, tenant=tenant))


def made(body: object = NIGHTLY) -> str:
    answer = create(body)
    assert answer.status == 201, answer.text
    return str(answer.json["id"])


def at(handler: LambdaHandler, event: str, name: str, body: object = None, **query: str) -> Answer:
    """Call a function about one schedule."""
    rest = "/retention/preview" if event == "preview_retention" else ""
    sent = request("ngsi", event, body=body, path=f"/v2/schedules/{name}{rest}", query=query or None)
    return call(handler, sent)


def show(name: str) -> Answer:
    return at(get_schedule.handler, "get_schedule", name)


def change(name: str, body: object) -> Answer:
    return at(update_schedule.handler, "update_schedule", name, body)


def remove(name: str) -> Answer:
    return at(delete_schedule.handler, "delete_schedule", name)


def preview(name: str, body: object = None, **query: str) -> Answer:
    if body is None:
        sent = request("ngsi", "preview_retention", text="", path=f"/v2/schedules/{name}/retention/preview")
        return call(preview_retention.handler, sent)
    return at(preview_retention.handler, "preview_retention", name, body, **query)


def stored(ports: Ports, tenant: Tenant = SMARTCITY) -> list[Schedule | DamagedSchedule]:
    return list(ports.catalog.found_schedules(tenant))


def told(ports: Ports) -> Mapping[ScheduleId, Schedule]:
    """What EventBridge Scheduler has."""
    assert isinstance(ports.schedules, MemorySchedules)
    return ports.schedules.held


def refuse(ports: Ports, error: Exception | None) -> None:
    """Have EventBridge Scheduler refuse all that it is told from now on; None: nothing more."""

    def before(_: ScheduleId) -> None:
        if error is not None:
            raise error

    assert isinstance(ports.schedules, MemorySchedules)
    ports.schedules.before = before


def taken(ports: Ports, schedule: str | None, created_at: datetime, **members: Any) -> Snapshot:
    """A completed snapshot of a schedule; None: one that was asked for."""
    record = Snapshot(
        tenant=SMARTCITY,
        id=snapshot_id(created_at),
        created_at=created_at,
        capture_id=CaptureId("c" * 32),
        token=FencingToken(1),
        status=SnapshotStatus.COMPLETED,
        description=f"of {created_at.date()}",
        trigger=Trigger.MANUAL if schedule is None else Trigger.SCHEDULED,
        schedule_id=schedule,
        interval=IntervalType.MANUAL if schedule is None else IntervalType.DAILY,
    )
    return ports.catalog.add_snapshot(replace(record, **members))


# --- create


def test_create_answers_the_schedule_with_its_next_run_once_it_is_delivered(ports: Ports) -> None:
    answer = call(create_schedule.handler, sample("ngsi", "create_schedule"))
    assert answer.status == 201
    name = answer.json["id"]
    assert answer.headers["Location"] == f"/v2/schedules/{name}"
    assert answer.json == {
        "id": name,
        "status": "active",
        "expression": "cron(0 2 * * ? *)",
        "timezone": "Europe/Paris",
        "windowMinutes": 15,
        "description": "{interval} backup of {date}",
        "labels": {"by": "schedule"},
        "interval": "daily",
        "retention": {"daily": 7, "weekly": 4},
        "overlap": "skip",
        "paused": False,
        "createdAt": "2026-01-15T10:00:00Z",
        "nextRun": "2026-01-16T01:00:00Z",
    }
    assert list(told(ports)) == [name]


def test_create_needs_an_expression_alone() -> None:
    answer = create({"expression": "rate(90 minutes)"})
    assert (answer.status, answer.json["interval"], answer.json["timezone"]) == (201, "hourly", "UTC")
    assert answer.json["nextRun"] == "2026-01-15T11:30:00Z"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "'expression' is missing"),
        ([], "an array"),
        ({"expression": 7}, "'expression' must be a string"),
        ({"expression": "cron(0 0 31 2 ? *)"}, "names a time that never comes"),
        ({"expression": "cron(0 25 * * ? *)"}, "hours"),
        ({"expression": "every day"}, "is not valid: write rate(1 hour), cron(0 2 * * ? *) or at("),
        ({"expression": "rate(30 seconds)"}, "the shortest is rate(1 minute)"),
        ({"expression": "rate(0 minutes)"}, "write a whole number from 1"),
        ({"expression": "at(2020-01-15T10:00:00)"}, "is over in UTC"),
        ({**NIGHTLY, "timezone": "Mars/Olympus"}, "'Mars/Olympus' is not known: write an IANA name"),
        ({**NIGHTLY, "windowMinutes": 1441}, "1 to 1440 minutes"),
        ({**NIGHTLY, "windowMinutes": 1.5}, "a fraction"),
        ({**NIGHTLY, "description": "{nobody}"}, "no placeholder {nobody}"),
        ({**NIGHTLY, "description": "{"}, "a single brace"),
        ({**NIGHTLY, "labels": {"a b": "c"}}, "can't be the key of a label"),
        ({**NIGHTLY, "interval": "manual"}, "'interval' must be one of hourly, daily, weekly, monthly"),
        ({**NIGHTLY, "retention": {}}, "'retention' is empty, which would keep nothing"),
        ({**NIGHTLY, "retention": {"daily": 0}}, "'retention.daily' is 0, which keeps nothing"),
        ({**NIGHTLY, "retention": {"keepWithin": "P1M"}}, "'retention.keepWithin' must be an ISO 8601 duration"),
        ({**NIGHTLY, "retention": {"hourly": 24}}, "contradicts a schedule that makes daily snapshots"),
        ({**NIGHTLY, "overlap": "kill"}, "'overlap' must be one of skip, queue"),
        ({**NIGHTLY, "paused": "yes"}, "'paused' must be true or false"),
        ({**NIGHTLY, "cron": "x"}, "'cron' is unknown"),
    ],
)
def test_create_makes_nothing_when_the_body_is_wrong(ports: Ports, body: object, said: str) -> None:
    assert_error(create(body), 400, "BadRequest", said)
    assert (stored(ports), dict(told(ports)), list(ports.catalog.tenants())) == ([], {}, [])


def test_create_asks_for_a_body() -> None:
    answer = call(create_schedule.handler, request("ngsi", "create_schedule", text=""))
    assert_error(answer, 400, "ParseError", "the body is empty")


def test_create_is_a_conflict_when_the_tenant_has_as_many_as_it_may(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_SCHEDULES_PER_TENANT", "2")
    names = [made(), made()]
    assert_error(create(), 409, "Conflict", "tenant smartcity has 2 schedules, which is all it may have: delete one")
    assert {one.id for one in stored(ports)} == set(names)
    assert set(told(ports)) == set(names)
    assert create(tenant="harbour").status == 201
    assert remove(names[0]).status == 204
    assert create().status == 201


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [(REFUSED, 503, "ServiceUnavailable"), (Throttled("try again later"), 429, "TooManyRequests")],
    ids=["rights", "throttled"],
)
def test_create_makes_nothing_when_eventbridge_scheduler_refuses(
    ports: Ports, error: Exception, status: int, name: str
) -> None:
    calls: list[ScheduleId] = []

    def refuse_once(asked: ScheduleId) -> None:
        calls.append(asked)
        if len(calls) == 1:
            raise error

    assert isinstance(ports.schedules, MemorySchedules)
    ports.schedules.before = refuse_once
    answer = create()
    assert_error(answer, status, name, str(error))
    assert ("Retry-After" in answer.headers) == isinstance(error, Throttled)
    assert (stored(ports), dict(told(ports))) == ([], {})


def test_create_shows_nothing_of_what_it_could_not_take_back(ports: Ports) -> None:
    refuse(ports, REFUSED)
    assert_error(create(), 503, "ServiceUnavailable", "may not use EventBridge Scheduler")
    assert call(list_schedules.handler, sample("ngsi", "list_schedules")).json == []
    refuse(ports, None)
    name = made()
    assert [one.id for one in stored(ports)] == [name]


def test_create_answers_the_same_when_it_is_sent_again_under_its_key(ports: Ports) -> None:
    first = create(key="K")
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(3600)
    assert create(key="K") == first
    assert_error(create({"expression": "rate(1 day)"}, key="K"), 409, "Conflict", "another request was made")
    assert [one.id for one in stored(ports)] == [first.json["id"]]
    assert create(key="L").json["id"] != first.json["id"]


def test_create_goes_on_with_what_a_request_under_its_key_has_left(ports: Ports) -> None:
    class Killed(BaseException):
        """The process is gone."""

    def die(_: ScheduleId) -> None:
        raise Killed

    assert isinstance(ports.schedules, MemorySchedules)
    ports.schedules.before = die
    with pytest.raises(Killed):
        create(key="K")
    [left] = stored(ports)
    assert isinstance(left, Schedule)
    assert left.status is ScheduleStatus.SETTING
    refuse(ports, None)
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(3600)
    answer = create(key="K")
    assert (answer.status, answer.json["id"], answer.json["status"]) == (201, left.id, "active")
    assert [one.id for one in stored(ports)] == [left.id] == list(told(ports))


# --- read


def test_schedule_shows_its_last_run(ports: Ports) -> None:
    name = made()
    record = ports.catalog.schedule(SMARTCITY, name)
    failure = Failure("PackCorrupt", "pack 3 is damaged")
    last = LastRun(TEN, TEN, RunStatus.FAILED, snapshot_id=SnapshotId("snapshot_2026-01-15T10-00-00Z"), failure=failure)
    ports.catalog.replace_schedule(replace(record, last_run=last))
    shown = show(name).json
    assert (shown["lastStatus"], shown["lastRun"]["snapshotId"]) == ("failed", "snapshot_2026-01-15T10-00-00Z")
    assert shown["lastRun"]["error"] == {"code": "PackCorrupt", "description": "pack 3 is damaged"}
    assert shown["nextRun"] == "2026-01-16T02:00:00Z"


@pytest.mark.parametrize("status", [RunStatus.MISSED, RunStatus.SKIPPED])
def test_schedule_shows_a_slot_that_was_not_run_and_why(ports: Ports, status: Any) -> None:
    name = made()
    record = ports.catalog.schedule(SMARTCITY, name)
    last = LastRun(TEN - DAY, TEN - DAY, RunStatus.COMPLETED)
    missed = Missed(TEN, status, "nobody delivered it", TEN + timedelta(hours=1))
    ports.catalog.replace_schedule(replace(record, last_run=last, last_missed=missed))
    shown = show(name).json
    assert (shown["lastStatus"], shown["lastRun"]) == (
        status.value,
        {"slotAt": "2026-01-15T10:00:00Z", "reason": "nobody delivered it"},
    )


def test_schedule_of_the_stack_is_shown_and_previewed_but_not_changed(ports: Ports) -> None:
    kept_in_step(ports, SMARTCITY, StackBackups("cron(40 4 * * ? *)", "UTC", RetentionPolicy(daily=7)))
    name = STACK_SCHEDULE_ID
    assert [one["id"] for one in call(list_schedules.handler, sample("ngsi", "list_schedules")).json] == [name]
    before = show(name).json
    assert (before["status"], before["retention"]) == ("active", {"daily": 7})
    assert preview(name).json["counts"] == {"keep": 0, "forget": 0, "leave": 0}
    for answer in (change(name, {"paused": True}), remove(name)):
        assert_error(answer, 409, "Conflict", "its operator alone changes it", "BackupSchedule")
    assert show(name).json == before
    assert dict(told(ports)) == {}


@pytest.mark.parametrize("name", [UNKNOWN, *BAD_IDS])
def test_schedule_is_not_found_when_the_id_names_none(name: str) -> None:
    answers = [show(name), change(name, {"paused": True}), remove(name), preview(name, {"retention": {"daily": 7}})]
    for answer in answers:
        assert_error(answer, 404, "NotFound", "no schedule")


def test_schedule_of_another_tenant_is_not_found(ports: Ports) -> None:
    other = create(tenant="harbour").json["id"]
    for answer in (show(other), change(other, {"paused": True}), remove(other), preview(other, {})):
        assert_error(answer, 404, "NotFound", other)
    assert list(told(ports)) == [other]
    assert not told(ports)[other].paused


def test_list_is_paged_and_counted_oldest_first(ports: Ports) -> None:
    names = []
    for _ in range(3):
        names.append(made())
        assert isinstance(ports.clock, ManualClock)
        ports.clock.advance(60)
    event = request("ngsi", "list_schedules", query={"limit": "2", "offset": "1", "options": "count"})
    answer = call(list_schedules.handler, event)
    assert [one["id"] for one in answer.json] == names[1:]
    assert answer.headers["Fiware-Total-Count"] == "3"


def test_list_shows_a_damaged_schedule_among_the_others(ports: Ports, capsys: pytest.CaptureFixture[str]) -> None:
    name = made()
    damaged = DamagedSchedule(ScheduleId(UNKNOWN), Failure("CatalogCorrupt", f"the record of {UNKNOWN} is damaged"))

    class Damaged(MemoryCatalog):
        """Has one record more, which can't be read."""

        def __getattribute__(self, attribute: str) -> Any:
            if attribute == "found_schedules":
                return lambda tenant: iter([damaged, *ports.catalog.found_schedules(tenant)])
            return getattr(ports.catalog, attribute)

    with bootstrap.use(replace(ports, catalog=Damaged())):
        answer = call(list_schedules.handler, sample("ngsi", "list_schedules"))
    assert [(one["id"], one["status"]) for one in answer.json] == [(name, "active"), (UNKNOWN, "failed")]
    assert f"damaged: the record of {UNKNOWN}" in capsys.readouterr().out


# --- change


def test_change_is_told_to_eventbridge_scheduler(ports: Ports) -> None:
    name = made({**NIGHTLY, "windowMinutes": 5, "retention": {"daily": 7}})
    body = {"expression": "rate(12 hours)", "paused": True, "windowMinutes": None, "retention": None}
    answer = change(name, body)
    assert (answer.status, answer.text) == (204, "")
    shown = show(name).json
    assert (shown["expression"], shown["paused"]) == ("rate(12 hours)", True)
    assert not {"windowMinutes", "retention", "nextRun"} & shown.keys()
    assert told(ports)[ScheduleId(name)].paused
    assert told(ports)[ScheduleId(name)].expression == "rate(12 hours)"


def test_sample_of_a_change_pauses(ports: Ports) -> None:
    name = made()
    event = sample("ngsi", "update_schedule")
    event["path"] = f"/v2/schedules/{name}"
    assert call(update_schedule.handler, event).status == 204
    assert told(ports)[ScheduleId(name)].paused


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "the body changes nothing"),
        ({"expression": None}, "'expression' must be a string; it is null"),
        ({"expression": "cron(0 0 30 2 ? *)"}, "never comes"),
        ({"timezone": "CET/Vienna"}, "is not known"),
        ({"retention": {"hourly": 3}}, "contradicts a schedule that makes daily snapshots"),
        ({"interval": "weekly", "retention": {"daily": 3}}, "contradicts a schedule that makes weekly snapshots"),
        ({"retention": {}}, "would keep nothing"),
        ({"windowMinutes": 0}, "a flexible window of 0 minutes"),
        ({"id": UNKNOWN}, "'id' is unknown"),
    ],
)
def test_change_changes_nothing_when_it_is_wrong(ports: Ports, body: object, said: str) -> None:
    name = made()
    before = show(name).json
    assert_error(change(name, body), 400, "BadRequest", said)
    assert show(name).json == before
    assert told(ports)[ScheduleId(name)].expression == NIGHTLY["expression"]


def test_change_changes_nothing_when_eventbridge_scheduler_refuses_it(ports: Ports) -> None:
    name = made()
    before = show(name).json
    refuse(ports, REFUSED)
    assert_error(change(name, {"expression": "rate(1 day)"}), 503, "ServiceUnavailable", "may not use")
    assert show(name).json == before
    assert told(ports)[ScheduleId(name)].expression == NIGHTLY["expression"]


# --- delete


def test_deleted_schedule_is_delivered_no_more_and_its_snapshots_stay(ports: Ports) -> None:
    name = made()
    snapshot = taken(ports, name, TEN - DAY)
    assert remove(name).status == 204
    assert (stored(ports), dict(told(ports))) == ([], {})
    assert_error(show(name), 404, "NotFound", name)
    assert_error(remove(name), 404, "NotFound", name)
    event = request("ngsi", "list_snapshots", query={"schedule": name})
    assert [one["id"] for one in call(list_snapshots.handler, event).json] == [snapshot.id]


def test_sample_of_a_deletion_is_of_a_schedule() -> None:
    assert_error(call(delete_schedule.handler, sample("ngsi", "delete_schedule")), 404, "NotFound", "schedule_9f86")
    assert_error(call(get_schedule.handler, sample("ngsi", "get_schedule")), 404, "NotFound", "schedule_9f86")


def test_delete_leaves_what_eventbridge_scheduler_will_not_let_go_to_the_next_one(ports: Ports) -> None:
    name = made()
    refuse(ports, REFUSED)
    assert_error(remove(name), 503, "ServiceUnavailable", "may not use")
    assert_error(show(name), 404, "NotFound", "was deleted")
    refuse(ports, None)
    assert remove(name).status == 204
    assert (stored(ports), dict(told(ports))) == ([], {})


# --- preview


def test_preview_shows_what_would_stay_and_go_with_the_reasons_and_deletes_nothing(ports: Ports) -> None:
    name, other = made(NIGHTLY), made(NIGHTLY)
    for day in range(4):
        taken(ports, name, TEN - day * DAY, pinned=day == 3)
    taken(ports, other, TEN - timedelta(hours=1))
    taken(ports, None, TEN - timedelta(hours=2))
    answer = preview(name, {"retention": {"daily": 2}})
    assert answer.status == 200
    assert (answer.json["scheduleId"], answer.json["retention"]) == (name, {"daily": 2})
    assert answer.json["counts"] == {"keep": 3, "forget": 1, "leave": 1}
    decisions = {row["createdAt"][5:13]: row for row in answer.json["decisions"]}
    assert {day: row["decision"] for day, row in decisions.items()} == {
        "01-15T10": "keep",
        "01-15T09": "leave",
        "01-14T10": "keep",
        "01-13T10": "forget",
        "01-12T10": "keep",
    }
    assert decisions["01-12T10"]["reasons"] == [{"rule": "pinned", "text": "pinned"}]
    assert decisions["01-13T10"] == {
        "id": "snapshot_2026-01-13T10-00-00Z",
        "createdAt": "2026-01-13T10:00:00Z",
        "description": "of 2026-01-13",
        "interval": "daily",
        "decision": "forget",
        "reasons": [{"rule": "daily", "text": "daily keeps 2, and 2026-01-13 in UTC is the 3rd"}],
    }
    assert not any(one.forgotten for one in ports.catalog.snapshots(SMARTCITY))


@pytest.mark.parametrize("body", [None, {}])
def test_preview_is_of_the_schedules_own_policy_when_none_is_sent(ports: Ports, body: object) -> None:
    name = made({**NIGHTLY, "retention": {"keepLast": 1, "keepWithin": "P1D"}})
    for day in range(3):
        taken(ports, name, TEN - day * DAY)
    answer = preview(name, body)
    assert answer.json["retention"] == {"keepLast": 1, "keepWithin": "P1D"}
    assert answer.json["counts"] == {"keep": 2, "forget": 1, "leave": 0}


def test_preview_is_paged_on_demand_and_counts_all(ports: Ports) -> None:
    name = made(NIGHTLY)
    for day in range(30):
        taken(ports, name, TEN - day * DAY)
    whole = preview(name, {"retention": {"keepLast": 5}}).json
    assert len(whole["decisions"]) == 30
    page = preview(name, {"retention": {"keepLast": 5}}, limit="2", offset="4").json
    assert page["decisions"] == whole["decisions"][4:6]
    assert page["counts"] == whole["counts"] == {"keep": 5, "forget": 25, "leave": 0}
    assert_error(preview(name, {}, limit="0"), 400, "BadRequest", "limit")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "has no retention policy, so it forgets nothing: send the one to try"),
        ({"retention": {}}, "would keep nothing"),
        ({"retention": None}, "'retention' must be an object"),
        ({"retention": {"hourly": 1}}, "contradicts a schedule that makes daily snapshots"),
        ({"retention": {"dayly": 1}}, "unknown member 'dayly'"),
        ({"policy": {}}, "'policy' is unknown"),
    ],
)
def test_preview_is_refused_when_the_policy_is_none(body: object, said: str) -> None:
    assert_error(preview(made(NIGHTLY), body), 400, "BadRequest", said)


def test_sample_of_a_preview_is_of_a_schedule() -> None:
    answer = call(preview_retention.handler, sample("ngsi", "preview_retention"))
    assert_error(answer, 404, "NotFound", "schedule_9f86d081884c7d65")


# --- snapshots


def test_snapshot_says_which_schedule_made_it_and_how_often_that_does(ports: Ports) -> None:
    snapshot = taken(ports, UNKNOWN, TEN)
    event = request("ngsi", "get_snapshot", path=f"/v2/snapshots/{snapshot.id}")
    detail = call(get_snapshot.handler, event).json
    [listed] = call(list_snapshots.handler, request("ngsi", "list_snapshots", query={})).json
    for shown in (detail, listed):
        assert (shown["scheduleId"], shown["interval"]) == (UNKNOWN, "daily")
    assert detail["trigger"] == "scheduled"


def test_snapshot_that_was_asked_for_is_manual_and_of_no_schedule() -> None:
    made_by_hand = call(create_snapshot.handler, sample("ngsi", "create_snapshot")).json["id"]
    detail = call(get_snapshot.handler, request("ngsi", "get_snapshot", path=f"/v2/snapshots/{made_by_hand}")).json
    assert detail["interval"] == "manual"
    assert "scheduleId" not in detail


@pytest.mark.parametrize(
    ("query", "hours"),
    [
        ({"schedule": UNKNOWN}, [3, 1]),
        ({"schedule": "schedule_" + "f" * 16}, []),
        ({"interval": "daily"}, [3]),
        ({"interval": "weekly", "schedule": UNKNOWN}, [1]),
        ({"interval": "manual"}, [2]),
        ({"trigger": "scheduled"}, [3, 1]),
    ],
)
def test_list_of_snapshots_can_be_of_a_schedule_or_an_interval(
    ports: Ports, query: dict[str, str], hours: list[int]
) -> None:
    taken(ports, UNKNOWN, TEN.replace(hour=1), interval=IntervalType.WEEKLY)
    taken(ports, None, TEN.replace(hour=2))
    taken(ports, UNKNOWN, TEN.replace(hour=3))
    found = call(list_snapshots.handler, request("ngsi", "list_snapshots", query=query)).json
    assert [int(one["createdAt"][11:13]) for one in found] == hours


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"schedule": "nightly"}, "the parameter schedule must be an id such as schedule_"),
        ({"interval": "yearly"}, "the parameter interval must be one of manual, hourly, daily, weekly, monthly"),
    ],
)
def test_list_of_snapshots_is_refused_when_it_is_of_no_possible_one(query: dict[str, str], said: str) -> None:
    answer = call(list_snapshots.handler, request("ngsi", "list_snapshots", query=query))
    assert_error(answer, 400, "BadRequest", said)

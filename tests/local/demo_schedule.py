"""The demo's month: an hourly schedule, a clock that is moved through 30 days, and what the retention policy leaves.

What has to be left is counted here once more, from the moments of the slots alone, and not by the product's code.
"""

import contextlib
import datetime as dt
import itertools
import json
import random
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from tests.local.city import SEED, city, read_again
from tests.local.demo_client import Client, DemoFailed
from tests.local.demo_story import Story
from tests.local.http_messages import Answer
from tests.local.memory_stack import memory_stack
from tests.local.scheduler import Delivery, Slot
from tests.local.stack import LocalStack

DAYS = 30
POLICY = {"hourly": 24, "daily": 7, "weekly": 4}
STRICTER = {"hourly": 6, "daily": 3, "weekly": 2}
_TENANT = "harbour"
_ZONE = ZoneInfo("Asia/Tokyo")
_ENTITIES = 120
_CHANGES_EVERY = 6
_CHANGED = 5
# In which hours of the month EventBridge Scheduler is made to misbehave.
_TWICE = (30, 200, 555)
_LATE = (77, 310, 700)
_LATE_BY = dt.timedelta(minutes=40)
_PARAMETERS = {"ShardsPerTenant": "1", "GatesPerTenant": "1"}
_REASONS_WIDTH = 68  # of a hundred columns


class Month:
    """These steps, with the state that they share."""

    def __init__(self, story: Story, stack: LocalStack, key: str, days: int = DAYS) -> None:
        self._days = days
        self._story = story
        self._stack = stack
        self._client = _Inside(stack, {"Authorization": f"Bearer {key}", "Fiware-Service": _TENANT})
        self._chance = random.Random(SEED)
        self._where = ""
        self._made: dict[str, dt.datetime] = {}

    def play(self) -> None:
        """All of them.

        Raises:
            DemoFailed: something was not as it must be.
        """
        self._schedule()
        self._let_pass()
        self._preview(POLICY, "See why each snapshot stays", {})
        self._preview(STRICTER, "Try a stricter policy, deleting nothing", {"retention": STRICTER})
        self._prove()

    def _schedule(self) -> None:
        with self._story.step("Have a backup made every hour, over HTTP") as step:
            self._client.update("append", list(city(_ENTITIES)))
            wanted = {
                "expression": "cron(0 * * * ? *)",
                "timezone": _ZONE.key,
                "description": "{interval} backup of {date}",
                "retention": POLICY,
            }
            answer = self._client.expect(201, "POST", "/v2/schedules", wanted)
            self._where = answer.headers["Location"]
            made = answer.json()
            step.tell(f"{made['id']} in {made['timezone']}, next run {made['nextRun']}")
            step.result = f"{made['interval']}, keeps {_words(made['retention'])}"

    def _let_pass(self) -> None:
        with self._story.step(f"Move the clock through {self._days} days, slot by slot") as step:
            name = self._where.rsplit("/", 1)[1]
            end = self._stack.clock.now() + dt.timedelta(days=self._days)
            deliveries = Counter[str]()
            slots = enumerate(self._stack.scheduler.due(end, lambda scheduled: scheduled.endswith(f"/{name}")), 1)
            for number, slot in slots:
                if number % _CHANGES_EVERY == 0:
                    self._change_city()
                self._stack.clock.move_to(slot.due_at + (_LATE_BY if number in _LATE else dt.timedelta(0)))
                deliveries["late"] += number in _LATE
                self._note(slot, self._stack.scheduler.deliver(slot), number)
                if number in _TWICE:
                    deliveries["twice"] += 1
                    self._check_nothing_made(self._stack.scheduler.deliver(slot))
                if number % 240 == 0:
                    kept = self._client.expect(200, "GET", "/v2/snapshots?options=count&limit=1")
                    count = kept.headers["Fiware-Total-Count"]
                    step.tell(f"day {number // 24}: {number} slots, {count} snapshots kept")
            _same("the number of slots", len(self._made), self._days * 24)
            step.result = f"{len(self._made)} slots, {deliveries['twice']} delivered twice, {deliveries['late']} late"

    def _note(self, slot: Slot, delivery: Delivery, number: int) -> None:
        """Each slot makes one snapshot, and one of its own."""
        told = self._stack.execution(delivery.execution_arn)
        if told.status != "SUCCEEDED":
            raise DemoFailed(f"slot {number}, {slot.due_at}, must be backed up; it is {told.status}: {told.cause}")
        snapshot = told.output["conclusion"]["snapshotId"]
        if not snapshot or snapshot in self._made:
            raise DemoFailed(f"slot {number}, {slot.due_at}, must have a snapshot of its own; it has {snapshot!r}")
        self._made[snapshot] = slot.due_at

    def _check_nothing_made(self, delivery: Delivery) -> None:
        told = self._stack.execution(delivery.execution_arn)
        _same("the end of a slot's second delivery", (told.status, told.output["slot"]["state"]), ("SUCCEEDED", "over"))

    def _change_city(self) -> None:
        entities = [entity for entity in city(_ENTITIES) if self._chance.random() < _CHANGED / _ENTITIES]
        if entities:
            self._client.update("update", [read_again(entity, self._chance) for entity in entities])

    def _preview(self, policy: Mapping[str, int], title: str, wanted: Mapping[str, Any]) -> None:
        with self._story.step(title) as step:
            told = self._client.expect(200, "POST", f"{self._where}/retention/preview", wanted).json()
            kept = [row["id"] for row in told["decisions"] if row["decision"] == "keep"]
            _same_ids("that the policy keeps", set(kept), _left(_moments(told["decisions"]), policy))
            for line in table(told["decisions"]):
                step.show(line)
            step.result = f"{_words(policy)}: {told['counts']['keep']} stay, {told['counts']['forget']} would go"

    def _prove(self) -> None:
        with self._story.step("Count again, from the slots alone, what must be left") as step:
            listed = self._client.expect(200, "GET", "/v2/snapshots?limit=1000").json()
            expected = _left(self._made, POLICY)
            _same_ids("that are left", {one["id"] for one in listed}, expected)
            _same("their status", {one["status"] for one in listed}, {"completed"})
            last = self._client.expect(200, "GET", self._where).json()
            _same("the schedule's lastStatus", last["lastStatus"], "completed")
            step.tell(f"last run {last['lastRun']['slotAt']} {last['lastStatus']}, next run {last['nextRun']}")
            gone = len(self._made) - len(expected)
            step.result = f"{len(listed)} of {len(self._made)} left, as the policy says; {gone} forgotten"


class _Inside(Client):
    """Talks to a stack in this process."""

    def __init__(self, stack: LocalStack, headers: dict[str, str]) -> None:
        self._stack = stack
        self._headers = headers

    def send(self, method: str, path: str, document: Any = None) -> Answer:
        body = b"" if document is None else json.dumps(document, ensure_ascii=False).encode()
        content = {} if document is None else {"Content-Type": "application/json"}
        return self._stack.http(method, path, self._headers | content, body)


def play(story: Story, days: int = DAYS) -> None:
    """A stack of its own, and the month, or another number of days, on it.

    Raises:
        DemoFailed: something was not as it must be.
        TemplateError, DeployError: the template cannot be deployed.
    """
    with contextlib.ExitStack() as running:
        with story.step("Start a stack that keeps its data in memory") as step:
            stack, key = running.enter_context(memory_stack(_PARAMETERS))
            step.result = f"{len(stack.deployment.functions)} functions, {len(stack.api.routes)} routes"
        Month(story, stack, key, days).play()


def table(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Decisions of retention, newest first. Of several in a row that the same rules make, one is shown."""
    yield f"{'snapshot of':16}  verdict  why, in {_ZONE.key}"
    for _, alike in itertools.groupby(rows, _rules):
        first, *rest = alike
        # The zone is in the heading, and the snapshot that stands for a period is in a row of its own.
        reasons = re.sub(rf" in {_ZONE.key}|, snapshot_[^;]*", "", "; ".join(one["text"] for one in first["reasons"]))
        line, *more = textwrap.wrap(reasons, _REASONS_WIDTH) or [""]
        yield f"{_local(first)}  {first['decision']:7}  {line}"
        yield from (f"{'':27}{text}" for text in more)
        if rest:
            yield f"{_local(rest[-1])}  {first['decision']:7}  the same for {len(rest)} more, the last of which is this"


def _rules(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (row["decision"], *(reason["rule"] for reason in row["reasons"]))


def _local(row: Mapping[str, Any]) -> str:
    return f"{dt.datetime.fromisoformat(row['createdAt']).astimezone(_ZONE):%Y-%m-%d %H:%M}"


def _left(moments: Mapping[str, dt.datetime], policy: Mapping[str, int]) -> set[str]:
    """What a policy leaves of snapshots: the newest of each of the newest hours, days and weeks in the zone."""
    periods = {"hourly": "%Y-%m-%d %H %z", "daily": "%Y-%m-%d", "weekly": "%G-W%V"}
    left: set[str] = set()
    for rule, count in policy.items():
        newest: dict[str, str] = {}
        for snapshot, moment in sorted(moments.items(), key=lambda one: one[1], reverse=True):
            newest.setdefault(moment.astimezone(_ZONE).strftime(periods[rule]), snapshot)
        left |= set(list(newest.values())[:count])
        if len(newest) < count:  # as long as it has places left, a rule keeps the oldest too
            left.add(min(moments, key=lambda snapshot: moments[snapshot]))
    return left


def _moments(rows: Iterable[Mapping[str, Any]]) -> dict[str, dt.datetime]:
    return {row["id"]: dt.datetime.fromisoformat(row["createdAt"]) for row in rows}


def _words(policy: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {rule}" for rule, count in policy.items())


def _same_ids(which: str, found: set[str], expected: set[str]) -> None:
    if found != expected:
        raise DemoFailed(
            f"the {len(found)} snapshots {which} must be {len(expected)} others: "
            f"missing are {sorted(expected - found)[:3]}, too many are {sorted(found - expected)[:3]}"
        )


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise DemoFailed(f"{what} must be {expected!r}; found: {found!r}")

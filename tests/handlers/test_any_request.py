"""Whatever comes in, the answer is a documented one: no request makes a function fail or write what it should not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.ngsi.cancel_restore import handler as cancel_restore
from functions.ngsi.create_schedule import handler as create_schedule
from functions.ngsi.create_snapshot import handler as create_snapshot
from functions.ngsi.delete_schedule import handler as delete_schedule
from functions.ngsi.delete_snapshot import handler as delete_snapshot
from functions.ngsi.diff_snapshot import handler as diff_snapshot
from functions.ngsi.get_restore import handler as get_restore
from functions.ngsi.get_schedule import handler as get_schedule
from functions.ngsi.get_snapshot import handler as get_snapshot
from functions.ngsi.list_restores import handler as list_restores
from functions.ngsi.list_schedules import handler as list_schedules
from functions.ngsi.list_snapshots import handler as list_snapshots
from functions.ngsi.preview_retention import handler as preview_retention
from functions.ngsi.read_inside import handler as read_inside
from functions.ngsi.restore_snapshot import handler as restore_snapshot
from functions.ngsi.undelete_snapshot import handler as undelete_snapshot
from functions.ngsi.update_schedule import handler as update_schedule
from tests.fakes import MemorySchedules, memory_ports
from tests.handlers.conftest import ENVIRONMENT
from tests.handlers.rest import call, request, sample
from tidemark import bootstrap
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.web import LambdaHandler

FUNCTIONS: list[tuple[LambdaHandler, str]] = [
    (list_snapshots.handler, "list_snapshots"),
    (get_snapshot.handler, "get_snapshot"),
    (delete_snapshot.handler, "delete_snapshot"),
    (restore_snapshot.handler, "restore_snapshot"),
    (undelete_snapshot.handler, "undelete_snapshot"),
    (read_inside.handler, "read_inside"),
    (diff_snapshot.handler, "diff_snapshot"),
    (list_restores.handler, "list_restores"),
    (get_restore.handler, "get_restore"),
    (cancel_restore.handler, "cancel_restore"),
    (list_schedules.handler, "list_schedules"),
    (get_schedule.handler, "get_schedule"),
    (update_schedule.handler, "update_schedule"),
    (delete_schedule.handler, "delete_schedule"),
    (preview_retention.handler, "preview_retention"),
]
REFUSALS = {400, 403, 404, 409, 413, 415, 501}
WORDS = st.text(max_size=40) | st.sampled_from(
    ["limit", "offset", "options", "count", "1", "0", "-1", "application/json", "rate(1 hour)", "UTC", "{date}"]
)
MEMBERS = st.sampled_from(
    [
        *("description", "labels", "mode", "safetySnapshot", "filter", "target", "dryRun"),
        *("expression", "timezone", "windowMinutes", "interval", "retention", "overlap", "paused"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS | WORDS, inner, max_size=4),
    max_leaves=6,
)
BODIES = WORDS | st.text() | JSON.map(json.dumps)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "content-type", "Fiware-Service", "NGSILD-Tenant", "Fiware-Correlator"]), WORDS
)


def with_words_in_its_path(event: dict[str, Any], word: str) -> dict[str, Any]:
    """The event with another word, percent-encoded, for the variable part of its path."""
    parts = event["resource"].split("/")
    event["path"] = "/".join(quote(word or "-", safe="") if part.startswith("{") else part for part in parts)
    return event


@contextmanager
def serving(ports: Ports) -> Iterator[None]:
    """Functions as they are deployed, with these ports."""
    with bootstrap.use(ports), pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@given(st.sampled_from(FUNCTIONS), WORDS, st.dictionaries(WORDS, WORDS, max_size=3), HEADERS, BODIES)
def test_no_request_makes_a_function_fail(
    function: tuple[LambdaHandler, str], word: str, query: dict[str, str], headers: dict[str, str], body: str
) -> None:
    handler, name = function
    event = with_words_in_its_path(request("ngsi", name, text=body, headers=headers, query=query), word)
    ports = memory_ports()
    with serving(ports):
        answer = call(handler, event)
    assert answer.status in REFUSALS | {200}
    assert (answer.status == 200) == isinstance(answer.json, list)
    assert list(ports.catalog.snapshots(Tenant("smartcity"))) == []


@given(BODIES, HEADERS)
def test_create_makes_a_snapshot_or_refuses_and_writes_nothing(body: str, headers: dict[str, str]) -> None:
    ports = memory_ports()
    with serving(ports):
        answer = call(create_snapshot.handler, request("ngsi", "create_snapshot", text=body, headers=headers))
    made = list(ports.catalog.snapshots(Tenant("smartcity")))
    if answer.status == 201:
        assert [snapshot.id for snapshot in made] == [answer.json["id"]]
    else:
        assert answer.status in REFUSALS
        assert made == []


@given(BODIES, HEADERS)
def test_create_makes_a_schedule_or_refuses_and_writes_nothing(body: str, headers: dict[str, str]) -> None:
    ports = memory_ports()
    with serving(ports):
        answer = call(create_schedule.handler, request("ngsi", "create_schedule", text=body, headers=headers))
    made = [one.id for one in ports.catalog.found_schedules(Tenant("smartcity"))]
    assert isinstance(ports.schedules, MemorySchedules)
    assert list(ports.schedules.held) == made
    if answer.status == 201:
        assert made == [answer.json["id"]]
    else:
        assert answer.status in REFUSALS
        assert made == []


def test_sample_events_are_what_the_functions_serve() -> None:
    with serving(memory_ports()):
        answers = {name: call(handler, sample("ngsi", name)).status for handler, name in FUNCTIONS}
    assert set(answers.values()) == {200, 404}

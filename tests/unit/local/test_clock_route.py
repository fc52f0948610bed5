"""The clock of a served stack is moved over HTTP, and what is scheduled happens on the way."""

import datetime as dt
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.local.clock_route import PATH
from tests.local.stack import LocalStack
from tests.unit.local.conftest import TEMPLATE

HOUR = dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def ticking() -> Iterator[LocalStack]:
    """The application as `make up` serves it."""
    with LocalStack.serve(TEMPLATE, wait_scale=0.01, ticking=True) as running:
        yield running


def move(stack: LocalStack, wanted: Any) -> tuple[int, Any]:
    answer = stack.http("POST", PATH, {}, json.dumps(wanted))
    return answer.status, answer.json()


def test_tells_the_time(ticking: LocalStack) -> None:
    told = ticking.http("GET", PATH).json()

    assert abs(dt.datetime.fromisoformat(told["now"]) - ticking.clock.now()) < dt.timedelta(seconds=10)


def test_moves_the_clock_by_hours_and_fires_what_is_due_on_the_way(ticking: LocalStack) -> None:
    before = ticking.clock.now()

    status, told = move(ticking, {"hours": 72})

    assert (status, told["fired"], told["schedules"]) == (200, 3, ["tidemark-Schedules/tidemark-Nightly"])
    assert abs(dt.datetime.fromisoformat(told["now"]) - before - 72 * HOUR) < dt.timedelta(seconds=20)
    assert {execution.status for execution in ticking.executions("Flow")} == {"SUCCEEDED"}


def test_moves_the_clock_to_a_moment(ticking: LocalStack) -> None:
    moment = (ticking.clock.now() + HOUR).replace(microsecond=0)

    status, told = move(ticking, {"to": moment.isoformat()})

    assert status == 200
    assert dt.datetime.fromisoformat(told["now"]) >= moment


@pytest.mark.parametrize(
    ("wanted", "because"),
    [
        ({"hours": -1}, "does not go back"),
        ({"to": "2020-01-01T00:00:00Z"}, "does not go back"),
        ({"to": "2040-01-01T00:00:00"}, "no offset from UTC"),
        ({"to": "tomorrow"}, "isoformat"),
        ({"hours": 1e300}, "too many"),
        ({"hours": 1, "to": "2040-01-01T00:00:00Z"}, "nobody knows"),
        (None, "nobody knows"),
    ],
)
def test_refuses_what_is_no_later_moment(ticking: LocalStack, wanted: Any, because: str) -> None:
    status, told = move(ticking, wanted)

    assert status == 400
    assert because in told["description"]


def test_knows_two_methods_and_leaves_other_paths_to_the_api(ticking: LocalStack) -> None:
    assert ticking.http("DELETE", PATH).status == 405
    assert ticking.http("GET", f"{PATH}/more").status == 404


def test_stops_moving_the_clock_when_the_stack_is_closed(ticking: LocalStack) -> None:
    # Named so that it comes last: it ends this module's stack, in the middle of some years.
    before = ticking.clock.now()
    with ThreadPoolExecutor(1) as pool:
        moving = pool.submit(move, ticking, {"hours": 24 * 2000})
        time.sleep(0.5)
        began = time.monotonic()
        ticking.close()
        status, told = moving.result()

    assert time.monotonic() - began < 20
    assert status == 200
    assert 0 < told["fired"] < 2000
    assert dt.datetime.fromisoformat(told["now"]) < before + 2000 * 24 * HOUR

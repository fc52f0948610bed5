"""What `ports.Repeats` promises."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.aws import DYNAMODB_LANES, MEMORY, MOTO, client_of, disturb, table_on
from tests.contract.examples import ACME, OTHER, snapshot
from tests.fakes import ManualClock, MemoryRepeats
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.adapters.powertools_repeats import PowertoolsRepeats
from tidemark.domain.asked import Asked
from tidemark.errors import AwsFailure, KeyReused, RequestInProgress, SnapshotInUse, Throttled, TidemarkError
from tidemark.ports import Repeats

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

ASKED = Asked("aa" * 32, "11" * 32)
ANSWER = {"status": 201, "headers": {"Location": "/x", "A": "b"}, "body": '{"id":"Räksmörgås 🌊","n":[1,2.5,null]}'}
DAY_S = 24 * 3600


class Death(BaseException):
    """The end of a process."""


@dataclass
class World:
    """An implementation, and what makes time pass for it."""

    repeats: Repeats
    pass_s: Callable[[float], None]


def _powertools_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Powertools looks at the system's clock: move that, for its modules alone."""
    elapsed = [0.0]

    class Moved(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return dt.datetime.now(tz) + dt.timedelta(seconds=elapsed[0])

    class Module:
        datetime = Moved
        timedelta = dt.timedelta

    for name in ("persistence.base", "persistence.dynamodb", "persistence.datarecord", "base"):
        monkeypatch.setattr(f"aws_lambda_powertools.utilities.idempotency.{name}.dt", Module)

    def pass_s(seconds: float) -> None:
        elapsed[0] += seconds

    return pass_s


@pytest.fixture(params=DYNAMODB_LANES)
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    if request.param == MEMORY:
        clock = ManualClock()
        yield World(MemoryRepeats(clock), clock.advance)
        return
    with ExitStack() as stack:
        client = stack.enter_context(client_of("dynamodb", request.param))
        repeats = PowertoolsRepeats(client, stack.enter_context(table_on(client)))
        yield World(repeats, _powertools_time(monkeypatch))


class Answering:
    """Answers with a new number each time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, Any]:
        self.calls += 1
        return {**ANSWER, "call": self.calls}


def test_once_answers_the_same_when_it_is_asked_again(world: World) -> None:
    answering = Answering()
    first = world.repeats.once(ACME, ASKED, answering)
    assert first == {**ANSWER, "call": 1}
    world.pass_s(DAY_S - 5)
    assert [world.repeats.once(ACME, ASKED, answering) for _ in range(3)] == [first] * 3
    assert answering.calls == 1


@pytest.mark.parametrize("seconds", [0, 3600])
def test_once_is_refused_when_something_else_is_asked_under_the_key(world: World, seconds: float) -> None:
    answering = Answering()
    first = world.repeats.once(ACME, ASKED, answering)
    world.pass_s(seconds)
    with pytest.raises(KeyReused):
        world.repeats.once(ACME, Asked(ASKED.key, "22" * 32), answering)
    assert world.repeats.once(ACME, ASKED, answering) == first
    assert answering.calls == 1


def test_once_answers_anew_when_tenant_or_key_is_another(world: World) -> None:
    answering = Answering()
    for tenant, key in ((ACME, ASKED.key), (OTHER, ASKED.key), (ACME, "bb" * 32), (OTHER, "bb" * 32)):
        world.repeats.once(tenant, Asked(key, ASKED.content), answering)
    assert answering.calls == 4


def test_once_answers_anew_when_a_day_has_passed(world: World) -> None:
    answering = Answering()
    world.repeats.once(ACME, ASKED, answering)
    world.pass_s(DAY_S + 5)
    other = Asked(ASKED.key, "22" * 32)
    assert world.repeats.once(ACME, other, answering)["call"] == 2
    assert world.repeats.once(ACME, other, answering)["call"] == 2


def test_once_keeps_nothing_when_the_answer_is_refused(world: World) -> None:
    def refuse() -> dict[str, Any]:
        raise SnapshotInUse("not now")

    for _ in range(2):
        with pytest.raises(SnapshotInUse, match="not now"):
            world.repeats.once(ACME, ASKED, refuse)
    # Another body, too: the first one was never obeyed.
    assert world.repeats.once(ACME, Asked(ASKED.key, "22" * 32), Answering())["call"] == 1


def test_once_is_refused_while_the_request_is_being_served(world: World) -> None:
    begun, go_on, answering = threading.Event(), threading.Event(), Answering()

    def slowly() -> dict[str, Any]:
        begun.set()
        assert go_on.wait(30)
        return answering()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(world.repeats.once, ACME, ASKED, slowly)
        assert begun.wait(30)
        with pytest.raises(RequestInProgress):
            world.repeats.once(ACME, ASKED, answering)
        with pytest.raises(KeyReused):
            world.repeats.once(ACME, Asked(ASKED.key, "22" * 32), answering)
        go_on.set()
        first = running.result(30)
    assert world.repeats.once(ACME, ASKED, answering) == first
    assert answering.calls == 1


def test_once_lets_one_answer_when_many_ask_at_once(world: World) -> None:
    answering = Answering()

    def ask(_: int) -> dict[str, Any] | None:
        try:
            return world.repeats.once(ACME, ASKED, answering)
        except RequestInProgress:
            return None

    with ThreadPoolExecutor(8) as pool:
        found = [one for one in pool.map(ask, range(8)) if one is not None]
    assert answering.calls == 1
    assert found == [{**ANSWER, "call": 1}] * len(found)


def test_once_goes_on_when_the_first_process_is_surely_dead(world: World) -> None:
    def die() -> dict[str, Any]:
        raise Death

    with pytest.raises(Death):
        world.repeats.once(ACME, ASKED, die)
    answering = Answering()
    world.pass_s(28)
    with pytest.raises(RequestInProgress):
        world.repeats.once(ACME, ASKED, answering)
    world.pass_s(4)
    assert world.repeats.once(ACME, ASKED, answering)["call"] == 1
    assert world.repeats.once(ACME, ASKED, answering)["call"] == 1


# --- the adapter alone


@pytest.fixture
def client() -> Iterator["DynamoDBClient"]:
    with client_of("dynamodb", MOTO) as made:
        yield made


@pytest.fixture
def table(client: "DynamoDBClient") -> Iterator[str]:
    with table_on(client) as name:
        yield name


@pytest.mark.parametrize(
    ("operation", "code", "error"),
    [
        ("PutItem", "ThrottlingException", Throttled),
        ("PutItem", "AccessDeniedException", AwsFailure),
        ("UpdateItem", "ThrottlingException", Throttled),
        ("UpdateItem", "InternalServerError", AwsFailure),
    ],
)
def test_error_is_named_when_aws_keeps_no_answer(
    client: "DynamoDBClient", table: str, operation: str, code: str, error: type[TidemarkError]
) -> None:
    disturb(client, operation, *[code] * 10)
    with pytest.raises(error, match=code):
        PowertoolsRepeats(client, table).once(ACME, ASKED, Answering())


def test_rows_expire_by_the_attribute_that_the_table_looks_at_and_are_no_records(
    client: "DynamoDBClient", table: str
) -> None:
    catalog = DynamoCatalog(client, table)
    stored = catalog.add_snapshot(snapshot())
    PowertoolsRepeats(client, table).once(ACME, ASKED, Answering())
    (row,) = [row for row in client.scan(TableName=table)["Items"] if "answer" in row]
    assert row["pk"] == {"S": "TENANT#acme#ONCE"}
    left_s = int(row["expiresAt"]["N"]) - dt.datetime.now(dt.UTC).timestamp()
    assert DAY_S - 60 < left_s <= DAY_S
    assert list(catalog.snapshots(ACME)) == [stored]
    assert list(catalog.restores(ACME)) == []


def test_other_calls_of_the_client_stay_as_they_are(client: "DynamoDBClient", table: str) -> None:
    repeats = PowertoolsRepeats(client, table)
    for number in range(3):
        repeats.once(ACME, Asked(f"{number:064x}", ASKED.content), Answering())
    seen: list[Any] = []
    client.meta.events.register("before-send", lambda request, **_: seen.append(request.headers["User-Agent"]))
    client.scan(TableName=table)
    assert len(seen) == 1
    assert b"idempotency" not in seen[0]

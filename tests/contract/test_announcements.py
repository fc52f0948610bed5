"""What `ports.Announcements` promises, and what EventBridge is asked."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.aws import MEMORY, MOTO, client_of, disturb
from tests.contract.examples import TEN_O_CLOCK
from tests.fakes import ManualClock, MemoryAnnouncements, SeededEntropy
from tidemark.adapters import clients
from tidemark.adapters.eventbridge_events import MAX_ENTRIES, MAX_REQUEST_BYTES, EventBridgeEvents
from tidemark.errors import AwsFailure, NotSupported, Throttled, TidemarkError
from tidemark.ports import Announcements, Event, Untold

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient

BUS = "tidemark"
QUEUE = "heard"


@dataclass
class World:
    """`heard` are the kinds and details of the events that reached the bus, in the order in which they did."""

    bus: Announcements
    heard: Callable[[], list[tuple[str, Any]]]


def event(number: int = 1, *, kind: str = "Snapshot Completed", size: int = 0) -> Event:
    return Event(f"{number:064x}", kind, TEN_O_CLOCK, json.dumps({"number": number, "filler": "x" * size}))


@pytest.fixture
def events() -> Iterator["EventBridgeClient"]:
    with client_of("events", MOTO) as client:
        client.create_event_bus(Name=BUS)
        yield client


def adapter(client: "EventBridgeClient", clock: ManualClock | None = None) -> EventBridgeEvents:
    return EventBridgeEvents(client, BUS, clock=clock or ManualClock(), entropy=SeededEntropy())


@pytest.fixture(params=[MEMORY, MOTO])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == MEMORY:
        fake = MemoryAnnouncements()
        return World(fake, lambda: [(one.kind, json.loads(one.detail)["number"]) for one in fake.told])
    client: EventBridgeClient = request.getfixturevalue("events")
    sqs = clients.make("sqs")
    url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client.put_rule(Name="all", EventBusName=BUS, EventPattern=json.dumps({"source": ["tidemark"]}))
    client.put_targets(Rule="all", EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])

    def heard() -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            bodies = [json.loads(message["Body"]) for message in messages]
            found += [(body["detail-type"], body["detail"]["number"]) for body in bodies]
        return found

    return World(adapter(client), heard)


def test_everything_reaches_the_bus_in_its_order(world: World) -> None:
    told = [event(number, kind="Restore Started" if number % 2 else "Snapshot Deleted") for number in range(25)]
    assert world.bus.put(told) == []
    assert world.heard() == [(one.kind, number) for number, one in enumerate(told)]


def test_telling_it_again_tells_it_again(world: World) -> None:
    for _ in range(2):
        assert world.bus.put([event()]) == []
    assert world.heard() == [("Snapshot Completed", 1)] * 2


def test_nothing_to_tell_is_nothing_told(world: World) -> None:
    assert world.bus.put([]) == []
    assert world.heard() == []


def test_without_a_bus_nothing_can_be_told() -> None:
    assert Untold().put([]) == []
    with pytest.raises(NotSupported, match="Snapshot Completed"):
        Untold().put([event()])


# --- What EventBridge is asked


def test_event_names_bus_source_kind_and_moment(events: "EventBridgeClient") -> None:
    asked = disturb(events, "PutEvents")
    adapter(events).put([event(7)])
    [entry] = asked.requests[0]["Entries"]
    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == (BUS, "tidemark", "Snapshot Completed")
    assert json.loads(entry["Detail"])["number"] == 7
    assert datetime.fromtimestamp(entry["Time"], UTC) == TEN_O_CLOCK


def test_request_holds_no_more_events_than_it_may(events: "EventBridgeClient") -> None:
    asked = disturb(events, "PutEvents")
    adapter(events).put([event(number) for number in range(2 * MAX_ENTRIES + 1)])
    assert [len(request["Entries"]) for request in asked.requests] == [10, 10, 1]


def test_request_holds_no_more_bytes_than_it_may(events: "EventBridgeClient") -> None:
    asked = disturb(events, "PutEvents")
    adapter(events).put([event(number, size=100_000) for number in range(5)])
    assert [len(request["Entries"]) for request in asked.requests] == [2, 2, 1]
    assert max(sum(len(entry["Detail"]) for entry in one["Entries"]) for one in asked.requests) < MAX_REQUEST_BYTES


# --- What EventBridge refuses


def answer(*codes: str) -> dict[str, Any]:
    """An answer that gives each entry a code, or takes it."""
    entries = [{"ErrorCode": code, "ErrorMessage": "no message says anything"} if code else {} for code in codes]
    return {"FailedEntryCount": sum(map(bool, codes)), "Entries": entries, "ResponseMetadata": {}}


def test_only_entries_that_failed_are_asked_again(events: "EventBridgeClient") -> None:
    asked = disturb(events, "PutEvents", answer("", "InternalFailure", "", "ThrottlingException"))
    clock = ManualClock()
    began_s = clock.monotonic_s()
    assert adapter(events, clock).put([event(number) for number in range(4)]) == []
    numbers = [[json.loads(entry["Detail"])["number"] for entry in one["Entries"]] for one in asked.requests]
    assert numbers == [[0, 1, 2, 3], [1, 3]]
    assert clock.monotonic_s() > began_s, "it repeated without a pause"


def test_entries_that_fail_for_too_long_are_named_in_their_order(events: "EventBridgeClient") -> None:
    disturb(events, "PutEvents", answer("", "InternalFailure", "MalformedDetail"), *[answer("InternalFailure")] * 99)
    refused = adapter(events).put([event(number) for number in range(3)])
    assert [(json.loads(one.event.detail)["number"], one.reason) for one in refused] == [
        (1, "InternalFailure"),
        (2, "MalformedDetail"),
    ]


def test_entry_that_no_repeat_makes_right_is_not_repeated(events: "EventBridgeClient") -> None:
    asked = disturb(events, "PutEvents", answer("MalformedDetail"))
    assert [one.reason for one in adapter(events).put([event()])] == ["MalformedDetail"]
    assert len(asked.requests) == 1


def test_requests_after_one_that_failed_in_part_are_still_sent(events: "EventBridgeClient") -> None:
    asked = disturb(events, "PutEvents", answer("MalformedDetail", *[""] * 9))
    assert len(adapter(events).put([event(number) for number in range(12)])) == 1
    assert len(asked.requests) == 2


@pytest.mark.parametrize(
    ("code", "kind"),
    [("AccessDeniedException", AwsFailure), ("InternalException", AwsFailure), ("ThrottlingException", Throttled)],
)
def test_refusal_of_a_whole_request_is_raised(
    events: "EventBridgeClient", monkeypatch: pytest.MonkeyPatch, code: str, kind: type[TidemarkError]
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    disturb(events, "PutEvents", *[code] * 9)
    with pytest.raises(kind, match="putting 1 events on the bus tidemark"):
        adapter(events).put([event()])

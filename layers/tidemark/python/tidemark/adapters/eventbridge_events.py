"""Announcements as events on a bus of EventBridge.

Sizes and errors: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html and
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from tidemark.adapters.aws_errors import THROTTLING, named
from tidemark.adapters.backoff import Backoff
from tidemark.errors import Throttled
from tidemark.ports import Clock, Entropy, Event, NotTaken
from tidemark.ports.announcements import SOURCE

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

MAX_ENTRIES: Final = 10
MAX_REQUEST_BYTES: Final = 256 * 1024
# What EventBridge counts for the time of an entry.
_TIME_BYTES: Final = 14
_BUDGET_S: Final = 5.0
# The bus may take these a moment later. Every other code tells of a fault in the entry or in the stack.
_PASSING: Final = THROTTLING | {"InternalException", "InternalFailure", "ServiceUnavailable"}

type _Entry = tuple[Event, "PutEventsRequestEntryTypeDef"]


class EventBridgeEvents:
    """See `tidemark.ports.Announcements`. Safe to share between threads, as its client is."""

    def __init__(self, client: "EventBridgeClient", bus: str, *, clock: Clock, entropy: Entropy) -> None:
        self._client = client
        self._bus = bus
        self._clock = clock
        self._entropy = entropy

    def put(self, events: Sequence[Event]) -> list[NotTaken]:
        refused: list[NotTaken] = []
        for together in _requests([(event, self._entry(event)) for event in events]):
            refused += self._put(together)
        return refused

    def _entry(self, event: Event) -> "PutEventsRequestEntryTypeDef":
        return {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": event.kind,
            "Detail": event.detail,
            "Time": event.at,
        }

    def _put(self, entries: Sequence[_Entry]) -> list[NotTaken]:
        """One request, and the entries that failed again until they are taken or time is up."""
        doing = f"putting {len(entries)} events on the bus {self._bus}"
        backoff = Backoff(self._clock, self._entropy, budget_s=_BUDGET_S)
        order = {event.id: place for place, (event, _) in enumerate(entries)}
        lasting: list[NotTaken] = []
        left = list(entries)
        while left:
            with named(doing):
                answer = self._client.put_events(Entries=[entry for _, entry in left])
            codes = [found.get("ErrorCode", "") for found in answer["Entries"]]
            failed = [(one, code) for one, code in zip(left, codes, strict=True) if code]
            lasting += [NotTaken(event, code) for (event, _), code in failed if code not in _PASSING]
            passing = [(one, code) for one, code in failed if code in _PASSING]
            if passing:
                try:
                    backoff.pause(doing)
                except Throttled:
                    lasting += [NotTaken(event, code) for (event, _), code in passing]
                    break
            left = [one for one, _ in passing]
        return sorted(lasting, key=lambda one: order[one.event.id])


def _requests(entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
    """The entries in their order, as many together as a request may hold."""
    together: list[_Entry] = []
    size_bytes = 0
    for one in entries:
        more_bytes = _size_bytes(one[1])
        if together and (len(together) == MAX_ENTRIES or size_bytes + more_bytes > MAX_REQUEST_BYTES):
            yield together
            together, size_bytes = [], 0
        together.append(one)
        size_bytes += more_bytes
    if together:
        yield together


def _size_bytes(entry: "PutEventsRequestEntryTypeDef") -> int:
    texts = (entry.get("Source", ""), entry.get("DetailType", ""), entry.get("Detail", ""))
    return _TIME_BYTES + sum(len(text.encode()) for text in texts)

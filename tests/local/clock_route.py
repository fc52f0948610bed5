"""A way to move the clock of a stack that `make up` serves: `/_local/clock`, which no API of AWS has."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

from tests.local.http_messages import Answer, Headers, Request
from tests.local.local_clock import LocalClock
from tests.local.scheduler import LocalScheduler

PATH = "/_local/clock"
_USAGE = 'send {"to": "2030-01-15T10:00:00Z"}, or {"hours": 24}'


class ClockRoute:
    """Answers requests for the clock, and hands on all others.

    GET tells the time. POST moves the clock and, on the way, fires what EventBridge Scheduler has: it answers when all
    of that is over.
    """

    def __init__(self, clock: LocalClock, scheduler: LocalScheduler, others: Callable[[Request], Answer]) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._others = others

    def handle(self, request: Request) -> Answer:
        """The answer to one request."""
        if request.path != PATH:
            return self._others(request)
        match request.method:
            case "GET":
                return self._told(fired=[])
            case "POST":
                try:
                    until = self._later(request.body)
                except ValueError as error:
                    return _answer(400, {"error": "BadRequest", "description": f"{error}: {_USAGE}"})
                return self._told([delivery.slot.name for delivery in self._scheduler.fire_due(until)])
            case _:
                return _answer(405, {"error": "MethodNotAllowed", "description": "GET tells the time, POST moves it"})

    def _later(self, body: bytes) -> dt.datetime:
        now, wanted = self._clock.now(), self._wanted(body)
        if wanted < now:
            raise ValueError(f"the clock is at {_text(now)} and does not go back")
        return wanted

    def _wanted(self, body: bytes) -> dt.datetime:
        match json.loads(body or b"null"):
            case {"to": str(text), **others} if not others:
                moment = dt.datetime.fromisoformat(text)
                if moment.tzinfo is None:
                    raise ValueError(f"{text} has no offset from UTC")
                return moment
            case {"hours": int(hours) | float(hours), **others} if not others:
                try:
                    return self._clock.now() + dt.timedelta(hours=hours)
                except OverflowError:
                    raise ValueError(f"{hours} hours are too many") from None
            case unknown:
                raise ValueError(f"nobody knows what {json.dumps(unknown)[:100]} means")

    def _told(self, fired: list[str]) -> Answer:
        return _answer(200, {"now": _text(self._clock.now()), "fired": len(fired), "schedules": sorted(set(fired))})


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _answer(status: int, document: dict[str, Any]) -> Answer:
    return Answer(status, Headers([("Content-Type", "application/json")]), json.dumps(document).encode() + b"\n")

"""Phases as a state machine runs them: their sample events with the ids at hand, and entities to snapshot."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.handlers.rest import sample
from tidemark.domain.keys import EntityKey
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.tasks import Context, Result
from tidemark.usecases.entities import StoredEntity, change, view

TENANT = Tenant("smartcity")  # that of the sample events
PHASE_MS = 900_000

type Handler = Callable[[Mapping[str, Any], Context], Result]


class Left:
    """What Lambda tells of an invocation that has so much time left."""

    def __init__(self, left_ms: int = PHASE_MS) -> None:
        self.left_ms = left_ms

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


def run(handler: Handler, group: str, function: str, *, left_ms: int = PHASE_MS, **said: Any) -> Result:
    """Call a phase with its sample event, in which what is `said` takes the place of what is there."""
    event = sample(group, function)
    assert said.keys() <= event.keys()
    return handler({**event, **said}, Left(left_ms))


def write(ports: Ports, *numbers: int, value: int = 0) -> None:
    """Store entities `room-<number>`."""
    for number in numbers:
        key = EntityKey("Room", f"room-{number}", "/")
        doc = (
            f'{{"id":"room-{number}","temperature":{{"metadata":{{}},"type":"Number","value":{value}}},"type":"Room"}}'
        )
        change(ports, TENANT, [key], lambda present, doc=doc: dict.fromkeys(present, doc))  # type: ignore[misc]


def stored(ports: Ports) -> list[StoredEntity]:
    """Every entity of the tenant."""
    return view(ports, TENANT, list)

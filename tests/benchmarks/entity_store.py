"""What the built-in entity store asks of AWS: requests a write, requests and bytes a capture, and the pause of a cut.

The adapters are real, on moto; the pause is taken on tables in memory that answer after a fixed time.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, NamedTuple

from tests.contract.ports_on_aws import moto_clients, ports_on
from tests.driving import TENANT, doc, key, put
from tests.fakes import MemoryEntityTable, memory_ports
from tidemark.adapters import dynamo_rows as rows
from tidemark.adapters.system import SystemClock, SystemEntropy, Threads
from tidemark.domain.keys import shard_of
from tidemark.domain.live import Gate, Generation, Item, ItemKey, LeaseKind
from tidemark.engine.live import gates, leases
from tidemark.ports import Ports
from tidemark.usecases import entities
from tidemark.usecases.contention import IN_REQUEST
from tidemark.usecases.create_snapshot import create_snapshot

SHARES: Final = (0.0, 0.001, 0.01, 0.1)
ENTITIES_READ: Final = "entities read"
_ROUND_TRIP_S: Final = 0.02


class Counted(NamedTuple):
    """Requests by operation, how many entities a capture read by their keys, and the bytes that it stored."""

    requests: Counter[str]
    entities_read: int = 0
    new_bytes: int = 0

    @property
    def total(self) -> int:
        """All requests."""
        return self.requests.total()


@contextmanager
def _on_moto() -> Iterator[tuple[Ports, Counter[str]]]:
    counted: Counter[str] = Counter()

    def count(request: Any, event_name: str, **_: Any) -> None:
        operation = event_name.rpartition(".")[2]
        counted[operation] += 1
        if operation == "BatchGetItem":
            counted[ENTITIES_READ] += _entities_asked_for(json.loads(request.body))

    clock, entropy, parallel = SystemClock(), SystemEntropy(), Threads()
    with (
        moto_clients() as (dynamodb, s3),
        ports_on(dynamodb, s3, clock=clock, entropy=entropy, parallel=parallel) as ports,
    ):
        for client, service in ((dynamodb, "dynamodb"), (s3, "s3")):
            client.meta.events.register(f"before-send.{service}", count)
        yield ports, counted


def _entities_asked_for(request: Any) -> int:
    keys = [key["sk"]["S"] for asked in request["RequestItems"].values() for key in asked["Keys"]]
    return sum(sort_key not in {rows.STATE, rows.GATE} for sort_key in keys)


def count_writes() -> dict[str, Counter[str]]:
    """Requests of a write of one entity, of a batch of 80, and of a read."""
    found = {}
    with _on_moto() as (ports, counted):
        put(ports, {key(number): 0 for number in range(80)})
        for name, count in (("one entity", 1), ("a batch of 80", 80)):
            counted.clear()
            put(ports, {key(number): 1 for number in range(count)})
            found[name] = _taken(counted).requests
        counted.clear()
        entities.find(ports, TENANT, key(1).id)
        found["read of one entity"] = _taken(counted).requests
    return found


def count_captures(count: int) -> dict[float, Counted]:
    """Requests and new bytes of the capture that follows when this share of so many entities has changed."""
    found = {}
    with _on_moto() as (ports, counted):
        put(ports, {key(0): 0})
        state = ports.table.load(TENANT).state
        assert state is not None
        ports.table.insert(TENANT, [_item(number, state.generation, state.shards) for number in range(1, count)])
        create_snapshot(ports, TENANT, budget_s=1e9)
        for share in SHARES:
            changed = random.Random(share).sample(range(count), round(count * share))
            put(ports, {key(number): 7 for number in changed})
            counted.clear()
            snapshot = create_snapshot(ports, TENANT, budget_s=1e9)
            assert snapshot.entity_count == count
            found[share] = _taken(counted)._replace(new_bytes=snapshot.new_bytes or 0)
    return found


def _taken(counted: Counter[str]) -> Counted:
    requests = Counter(counted)
    return Counted(requests, requests.pop(ENTITIES_READ, 0))


def _item(number: int, generation: Generation, shards: int) -> Item:
    one = key(number)
    return Item(ItemKey(generation, shard_of(one.id, shards), one.sort_key), doc(one, 0), 1)


class _Distant(MemoryEntityTable):
    """Answers after one round trip, and notes when the first gate was closed and the last one opened."""

    closed_at_s = opened_at_s = 0.0

    def load(self, *args: Any, **named: Any) -> Any:
        time.sleep(_ROUND_TRIP_S)
        return super().load(*args, **named)

    def replace_state(self, state: Any) -> Any:
        time.sleep(_ROUND_TRIP_S)
        return super().replace_state(state)

    def replace_gate(self, gate: Gate) -> Gate:
        time.sleep(_ROUND_TRIP_S)
        stored = super().replace_gate(gate)
        if gate.closed_by is None:
            self.opened_at_s = time.perf_counter()
        else:
            self.closed_at_s = self.closed_at_s or time.perf_counter()
        return stored


def pause_in_round_trips() -> float:
    """From when the first gate is closed until the last one is open, 16 gates, with threads as in Lambda."""
    table = _Distant()
    ports = replace(memory_ports(), table=table, parallel=Threads())
    put(ports, {key(0): 0})
    held = leases.acquire(ports, TENANT, kind=LeaseKind.CAPTURE, owner="one", subject="a snapshot", attempt=IN_REQUEST)
    table.closed_at_s = 0.0
    gates.cut(ports, TENANT, leases.token_of(held))
    return (table.opened_at_s - table.closed_at_s) / _ROUND_TRIP_S

"""Sixteen clients at once that write, read, snapshot and restore: no 5xx, no lost update, no mixture of two states."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from tests.e2e import walk
from tests.e2e.served import Caller, Served
from tests.local.http_messages import Answer

AT_LEAST_S = 6.0
AT_MOST_S = 60.0
COUNTERS = 8
BATCH = 20
SHARED = "urn:ngsi-ld:Counter:shared"
REFUSED = {409, 429}
"""Answers that are no failure: somebody else is at it, or has been faster than the store can settle."""

type Bounds = tuple[list[int], list[int]]


@dataclass
class Tally:
    """What one counter's client knows: the last increment that was acknowledged, and the last that it tried."""

    acknowledged: int = 0
    tried: int = 0


@dataclass
class Seen:
    """What all clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answer: Answer, *expected: int) -> bool:
        """Count an answer, and whether it was one of those expected; what was neither that nor a refusal is wrong."""
        with self.lock:
            self.statuses[answer.status] += 1
            if answer.status not in {*expected, *REFUSED}:
                self.wrong.append(f"{answer.status}: {answer.text[:300]}")
        return answer.status in expected


@contextmanager
def clients(*bodies: Callable[[], None]) -> Iterator[None]:
    """Each body again and again in a thread of its own, until the block ends."""
    stop = threading.Event()
    failures: list[Exception] = []

    def repeat(body: Callable[[], None]) -> None:
        try:
            while not stop.is_set():
                body()
        except Exception as error:  # noqa: BLE001 - told after all have ended
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=repeat, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def counter(number: int, value: int) -> dict[str, Any]:
    """The entity of one counter."""
    name = f"urn:ngsi-ld:Counter:{number:02d}"
    return {"id": name, "type": "Counter", "value": {"type": "Number", "value": value, "metadata": {}}}


class Counting:
    """Counters, one of each client, that also count in an attribute each of one shared entity."""

    def __init__(self, call: Caller, seen: Seen) -> None:
        self.call, self.seen = call, seen
        self.own = [Tally() for _ in range(COUNTERS)]
        self.shared = [Tally() for _ in range(COUNTERS)]
        document = {f"n{number}": {"type": "Number", "value": 0} for number in range(COUNTERS)}
        assert call("POST", "/v2/entities", {"id": SHARED, "type": "Shared", **document}).status == 201
        entities = [counter(number, 0) for number in range(COUNTERS)]
        assert call("POST", "/v2/op/update", {"actionType": "append", "entities": entities}).status == 204

    def increment(self, number: int) -> None:
        """Add one to a counter, and to its attribute of the shared entity."""
        tally = self.own[number]
        tally.tried += 1
        document = {"value": counter(number, tally.tried)["value"]}
        answer = self.call("PATCH", f"/v2/entities/urn:ngsi-ld:Counter:{number:02d}/attrs", document)
        if self.seen.note(answer, 204):
            tally.acknowledged = tally.tried
        tally = self.shared[number]
        tally.tried += 1
        value = {"type": "Number", "value": tally.tried}
        answer = self.call("PUT", f"/v2/entities/{SHARED}/attrs/n{number}", value)
        if self.seen.note(answer, 204):
            tally.acknowledged = tally.tried

    def values(self) -> Bounds:
        """What the store holds: the counters, and the attributes of the shared entity."""
        found = {entity["id"]: entity for entity in walk.entities(self.call)}
        own = [found[f"urn:ngsi-ld:Counter:{number:02d}"]["value"]["value"] for number in range(COUNTERS)]
        return own, [found[SHARED][f"n{number}"]["value"] for number in range(COUNTERS)]

    def bounds(self, which: str) -> Bounds:
        """A side of what each may be: what was acknowledged, or what was tried."""
        return [getattr(tally, which) for tally in self.own], [getattr(tally, which) for tally in self.shared]


class Snapshotting:
    """Takes snapshots of the counters and remembers what each must hold at least and at most."""

    def __init__(self, counting: Counting) -> None:
        self.counting = counting
        self.taken: list[tuple[str, Bounds, Bounds]] = []

    def take(self) -> None:
        least = self.counting.bounds("acknowledged")
        answer = self.counting.call("POST", "/v2/snapshots")
        most = self.counting.bounds("tried")
        if self.counting.seen.note(answer, 201):
            self.taken.append((answer.json()["id"], least, most))
        time.sleep(0.1)


class Batches:
    """Entities that are always written together: a batch of this size is one transaction."""

    def __init__(self, call: Caller, seen: Seen) -> None:
        self.call, self.seen = call, seen
        self._numbers = itertools.count(1)
        self.write()

    def write(self) -> None:
        """Give all the same number."""
        number = next(self._numbers)
        value = counter(0, number)["value"]
        entities = [{"id": f"urn:ngsi-ld:Batch:{place:02d}", "type": "Batch", "value": value} for place in range(BATCH)]
        answer = self.call("POST", "/v2/op/update", {"actionType": "append", "entities": entities})
        self.seen.note(answer, 204)

    def read(self) -> list[int]:
        """The number of each, as one listing shows them; empty if it was refused."""
        answer = self.call("GET", "/v2/entities?type=Batch&limit=1000")
        if not self.seen.note(answer, 200):
            return []
        return [entity["value"]["value"] for entity in answer.json()]


class Restoring:
    """A tenant that nobody writes to and that is restored to one of two states all the time."""

    def __init__(self, call: Caller, seen: Seen) -> None:
        self.batches = Batches(call, seen)
        first = walk.create(call)["id"]
        self.batches.write()
        self._snapshots = (first, walk.create(call)["id"])
        self.restored = 0
        self.shown: Counter[int] = Counter()

    def read(self) -> None:
        """See one of the two states, whole."""
        numbers = self.batches.read()
        if numbers:
            self.shown[numbers[0]] += 1
            if len(numbers) != BATCH or len(set(numbers)) != 1:
                self.batches.seen.wrong.append(f"a mixture: {numbers}")

    def restore(self) -> None:
        """Restore, and wait until it is over."""
        call = self.batches.call
        other = self._snapshots[self.restored % 2]
        answer = call("POST", f"/v2/snapshots/{other}/restore", {"safetySnapshot": False})
        if self.batches.seen.note(answer, 202):
            assert walk.over(call, answer.json()["restoreId"])["status"] == "completed"
            self.restored += 1


@pytest.mark.slow
def test_sixteen_clients_lose_no_update_and_see_no_mixture(served_stack: Served) -> None:
    failures = _failures(served_stack)
    seen = Seen()
    counting = Counting(served_stack.caller("counting"), seen)
    snapshotting = Snapshotting(counting)
    batches = Batches(counting.call, seen)
    restoring = Restoring(served_stack.caller("restoring"), seen)
    writers = [partial(counting.increment, number) for number in range(COUNTERS)] + [batches.write] * 2
    others = [snapshotting.take] * 2 + [restoring.read] * 2 + [restoring.restore] * 2
    assert len(writers + others) == 16
    deadline = time.monotonic() + AT_MOST_S
    with clients(*writers, *others):
        time.sleep(AT_LEAST_S)
        while time.monotonic() < deadline and (restoring.restored < 2 or len(snapshotting.taken) < 2):
            time.sleep(0.1)
    assert seen.wrong == []
    assert max(seen.statuses) < 500

    _assert_between(counting.bounds("acknowledged"), counting.values(), counting.bounds("tried"))
    assert min(tally.acknowledged for tally in counting.own) > 3
    assert restoring.restored >= 2
    assert set(restoring.shown) == {1, 2}
    assert len(snapshotting.taken) >= 2
    snapshot_id, least, most = snapshotting.taken[-1]
    assert walk.restore(counting.call, snapshot_id)["status"] == "completed"
    _assert_between(least, counting.values(), most)
    numbers = batches.read()
    assert (len(numbers), len(set(numbers))) == (BATCH, 1)
    assert _failures(served_stack) <= failures


def _assert_between(least: Bounds, found: Bounds, most: Bounds) -> None:
    for lowest, values, highest in zip(least, found, most, strict=True):
        for low, value, high in zip(lowest, values, highest, strict=True):
            assert low <= value <= high, (least, found, most)


def _failures(served_stack: Served) -> set[str]:
    """The log lines of level ERROR."""
    return {
        line for line in served_stack.log_lines() if '"level":"ERROR"' in line.replace(" ", "") or "[ERROR]" in line
    }

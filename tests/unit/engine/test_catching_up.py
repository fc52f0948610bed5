"""A partial restore follows writers for as long as that gets it anywhere, and then comes to an end."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, Final, cast

import pytest

from tests.driving import TENANT, key, live, put, run_restore
from tests.fakes import memory_ports
from tests.fakes.system import ManualClock
from tests.unit.engine.disturbed import Counter, Death, numbered
from tidemark.dialects.ngsi import restore_filter
from tidemark.domain.live import Gate, ItemWrite, Layout
from tidemark.domain.restore import Pace, Restore, RestoreStatus
from tidemark.domain.snapshot import Failure
from tidemark.domain.tenant import Tenant
from tidemark.errors import LeaseLost, RestoreOutpaced
from tidemark.ports import EntityTable, Ports
from tidemark.usecases import restore_phases
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_phases.catch_up import FEW
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot

ROOMS: Final = [key(number) for number in range(4)]
CARS: Final = [key(number, "Car") for number in range(1200)]
# All of these are found again in each round if all of them are written in each.
MANY: Final = FEW + 40


class Busy:
    """Writers who write, before each round, as many cars as `writers` says of its number. A transaction of the restore
    takes `commit_s`.
    """

    def __init__(self, ports: Ports, writers: Callable[[int], int], *, commit_s: float) -> None:
        self._ports = ports
        self._writers = writers
        self._commit_s = commit_s
        self.rounds = 0

    def begin_round(self) -> None:
        """Write what the next round is to find."""
        self.rounds += 1
        put(self._ports, dict.fromkeys(CARS[: self._writers(self.rounds)], 100 + self.rounds))

    def slowed(self, ports: Ports) -> Ports:
        """The ports, for the restore."""
        clock = cast("ManualClock", ports.clock)
        return replace(ports, table=cast("EntityTable", Slow(ports.table, clock, self._commit_s)))


class Slow:
    """A table on which each transaction takes time."""

    def __init__(self, table: EntityTable, clock: ManualClock, commit_s: float) -> None:
        self._table = table
        self._clock = clock
        self._commit_s = commit_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def commit(self, tenant: Tenant, checked: Sequence[Gate], writes: Sequence[ItemWrite]) -> None:
        self._clock.advance(self._commit_s)
        self._table.commit(tenant, checked, writes)


def staged(cars: int = len(CARS)) -> tuple[Ports, Restore]:
    """A restore of all rooms, so far that it is to catch up with what is written to cars."""
    ports = replace(memory_ports(), layout=Layout(shards=2, gates=2))
    put(ports, dict.fromkeys(ROOMS + CARS[:cars], 1))
    snapshot = create_snapshot(ports, TENANT)
    put(ports, dict.fromkeys(ROOMS, 2))
    wish = Wish(selection=restore_filter.accept({"type": "Room"}))
    restore = restore_snapshot(ports, TENANT, snapshot.id, wish)
    planned = restore_phases.plan(ports, TENANT, restore.id, attempt=1)
    for part in restore_phases.read_work_list(ports.payloads.get(planned.work_key)):
        restore_phases.stage(ports, TENANT, restore.id, token=planned.token, part=part, budget_s=60)
    return ports, ports.catalog.restore(TENANT, restore.id)


def one_round(ports: Ports, busy: Busy, restore: Restore) -> bool:
    """One round of catching up, in an invocation that has no time for two."""
    busy.begin_round()
    return restore_phases.catch_up(busy.slowed(ports), TENANT, restore.id, token=restore.token, budget_s=0)


def follow(ports: Ports, busy: Busy, restore: Restore) -> None:
    """Rounds until they are over. Raises RestoreOutpaced."""
    while not one_round(ports, busy, restore):
        assert busy.rounds < 50


def rooms_of(ports: Ports) -> dict[str, str]:
    return {one.id: text for one, text in live(ports).items() if one.type == "Room"}


def test_restore_is_given_up_when_rounds_find_no_less_and_take_too_long_for_the_cutover() -> None:
    ports, restore = staged()
    busy = Busy(ports, lambda _round: MANY, commit_s=0.5)
    before = rooms_of(ports)
    with pytest.raises(RestoreOutpaced, match=r"found 240 entities .* took 3\.0 s.* restore the whole"):
        follow(ports, busy, restore)
    # The first is compared with nothing.
    assert busy.rounds == 5
    failure = Failure("RestoreOutpaced", "writers were too fast")
    rolled = restore_phases.rollback(ports, TENANT, restore.id, attempt=1, failure=failure, budget_s=60)
    assert (rolled.status, rolled.error) == (RestoreStatus.FAILED, "RestoreOutpaced")
    state = ports.table.load(TENANT).state
    assert state is not None
    assert state.lease is None
    assert rooms_of(ports) == before


def test_rest_is_left_to_the_cutover_when_rounds_find_no_less_but_are_short() -> None:
    ports, restore = staged()
    busy = Busy(ports, lambda _round: MANY, commit_s=0.01)
    follow(ports, busy, restore)
    assert busy.rounds == 5
    busy.begin_round()
    assert run_restore(ports, restore.id) is None
    values = live(ports)
    assert rooms_of(ports) == {one.id: values[one] for one in ROOMS}
    assert all('"value":1' in values[one] for one in ROOMS)
    assert '"value":106' in values[CARS[0]]


def test_rounds_go_on_while_they_find_clearly_less_within_four_of_them() -> None:
    ports, restore = staged()
    # Each finds nine tenths of the one before: the seventeenth finds few.
    busy = Busy(ports, lambda number: int(1200 * 0.9**number), commit_s=0.5)
    follow(ports, busy, restore)
    assert busy.rounds == 17


def test_bound_on_rounds_that_get_nowhere_holds_across_attempts() -> None:
    ports, restore = staged()
    busy = Busy(ports, lambda _round: MANY, commit_s=0.5)
    for _ in range(4):
        assert not one_round(ports, busy, restore)
    planned = restore_phases.plan(ports, TENANT, restore.id, attempt=2)
    with pytest.raises(LeaseLost):
        one_round(ports, busy, restore)
    again = ports.catalog.restore(TENANT, restore.id)
    assert again.token == planned.token
    busy.rounds = 0
    with pytest.raises(RestoreOutpaced):
        follow(ports, busy, again)
    assert busy.rounds == 2


def test_later_attempt_is_not_held_up_by_what_was_written_before_it() -> None:
    ports, restore = staged()
    found = [MANY, MANY, MANY, MANY, 1200, 700, 400, 250, 150]
    busy = Busy(ports, lambda number: found[number - 1], commit_s=0.5)
    for _ in range(4):
        assert not one_round(ports, busy, restore)
    restore_phases.plan(ports, TENANT, restore.id, attempt=2)
    again = ports.catalog.restore(TENANT, restore.id)
    follow(ports, busy, again)
    assert busy.rounds == len(found)


def _outpaced_with_a_crash(counter: Counter) -> int:
    """How many rounds it takes, where the process dies in one of them and another attempt goes on."""
    ports, restore = staged(cars=8)
    busy = Busy(ports, lambda _round: 8, commit_s=0.5)
    before = rooms_of(ports)
    with pytest.raises((Death, RestoreOutpaced)) as ended:
        follow(numbered(ports, counter), busy, restore)
    if ended.errisinstance(Death):
        restore_phases.plan(ports, TENANT, restore.id, attempt=2)
        with pytest.raises(RestoreOutpaced):
            follow(ports, busy, ports.catalog.restore(TENANT, restore.id))
    attempt = ports.catalog.restore(TENANT, restore.id).attempt
    failure = Failure("RestoreOutpaced", "writers were too fast")
    restore_phases.rollback(ports, TENANT, restore.id, attempt=attempt, failure=failure, budget_s=60)
    ended_as = ports.catalog.restore(TENANT, restore.id)
    state = ports.table.load(TENANT).state
    assert state is not None
    assert (ended_as.status, ended_as.failure, state.lease, state.capturing) == (
        RestoreStatus.FAILED,
        failure,
        None,
        None,
    )
    assert rooms_of(ports) == before
    return busy.rounds


def test_bound_holds_whatever_call_of_catching_up_a_process_dies_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("tidemark.usecases.restore_phases.catch_up"), "FEW", 2)
    whole = Counter()
    assert _outpaced_with_a_crash(whole) == 5
    for fatal in range(1, whole.calls + 1):
        for after in (False, True):
            # The round that died, and the first of the second attempt, prove nothing.
            assert _outpaced_with_a_crash(Counter(fatal, after=after)) <= 5 + 2, (fatal, after)


def test_pace_is_steady_after_four_rounds_that_do_not_find_a_quarter_less() -> None:
    pace = Pace(1, 1000)
    for found in (1000, 2000, 751):
        pace = pace.after(1, found)
        assert not pace.steady
    assert pace.after(1, 751).steady
    assert not pace.after(1, 750).steady
    assert pace.after(1, 750) == Pace(1, 750)

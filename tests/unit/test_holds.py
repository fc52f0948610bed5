"""A legal hold keeps a snapshot and, where the bucket has Object Lock, each of its objects, whatever comes between."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from tests.driving import TENANT, content, key, put
from tests.fakes import ManualClock, MemoryPayloads, memory_ports
from tests.unit.engine.disturbed import Counter, Death, numbered
from tidemark.domain.hold import Hold, HoldStatus
from tidemark.domain.live import Layout
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.engine import manifests
from tidemark.errors import (
    BudgetSpent,
    HoldInProgress,
    ManifestCorrupt,
    PackCorrupt,
    SnapshotHeld,
    SnapshotNotCompleted,
    SnapshotNotFound,
    Throttled,
)
from tidemark.ports import Ports
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.hold_snapshot import hold_snapshot, lift_hold

HOUR = timedelta(hours=1)
KEYS = [key(number) for number in range(24)]
type Act = Callable[[Ports, Snapshot], None]


@pytest.fixture
def ports() -> Ports:
    return world()


def world() -> Ports:
    made = replace(memory_ports(), layout=Layout(shards=2, gates=2))
    put(made, dict.fromkeys(KEYS, 1))
    return made


def chain(ports: Ports) -> list[Snapshot]:
    """Three snapshots that share packs: each builds on the one before."""
    made = []
    for value in range(3):
        put(ports, {KEYS[value]: 10 + value})
        made.append(create_snapshot(ports, TENANT, lifetime=HOUR))
    shared = [set(objects_of(ports, one)) for one in made]
    assert shared[0] & shared[1] & shared[2]
    return made


def hold(ports: Ports, snapshot: Snapshot) -> None:
    hold_snapshot(ports, TENANT, snapshot.id, object_lock=True)


def lift(ports: Ports, snapshot: Snapshot) -> None:
    lift_hold(ports, TENANT, snapshot.id, object_lock=True)


def now_is(ports: Ports, snapshot: Snapshot) -> Snapshot:
    return ports.catalog.snapshot(TENANT, snapshot.id)


def status_of(ports: Ports, snapshot: Snapshot) -> HoldStatus | None:
    found = now_is(ports, snapshot).hold
    return None if found is None else found.status


def objects_of(ports: Ports, snapshot: Snapshot) -> set[str]:
    assert snapshot.manifest is not None
    return {snapshot.manifest.key, *(pack.key for pack in manifests.read(ports.payloads, snapshot.manifest).packs)}


def held(ports: Ports) -> set[str]:
    assert isinstance(ports.payloads, MemoryPayloads)
    return ports.payloads.held


def pass_time(ports: Ports, time: timedelta) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(time.total_seconds())


def check(ports: Ports) -> None:
    """What holds at every moment: a record that says it is held is right, and no object is held without a record."""
    records = list(ports.catalog.snapshots(TENANT))
    promised = [objects_of(ports, one) for one in records if one.hold is not None and one.hold.placed]
    known = [objects_of(ports, one) for one in records if one.hold is not None]
    assert set().union(*promised) <= held(ports) <= set().union(*known)


def test_hold_is_put_on_the_manifest_and_every_pack_and_lifted_from_them(ports: Ports) -> None:
    first, *_ = chain(ports)
    hold(ports, first)
    assert now_is(ports, first).hold == Hold(HoldStatus.PLACED, locked=True)
    assert held(ports) == objects_of(ports, first)
    lift(ports, first)
    assert now_is(ports, first).hold is None
    assert held(ports) == set()


def test_hold_is_of_the_record_alone_when_the_bucket_has_no_object_lock(ports: Ports) -> None:
    first, *_ = chain(ports)
    hold_snapshot(ports, TENANT, first.id, object_lock=False)
    assert (now_is(ports, first).hold, held(ports)) == (Hold(HoldStatus.PLACED, locked=False), set())
    with pytest.raises(SnapshotHeld):
        delete_snapshot(ports, TENANT, first.id)
    lift_hold(ports, TENANT, first.id, object_lock=False)
    assert now_is(ports, first).hold is None


def test_hold_from_before_the_bucket_had_object_lock_comes_to_its_objects_when_it_is_placed_again(ports: Ports) -> None:
    first, *_ = chain(ports)
    hold_snapshot(ports, TENANT, first.id, object_lock=False)
    hold(ports, first)
    assert held(ports) == objects_of(ports, first)
    check(ports)


def test_lifting_leaves_what_another_hold_needs(ports: Ports) -> None:
    first, second, _ = chain(ports)
    hold(ports, first)
    hold(ports, second)
    lift(ports, first)
    assert held(ports) == objects_of(ports, second)
    lift(ports, second)
    assert held(ports) == set()


@pytest.mark.parametrize("act", [hold, lift])
def test_placing_and_lifting_change_nothing_when_they_are_repeated(ports: Ports, act: Act) -> None:
    first, *_ = chain(ports)
    hold(ports, first)
    act(ports, first)
    before = (now_is(ports, first), held(ports))
    act(ports, first)
    assert (now_is(ports, first), held(ports)) == before


def test_held_snapshot_is_neither_deleted_nor_does_it_expire(ports: Ports) -> None:
    first, *_ = chain(ports)
    wanted = content(ports, first.id)
    hold(ports, first)
    with pytest.raises(SnapshotHeld, match=r'is under a legal hold; lift it first: PATCH it with {"legalHold": false}'):
        delete_snapshot(ports, TENANT, first.id)
    pass_time(ports, 2 * HOUR)
    collect_garbage(ports, TENANT)
    assert now_is(ports, first).status is SnapshotStatus.COMPLETED
    assert content(ports, first.id) == wanted
    lift(ports, first)
    collect_garbage(ports, TENANT)
    assert now_is(ports, first).status is SnapshotStatus.DELETED


@pytest.mark.parametrize("status", HoldStatus)
def test_hold_that_is_not_done_keeps_the_snapshot_too(ports: Ports, status: HoldStatus) -> None:
    first, *_ = chain(ports)
    ports.catalog.replace_snapshot(replace(now_is(ports, first), hold=Hold(status, locked=True)))
    with pytest.raises(SnapshotHeld):
        delete_snapshot(ports, TENANT, first.id)
    pass_time(ports, 2 * HOUR)
    collect_garbage(ports, TENANT)
    assert now_is(ports, first).status is SnapshotStatus.COMPLETED


def test_only_a_completed_snapshot_can_be_held(ports: Ports) -> None:
    first, *_ = chain(ports)
    failed = ports.catalog.replace_snapshot(replace(now_is(ports, first), status=SnapshotStatus.FAILED))
    with pytest.raises(SnapshotNotCompleted, match="is failed: only a completed one can be held"):
        hold(ports, first)
    delete_snapshot(ports, TENANT, failed.id)
    for act in (hold, lift):
        with pytest.raises(SnapshotNotFound, match="can be undeleted until"):
            act(ports, first)


def test_request_waits_while_another_may_be_at_work_on_the_same_hold(ports: Ports) -> None:
    first, *_ = chain(ports)
    with pytest.raises(Death):
        hold(numbered(ports, Counter(6)), first)
    assert status_of(ports, first) is HoldStatus.PLACING
    for act in (hold, lift):
        with pytest.raises(HoldInProgress, match="send yours again in a minute"):
            act(ports, first)
    pass_time(ports, timedelta(minutes=1))
    hold(ports, first)
    assert status_of(ports, first) is HoldStatus.PLACED


def test_request_that_failed_lets_the_next_one_go_on_at_once(ports: Ports) -> None:
    first, *_ = chain(ports)
    with pytest.raises(Throttled):
        hold(numbered(ports, Counter(6, error=lambda: Throttled("too fast"))), first)
    check(ports)
    hold(ports, first)
    assert held(ports) == objects_of(ports, first)


def test_no_hold_is_placed_while_another_one_is_lifted(ports: Ports) -> None:
    first, second, _ = chain(ports)
    hold(ports, first)
    ports.catalog.replace_snapshot(replace(now_is(ports, first), hold=Hold(HoldStatus.LIFTING, locked=True)))
    with pytest.raises(HoldInProgress, match=f"{first.id} is being lifted"):
        hold(ports, second)
    check(ports)
    lift(ports, first)
    check(ports)
    hold(ports, second)
    assert held(ports) == objects_of(ports, second)


def test_hold_goes_on_where_its_time_was_over(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemark.usecases.hold_snapshot._AT_ONCE", 1)
    _, _, third = chain(ports)
    objects = sorted(objects_of(ports, third))
    for done in range(1, len(objects)):
        with pytest.raises(BudgetSpent, match=f"{done} of the snapshot's {len(objects)} objects are done"):
            hold_snapshot(ports, TENANT, third.id, object_lock=True, budget_s=0)
        assert held(ports) == set(objects[:done])
    hold_snapshot(ports, TENANT, third.id, object_lock=True, budget_s=0)
    assert status_of(ports, third) is HoldStatus.PLACED
    with pytest.raises(BudgetSpent):
        lift_hold(ports, TENANT, third.id, object_lock=True, budget_s=0)
    assert held(ports) == set(objects[1:])
    hold(ports, third)
    assert held(ports) == set(objects)


def test_nothing_is_promised_of_a_snapshot_that_lacks_a_pack(ports: Ports) -> None:
    first, *_ = chain(ports)
    missing = max(objects_of(ports, first))
    assert isinstance(ports.payloads, MemoryPayloads)
    del ports.payloads.objects[missing]
    with pytest.raises(PackCorrupt, match=f"object {missing} is missing, so it can't be held"):
        hold(ports, first)
    assert status_of(ports, first) is HoldStatus.PLACING
    lift(ports, first)
    assert (now_is(ports, first).hold, held(ports)) == (None, set())


def test_nothing_is_lifted_when_it_cannot_be_told_what_another_hold_needs(ports: Ports) -> None:
    first, second, _ = chain(ports)
    hold(ports, first)
    hold(ports, second)
    before = held(ports)
    assert isinstance(ports.payloads, MemoryPayloads)
    assert second.manifest is not None
    kept = ports.payloads.objects.pop(second.manifest.key)
    with pytest.raises(ManifestCorrupt, match=str(second.id)):
        lift(ports, first)
    assert held(ports) == before
    ports.payloads.objects[second.manifest.key] = kept
    lift(ports, first)
    check(ports)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("act", [hold, lift])
def test_record_and_objects_agree_wherever_a_request_dies(act: Act, after: bool) -> None:
    for number in range(1, 100):
        ports = world()
        first, second, _ = chain(ports)
        hold(ports, second)
        if act is lift:
            hold(ports, first)
        counter = Counter(number, after=after)
        try:
            act(numbered(ports, counter), first)
        except Death:
            check(ports)
        else:
            assert number > 5
            break
        pass_time(ports, timedelta(minutes=1))
        for again in (act, lift):
            again(ports, first)
            check(ports)
        lift(ports, second)
        assert held(ports) == set()


class Beside(Counter):
    """Lets something happen before the call that has this number."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        super().__init__()
        self._number = number
        self._act = act

    def before(self) -> None:
        self.calls += 1
        if self.calls == self._number:
            self._act()


def tried(act: Act, through: Ports, ports: Ports, snapshot: Snapshot) -> None:
    """The request, which may be refused or die."""
    with suppress(HoldInProgress, Death):
        act(through, snapshot)
    check(ports)


@pytest.mark.parametrize("held_first", [(), (0,), (1,), (0, 1)], ids=str)
@pytest.mark.parametrize("beside", [hold, lift])
@pytest.mark.parametrize("act", [hold, lift])
def test_record_and_objects_agree_whatever_request_for_another_snapshot_comes_between(
    act: Act, beside: Act, held_first: tuple[int, ...]
) -> None:
    """The other request runs before each call of this one: whole, or until it dies at each of its own calls."""
    for number in range(1, 100):
        for dies_at in (None, *range(2, 12)):
            ports = world()
            made = chain(ports)
            for index in held_first:
                hold(ports, made[index])
            seen = numbered(ports, Counter(dies_at))
            between = Beside(number, partial(tried, beside, seen, ports, made[1]))
            tried(act, numbered(ports, between), ports, made[0])
            pass_time(ports, timedelta(minutes=1))
            for one in made:
                lift(ports, one)
                check(ports)
            assert held(ports) == set()
        if between.calls < number:
            break
    else:
        pytest.fail("it never ends")

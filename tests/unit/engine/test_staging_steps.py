"""Staging step by step: a part for which one invocation has not the time is handed over, and each step counts once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.driving import TENANT, content, delete, key, live, put, run_restore, work
from tests.fakes import memory_ports
from tests.unit.engine.disturbed import Counter, Death, drive_on, numbered, settle
from tests.unit.engine.test_late_runs import Meanwhile
from tidemark.dialects.ngsi import restore_filter
from tidemark.domain.keys import EntityKey, behind, shard_of
from tidemark.domain.live import Item, Layout
from tidemark.domain.restore import Mode, Part, Restore, RestoreStatus, StagedPart
from tidemark.domain.tenant import Tenant
from tidemark.engine import packs, staging
from tidemark.errors import AwsFailure, RestoreCancelled, StageIncomplete, StaleRecord
from tidemark.ports import Catalog, EntityTable, Ports
from tidemark.usecases import restore_phases
from tidemark.usecases.cancel_restore import cancel_restore
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.read_restores import get_restore
from tidemark.usecases.restore_phases import Planned, Staged
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot

OTHER = Tenant("test")
ROOMS: Mapping[str, str] = {"type": "Room"}
# Of the snapshot; what came later lies before the first, between them and behind the last.
HELD = [key(number) for number in range(50, 60)]
LATER = [key(number, kind) for kind in ("Car", "Room", "Van") for number in (*range(2), *range(53, 56), *range(90, 93))]
STEP = 3


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "STEP_RECORDS", STEP)


def world(shards: int = 2) -> Ports:
    """A snapshot of a few entities, and live data of many more."""
    ports = replace(memory_ports(), layout=Layout(shards=shards, gates=2))
    put(ports, dict.fromkeys(HELD, 1))
    create_snapshot(ports, TENANT)
    put(ports, dict.fromkeys(LATER, 2))
    delete(ports, HELD[1], HELD[9])
    return ports


def begun(ports: Ports, wanted: Mapping[str, str], mode: Mode = Mode.REPLACE, target: Tenant = TENANT) -> Restore:
    """A restore of the first snapshot."""
    oldest = list(ports.catalog.snapshots(TENANT))[-1]
    selection = restore_filter.accept(wanted) if wanted else None
    return restore_snapshot(ports, TENANT, oldest.id, Wish(target=target, mode=mode, selection=selection))


def planned(ports: Ports, restore: Restore, attempt: int = 1) -> tuple[Planned, list[Part]]:
    found = restore_phases.plan(ports, TENANT, restore.id, attempt=attempt)
    return found, work(ports, found.work_key)


def stage(ports: Ports, restore: Restore, token: int, part: Part, *, budget_s: float = 0) -> Staged:
    return restore_phases.stage(ports, TENANT, restore.id, token=token, part=part, budget_s=budget_s)


def stage_all(ports: Ports, restore: Restore, token: int, parts: list[Part]) -> None:
    for part in parts:
        assert stage(ports, restore, token, part, budget_s=60).done


def verify(ports: Ports, restore: Restore, plan: Planned) -> int:
    """The entities of the new generation, if each shard holds what was staged."""
    return sum(restore_phases.verify(ports, TENANT, restore.id, token=plan.token, shard=shard) for shard in plan.shards)


def selected(now: Mapping[EntityKey, str], was: Mapping[EntityKey, str], *, merge: bool) -> dict[EntityKey, str]:
    """The rule for a filter of rooms: they become as they were, or none of them is deleted."""
    kept = {one: text for one, text in now.items() if merge or one.type != "Room"}
    return {**kept, **was}


class Inserted:
    """A table, and the keys that were inserted into it, request by request."""

    def __init__(self, table: EntityTable) -> None:
        self._table = table
        self.keys: list[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def insert(self, tenant: Tenant, items: Sequence[Item]) -> None:
        self.keys.append([one.key.sort_key for one in items])
        self._table.insert(tenant, items)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("shards", [1, 2, 16])
def test_partial_restore_of_shards_much_larger_than_the_snapshots_takes_many_short_invocations(
    shards: int, mode: Mode
) -> None:
    ports = world(shards)
    now, was = live(ports), content(ports, next(ports.catalog.snapshots(TENANT)).id)
    table = Inserted(ports.table)
    inserted = table.keys
    ports = replace(ports, table=cast("Any", table))
    restore = begun(ports, ROOMS, mode)
    plan, parts = planned(ports, restore)
    assert [part.shard for part in parts] == list(range(shards))
    calls = 0
    for part in parts:
        done = False
        while not done:
            before = len(inserted)
            done = stage(ports, restore, plan.token, part).done
            calls += 1
            assert len(inserted) <= before + 1
    assert calls >= max(shards, len(now) // STEP)
    assert max(len(some) for some in inserted) <= STEP
    expected = selected(now, was, merge=mode is Mode.MERGE)
    assert verify(ports, restore, plan) == len(expected)
    assert get_restore(ports, TENANT, restore.id).done == len(was)
    assert run_restore(ports, restore.id) is None
    assert live(ports) == expected
    changes = ports.catalog.restore(TENANT, restore.id).changes
    assert changes is not None
    assert (changes.created, changes.deleted) == (2, 0 if mode is Mode.MERGE else len(now.keys() - expected.keys()))
    assert sum(changes) == len(now) + 2


@pytest.mark.parametrize("wanted", [{}, ROOMS])
@pytest.mark.parametrize("shards", [1, 4, 32])
def test_restore_into_a_tenant_of_other_shards_is_handed_over_too(shards: int, wanted: Mapping[str, str]) -> None:
    ports = world(4)
    was = content(ports, next(ports.catalog.snapshots(TENANT)).id)
    there = replace(ports, layout=Layout(shards=shards, gates=2))
    put(there, dict.fromkeys(LATER, 7), tenant=OTHER)
    now = live(there, OTHER)
    restore = begun(there, wanted, target=OTHER)
    assert run_restore(there, restore.id, tenant=OTHER, budget_s=0) is None
    assert live(there, OTHER) == (selected(now, was, merge=False) if wanted else was)


def test_step_ends_before_it_has_more_bytes_than_its_share_and_has_one_entity_at_least(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(staging, "STEP_RAW_BYTES", 10)
    sizes = {"a": 4, "b": 6, "c": 1, "d": 30, "e": 30, "f": 1, "g": 1, "h": 1, "i": 1}
    found = list(staging.steps((name, size, name.upper()) for name, size in sizes.items()))
    assert found == [(["A", "B"], "b"), (["C"], "c"), (["D"], "d"), (["E"], "e"), (["F", "G", "H"], "h"), (["I"], None)]
    assert list(staging.steps(())) == [([], None)]
    assert list(staging.steps((one, 1, one) for one in "xyz")) == [(["x", "y", "z"], None)]


def test_nothing_lies_between_a_key_and_where_to_go_on_behind_it() -> None:
    one = key(1).sort_key
    others = [key(0), key(2), key(1, path="/a"), key(1, "Rooms"), EntityKey("Room", key(1).id + "!", "/")]
    assert one < behind(one)
    assert [other for other in others if one < other.sort_key < behind(one)] == []


@pytest.mark.parametrize("wanted", [{}, ROOMS])
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("after", [False, True], ids=["before its note", "after its note"])
def test_part_counts_once_when_two_workers_stage_it_side_by_side_in_steps_that_end_elsewhere(
    wanted: Mapping[str, str], at: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = world(1)
    put(ports, {HELD[1]: 1, HELD[9]: 1})
    total = len(HELD) if not wanted else len(selected(live(ports), dict.fromkeys(HELD, ""), merge=False))
    restore = begun(ports, wanted)
    plan, [part] = planned(ports, restore)
    for _ in range(at):
        assert not stage(ports, restore, plan.token, part).done

    def other_worker() -> None:
        # What is written meanwhile changes nothing of how things were at the cut.
        put(ports, {LATER[0]: 5, key(1, "Bus"): 5, key(51): 5})
        delete(ports, LATER[1], LATER[2], HELD[3])
        monkeypatch.setattr(staging, "STEP_RECORDS", STEP + 1)
        stage(ports, restore, plan.token, part)
        monkeypatch.setattr(staging, "STEP_RECORDS", STEP)

    beside = replace(ports, catalog=cast("Catalog", Meanwhile(ports.catalog, "record_part", other_worker, after=after)))
    assert stage(beside, restore, plan.token, part, budget_s=60).done
    assert verify(ports, restore, plan) == total
    assert sum(one.records for one in ports.catalog.parts(TENANT, restore.id)) == len(HELD)


@pytest.mark.parametrize("wanted", [{}, ROOMS])
def test_note_whose_answer_was_lost_counts_once(wanted: Mapping[str, str]) -> None:
    ports = world(1)
    restore = begun(ports, wanted)
    plan, [part] = planned(ports, restore)

    def sent_again(noted: StagedPart, **said: Any) -> None:
        # As the client does when it hears nothing: the second time, its own note is what is in the way.
        for _ in range(2):
            ports.catalog.record_part(TENANT, restore.id, noted, **said)

    class Unheard:
        def __getattr__(self, name: str) -> Any:
            if name == "record_part":
                return lambda _tenant, _restore_id, noted, **said: sent_again(noted, **said)
            return getattr(ports.catalog, name)

    assert stage(replace(ports, catalog=cast("Catalog", Unheard())), restore, plan.token, part, budget_s=60).done
    assert verify(ports, restore, plan) > 0
    assert sum(one.records for one in ports.catalog.parts(TENANT, restore.id)) == len(HELD)


def test_stage_gives_up_when_a_note_is_refused_though_nobody_has_noted_anything() -> None:
    ports = world(1)
    restore = begun(ports, {})
    plan, [part] = planned(ports, restore)

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            def refuse(*_said: object, **_named: object) -> None:
                raise StaleRecord("part 0 was staged further")

            return refuse if name == "record_part" else getattr(ports.catalog, name)

    with pytest.raises(StaleRecord):
        stage(replace(ports, catalog=cast("Catalog", Refusing())), restore, plan.token, part)


@pytest.mark.parametrize("wanted", [{}, ROOMS])
def test_part_that_is_not_staged_to_its_end_does_not_pass_verify(wanted: Mapping[str, str]) -> None:
    ports = world(1)
    restore = begun(ports, wanted)
    plan, [part] = planned(ports, restore)
    assert stage(ports, restore, plan.token, part) == Staged(3 if not wanted else 0, done=False)
    with pytest.raises(StageIncomplete, match="1 parts"):
        verify(ports, restore, plan)


@pytest.mark.parametrize("wanted", [{}, ROOMS])
def test_part_that_is_staged_is_not_gone_through_again(wanted: Mapping[str, str]) -> None:
    ports = world()
    restore = begun(ports, wanted)
    plan, parts = planned(ports, restore)
    stage_all(ports, restore, plan.token, parts)
    noted = ports.catalog.parts(TENANT, restore.id)
    again, parts = planned(ports, restore, attempt=2)
    unread = replace(ports, payloads=cast("Any", None))
    for part in parts:
        assert stage(unread, restore, again.token, part) == Staged(0, done=True)
    assert ports.catalog.parts(TENANT, restore.id) == noted
    assert verify(ports, restore, again) > 0


@pytest.mark.parametrize("wanted", [{}, ROOMS])
def test_later_attempt_goes_on_where_the_earlier_one_had_come(wanted: Mapping[str, str]) -> None:
    ports = world(1)
    restore = begun(ports, wanted)
    plan, [part] = planned(ports, restore)
    stage(ports, restore, plan.token, part)
    reached = ports.catalog.parts(TENANT, restore.id)[0].reached
    assert reached is not None
    again, [part] = planned(ports, restore, attempt=2)
    table = Inserted(ports.table)
    assert stage(replace(ports, table=cast("Any", table)), restore, again.token, part, budget_s=60).done
    assert min(table.keys[0]) > reached
    assert verify(ports, restore, again) > 0


@pytest.mark.parametrize("wanted", [{}, ROOMS])
def test_restore_is_cancelled_between_two_steps(wanted: Mapping[str, str]) -> None:
    ports = world(1)
    before = live(ports)
    restore = begun(ports, wanted)
    plan, [part] = planned(ports, restore)
    cancelling = replace(
        ports, table=cast("Any", Meanwhile(ports.table, "insert", lambda: cancel_restore(ports, TENANT, restore.id)))
    )
    with pytest.raises(RestoreCancelled):
        stage(cancelling, restore, plan.token, part, budget_s=60)
    assert len(ports.table.page(TENANT, restore.generation, 0).items) == STEP
    assert run_restore(ports, restore.id) is not None
    assert live(ports) == before
    assert not ports.table.page(TENANT, restore.generation, 0).items


@pytest.mark.parametrize("died", [False, True], ids=["planned", "died before it noted the number"])
def test_later_attempt_works_on_the_list_that_is_stored_though_it_would_cut_another(
    died: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "FRAME_RAW_BYTES", 300)
    ports = world()
    was = content(ports, next(ports.catalog.snapshots(TENANT)).id)
    restore = begun(ports, {})
    monkeypatch.setattr(staging, "PART_RECORDS", 2)

    def die() -> None:
        raise Death

    if died:
        dying = replace(ports, payloads=cast("Any", Meanwhile(ports.payloads, "put", die, after=True)))
        with pytest.raises(Death):
            planned(dying, restore)
        parts = work(ports, f"work-lists/{TENANT}/{restore.id}.json")
    else:
        first, parts = planned(ports, restore)
        stage_all(ports, restore, first.token, parts[:2])
    assert len(parts) > 4
    # A deployment in between, after which parts are larger.
    monkeypatch.setattr(staging, "PART_RECORDS", 1000)
    again, same = planned(ports, restore, attempt=2)
    assert (again.parts, same) == (len(parts), parts)
    assert run_restore(ports, restore.id, attempt=2) is None
    assert live(ports) == was
    assert ports.catalog.restore(TENANT, restore.id).parts == len(parts)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several a shard, but no more than it takes for each of their calls to be met."""
    monkeypatch.setattr(staging, "STEP_RECORDS", 7)


def calls_of(wanted: Mapping[str, str]) -> int:
    ports, counter = world(), Counter()
    run_restore(numbered(ports, counter), begun(ports, wanted).id, budget_s=0)
    return counter.calls


def expected_of(ports: Ports, wanted: Mapping[str, str]) -> dict[EntityKey, str]:
    was = content(ports, next(ports.catalog.snapshots(TENANT)).id)
    return selected(live(ports), was, merge=False) if wanted else was


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("wanted", [{}, ROOMS], ids=["full", "partial"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_restore_is_exact_when_an_invocation_dies_at_any_call_and_is_made_again(
    after: bool, wanted: Mapping[str, str]
) -> None:
    def again[T](phase: Callable[[], T]) -> T:
        try:
            return phase()
        except Death:
            return phase()

    for fatal in range(1, calls_of(wanted) + 1):
        ports = world()
        expected = expected_of(ports, wanted)
        restore = begun(ports, wanted)
        assert run_restore(numbered(ports, Counter(fatal, after=after)), restore.id, budget_s=0, invoke=again) is None
        assert live(ports) == expected, fatal
        assert get_restore(ports, TENANT, restore.id).done == restore.total, fatal
        assert ports.catalog.restore(TENANT, restore.id).status is RestoreStatus.COMPLETED


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("wanted", [{}, ROOMS], ids=["full", "partial"])
@pytest.mark.parametrize("after", [False, True], ids=["turned away", "answer lost"])
def test_restore_in_steps_is_exact_when_aws_fails_at_any_call(after: bool, wanted: Mapping[str, str]) -> None:
    for fatal in range(1, calls_of(wanted) + 1):
        ports = world()
        expected = expected_of(ports, wanted)
        restore = begun(ports, wanted)
        failing = numbered(ports, Counter(fatal, after=after, error=lambda: AwsFailure("AWS does not answer")))
        assert run_restore(failing, restore.id, budget_s=0, tries=2) is None
        assert live(ports) == expected, fatal


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("wanted", [{}, ROOMS], ids=["full", "partial"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_restore_in_steps_is_exact_when_its_execution_dies_at_any_call_and_a_later_one_goes_on(
    after: bool, wanted: Mapping[str, str]
) -> None:
    for fatal in range(1, calls_of(wanted) + 1):
        ports = world()
        wrecked, expected = live(ports), expected_of(ports, wanted)
        restore = begun(ports, wanted)
        with pytest.raises(Death):
            run_restore(numbered(ports, Counter(fatal, after=after)), restore.id, budget_s=0)
        assert live(ports) in (expected, wrecked), fatal
        ports.workflows.end(TENANT, restore.id, attempt=1)  # type: ignore[attr-defined]
        drive_on(ports)
        assert ports.catalog.restore(TENANT, restore.id).status is RestoreStatus.COMPLETED, fatal
        assert live(ports) == expected, fatal
        settle(ports)


def test_snapshot_has_no_layer_of_some_shards_that_are_live() -> None:
    ports = replace(memory_ports(), layout=Layout(shards=8, gates=2))
    put(ports, {key(1): 1})
    create_snapshot(ports, TENANT)
    put(ports, dict.fromkeys(LATER, 2))
    assert len({shard_of(one.id, 8) for one in LATER}) > 4
    expected = expected_of(ports, ROOMS)
    assert run_restore(ports, begun(ports, ROOMS).id, budget_s=0) is None
    assert live(ports) == expected

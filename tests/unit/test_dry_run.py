"""Dry runs: they say exactly what the restore then does, write nothing, and notice when that does not hold any more."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.driving import TENANT, damage, delete, doc, key, live, packs, put, run_capture, run_restore
from tests.fakes import memory_ports
from tidemark.dialects.ngsi import restore_filter
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Layout
from tidemark.domain.restore import Changes, Mode, RestoreStatus
from tidemark.domain.restore_plan import RestorePlan
from tidemark.domain.tenant import Tenant
from tidemark.errors import DryRunInProgress, NothingSelected, PlanNotFound, PlanNotReady, PlanOutdated
from tidemark.ports import Ports
from tidemark.usecases import dry_run as dry_runs
from tidemark.usecases import entities, read_inside
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.dry_run import check_plan, require_selected
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot
from tidemark.usecases.stored_plans import read_plan

KEYS = [key(number, type_) for type_ in ("Car", "Room") for number in range(3)]
OTHER = Tenant("test")


def world() -> Ports:
    return replace(memory_ports(), layout=Layout(shards=4, gates=2))


def dry_run(ports: Ports, tenant: Tenant, snapshot_id: str, wish: Wish, *, by_workers: bool = False) -> RestorePlan:
    """The plan, made in the request or by the state machine."""
    made = dry_runs.dry_run(ports, tenant, snapshot_id, wish, budget_s=-1 if by_workers else 5)
    if not by_workers:
        assert isinstance(made, RestorePlan)
        return made
    assert not isinstance(made, RestorePlan)
    run_capture(ports, made.id, made.id, tenant=made.tenant)
    return read_plan(ports, tenant, made.id)


def rewrite(ports: Ports, change: Mapping[EntityKey, int | None]) -> None:
    docs = {one: None if value is None else doc(one, value) for one, value in change.items()}
    if docs:
        entities.change(ports, TENANT, list(docs), lambda _old: docs)


def difference(before: Mapping[EntityKey, str], after: Mapping[EntityKey, str]) -> dict[str, set[EntityKey]]:
    """Which entities a restore created, updated, deleted and left, told from what was live before and after."""
    both = before.keys() & after.keys()
    return {
        "created": after.keys() - before.keys(),
        "updated": {one for one in both if before[one] != after[one]},
        "deleted": before.keys() - after.keys(),
        "unchanged": {one for one in both if before[one] == after[one]},
    }


@settings(max_examples=100, deadline=None)
@given(
    start=st.dictionaries(st.sampled_from(KEYS), st.integers(0, 3)),
    change=st.dictionaries(st.sampled_from(KEYS), st.one_of(st.none(), st.integers(0, 3))),
    mode=st.sampled_from(Mode),
    wanted=st.sampled_from([{}, {"type": "Room"}, {"idPattern": "[12]$"}, {"q": "value>1"}, {"attrs": ["value"]}]),
    target=st.sampled_from([None, OTHER]),
    captured=st.none() | st.dictionaries(st.sampled_from(KEYS), st.one_of(st.none(), st.integers(0, 3))),
    by_workers=st.booleans(),
)
def test_plan_says_what_the_restore_then_does(
    start: dict[EntityKey, int],
    change: dict[EntityKey, int | None],
    mode: Mode,
    wanted: Mapping[str, object],
    target: Tenant | None,
    captured: dict[EntityKey, int | None] | None,
    by_workers: bool,
) -> None:
    ports = world()
    put(ports, start)
    snapshot = create_snapshot(ports, TENANT)
    rewrite(ports, change)
    if captured is not None:
        create_snapshot(ports, TENANT)
        rewrite(ports, captured)
    wish = Wish(target=target, mode=mode, selection=restore_filter.accept(wanted) if wanted else None)
    before = live(ports, target or TENANT)
    try:
        plan = dry_run(ports, TENANT, snapshot.id, wish, by_workers=by_workers)
    except (NothingSelected, PlanNotReady):
        with pytest.raises(NothingSelected):
            require_selected(ports, TENANT, snapshot.id, wish)
        return
    require_selected(ports, TENANT, snapshot.id, wish)
    assert live(ports, target or TENANT) == before
    assert read_plan(ports, TENANT, plan.id) == plan
    check_plan(ports, plan)
    restore = restore_snapshot(ports, TENANT, snapshot.id, replace(wish, generation=plan.generation))
    assert run_restore(ports, restore.id, tenant=restore.tenant) is None
    assert ports.catalog.restore(restore.tenant, restore.id).status is RestoreStatus.COMPLETED
    done = difference(before, live(ports, restore.tenant))
    assert plan.changes == Changes(*(len(done[kind]) for kind in Changes._fields))
    assert (set(plan.created), set(plan.updated), set(plan.deleted)) == (
        done["created"],
        done["updated"],
        done["deleted"],
    )


@pytest.mark.parametrize("mode", Mode)
def test_dry_run_of_a_snapshot_that_live_data_builds_on_reads_what_differs(mode: Mode) -> None:
    ports = world()
    put(ports, dict.fromkeys(map(key, range(400)), 1))
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {key(1): 2, key(2): 2})
    delete(ports, key(3))
    create_snapshot(ports, TENANT)
    put(ports, {key(2): 1, key(4): 2, key(500): 2})
    # The base of both is not read.
    for name in packs(ports):
        if "-base-" in name:
            damage(ports, name, 20)
    table = Refusing(ports.table)
    plan = dry_run(replace(ports, table=table), TENANT, snapshot.id, Wish(mode=mode))
    gone = 1 if mode is Mode.REPLACE else 0
    assert plan.changes == Changes(created=1, updated=2, deleted=gone, unchanged=397 + 1 - gone)
    assert (plan.created, plan.updated, plan.deleted) == ((key(3),), (key(1), key(4)), (key(500),) * gone)


@pytest.mark.parametrize("wanted", [{}, {"type": "Room"}], ids=["told from layers", "read in full"])
def test_dry_run_is_of_one_moment_and_knows_that_something_was_written_meanwhile(wanted: dict[str, str]) -> None:
    ports = world()
    put(ports, dict.fromkeys(KEYS, 1))
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {KEYS[3]: 2})
    wish = Wish(selection=restore_filter.accept(wanted) if wanted else None)
    meddled = Meddled(ports.table, lambda: rewrite(ports, {KEYS[3]: 1, KEYS[4]: 2, KEYS[5]: None, key(9): 1}))
    plan = dry_run(replace(ports, table=meddled), TENANT, snapshot.id, wish)
    assert not meddled.waiting
    assert plan.changes == Changes(updated=1, unchanged=len(KEYS) - 1)
    with pytest.raises(PlanOutdated, match="entities were written"):
        check_plan(ports, plan)


class Meddled:
    """An entity table in which something is written before a shard is first looked through."""

    def __init__(self, table: object, write: Callable[[], None]) -> None:
        self._table = table
        self.waiting = [write]

    def __getattr__(self, name: str) -> Any:
        if name in {"page", "changed_keys"} and self.waiting:
            self.waiting.pop()()
        return getattr(self._table, name)


@pytest.mark.parametrize("damaged", ["delta", "manifest"])
def test_dry_run_does_without_what_live_data_builds_on_where_that_is_damaged(damaged: str) -> None:
    ports = world()
    put(ports, dict.fromkeys(map(key, range(40)), 1))
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {key(1): 2})
    base = create_snapshot(ports, TENANT)
    assert base.manifest is not None
    read_inside.forget()
    for name in packs(ports) if damaged == "delta" else [base.manifest.key]:
        if "-base-" not in name:
            damage(ports, name, 20)
    assert dry_run(ports, TENANT, snapshot.id, Wish()).changes == Changes(updated=1, unchanged=39)


class Refusing:
    """An entity table in which whole shards can't be read."""

    def __init__(self, table: object) -> None:
        self._table = table

    def __getattr__(self, name: str) -> Any:
        assert name != "page"
        return getattr(self._table, name)


def moved_by_a_write(ports: Ports) -> None:
    put(ports, {KEYS[0]: 9})


def moved_by_a_delete(ports: Ports) -> None:
    delete(ports, KEYS[0])


def moved_by_a_delete_that_a_snapshot_recorded(ports: Ports) -> None:
    delete(ports, KEYS[0])
    create_snapshot(ports, TENANT)


@pytest.mark.parametrize(
    "move",
    [moved_by_a_write, moved_by_a_delete, moved_by_a_delete_that_a_snapshot_recorded],
    ids=["write", "delete", "delete that a snapshot recorded"],
)
@pytest.mark.parametrize("base", [True, False], ids=["with a base", "without"])
def test_plan_does_not_hold_any_more_when_live_data_moved(move: Callable[[Ports], None], base: bool) -> None:
    ports = world()
    put(ports, dict.fromkeys(KEYS, 1))
    put(ports, dict.fromkeys(KEYS, 1), tenant=OTHER)
    snapshot = create_snapshot(ports, OTHER)
    if base:
        create_snapshot(ports, TENANT)
    plan = dry_run(ports, OTHER, snapshot.id, Wish(target=TENANT))
    check_plan(ports, plan)
    move(ports)
    with pytest.raises(PlanOutdated, match="ask for another dry run"):
        check_plan(ports, plan)


def test_plan_for_a_tenant_that_is_new_makes_nothing_and_holds_until_that_has_data() -> None:
    ports = world()
    put(ports, dict.fromkeys(KEYS, 1))
    snapshot = create_snapshot(ports, TENANT)
    plan = dry_run(ports, TENANT, snapshot.id, Wish(target=OTHER))
    assert plan.changes == Changes(created=len(KEYS))
    assert ports.table.load(OTHER).state is None
    check_plan(ports, plan)
    put(ports, {KEYS[0]: 1}, tenant=OTHER)
    with pytest.raises(PlanOutdated):
        check_plan(ports, plan)


def test_restore_by_a_plan_is_refused_and_leaves_nothing_when_another_restore_came_between() -> None:
    ports = world()
    put(ports, dict.fromkeys(KEYS, 1))
    snapshot = create_snapshot(ports, TENANT)
    plan = dry_run(ports, TENANT, snapshot.id, Wish())
    other = restore_snapshot(ports, TENANT, snapshot.id)
    assert run_restore(ports, other.id) is None
    with pytest.raises(PlanOutdated):
        restore_snapshot(ports, TENANT, snapshot.id, Wish(generation=plan.generation))
    assert not ports.catalog.snapshot(TENANT, snapshot.id).used_by
    assert create_snapshot(ports, TENANT).status == "completed"


def test_dry_run_whose_request_died_blocks_nobody_for_good() -> None:
    ports = world()
    put(ports, dict.fromkeys(KEYS, 1))
    snapshot = create_snapshot(ports, TENANT)
    table = ports.table

    class Dying:
        def __getattr__(self, name: str) -> object:
            if name == "changed_keys":
                raise KeyboardInterrupt
            return getattr(table, name)

    dying: Ports = replace(ports, table=Dying())  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidemark.engine.live.gates.finish_capture", _dies)
        with pytest.raises(KeyboardInterrupt):
            dry_run(dying, TENANT, snapshot.id, Wish())
    with pytest.raises(DryRunInProgress, match="try again"):
        create_snapshot(ports, TENANT)
    started = ports.workflows.started[-1]  # type: ignore[attr-defined]
    run_capture(ports, started.subject, started.capture_id, attempt=started.attempt)
    assert create_snapshot(ports, TENANT).entity_count == len(KEYS)


def _dies(*_args: object) -> None:
    raise KeyboardInterrupt


def test_plan_is_not_found_when_its_id_is_nobodys() -> None:
    for wrong in ("plan_1", "plan_" + "0" * 32, "../../x", ""):
        with pytest.raises(PlanNotFound):
            read_plan(world(), TENANT, wrong)


def test_filter_that_selects_nothing_is_refused() -> None:
    ports = world()
    put(ports, {KEYS[0]: 1})
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {key(7, "Bus"): 1})
    for wanted in ({"type": "Bus"}, {"type": "Car"}, {"q": "value==1"}):
        require_selected(ports, TENANT, snapshot.id, Wish(selection=restore_filter.accept(wanted)))
    with pytest.raises(NothingSelected, match="nothing was restored"):
        require_selected(ports, TENANT, snapshot.id, Wish(selection=restore_filter.accept({"type": "Room"})))

"""An entity that was removed and made anew is another one for whoever read the old one: no rev comes again."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest

from tests.driving import TENANT, content, delete, doc, key, live, put
from tests.fakes import memory_ports
from tests.unit.engine.disturbed import Death
from tests.unit.engine.test_late_runs import Meanwhile
from tidemark.domain.live import Generation, Layout
from tidemark.engine.live.writes import Documents
from tidemark.ports import Ports
from tidemark.usecases import capture_phases, entities
from tidemark.usecases.create_snapshot import create_snapshot

ONE = key(1)


def world() -> Ports:
    return replace(memory_ports(), layout=Layout(shards=1, gates=1))


def change(ports: Ports, decide: Callable[[str | None], str | None], happens: Callable[[], object]) -> None:
    """A write whose transaction is sent only when something else has happened since it read."""

    def decided(old: Documents) -> Documents:
        return {ONE: decide(old[ONE])}

    slow = replace(ports, table=Meanwhile(ports.table, "commit", happens))
    entities.change(slow, TENANT, [ONE], decided)


def test_write_that_read_an_entity_before_it_was_deleted_and_made_anew_changes_the_new_one() -> None:
    ports = world()
    put(ports, {ONE: 1})

    def deleted_and_made_anew() -> None:
        delete(ports, ONE)
        put(ports, {ONE: 5})

    change(ports, lambda old: (old or "").replace('value":1', 'value":2'), deleted_and_made_anew)
    assert live(ports) == {ONE: doc(ONE, 5)}


def test_delete_that_read_an_entity_before_it_was_made_anew_is_decided_anew() -> None:
    ports = world()
    put(ports, {ONE: 1})

    def deleted_and_made_anew() -> None:
        delete(ports, ONE)
        put(ports, {ONE: 5})

    change(ports, lambda old: None if old == doc(ONE, 1) else old, deleted_and_made_anew)
    assert live(ports) == {ONE: doc(ONE, 5)}


def sealing(ports: Ports) -> Callable[[Ports], object]:
    """Seal of a snapshot that has recorded a delete."""
    put(ports, {ONE: 1})
    create_snapshot(ports, TENANT)
    delete(ports, ONE)
    snapshot = create_snapshot(ports, TENANT, budget_s=-1)
    begun = capture_phases.begin(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1)
    for shard in begun.shards:
        capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=shard)
    return lambda own: capture_phases.seal(own, TENANT, snapshot.id, token=begun.token)


def die(*_told: object) -> None:
    raise Death


def test_entity_is_not_made_over_one_that_took_the_place_of_a_tombstone() -> None:
    ports = world()
    seal = sealing(ports)

    def swept_and_made_anew() -> None:
        dying = replace(ports, table=Meanwhile(ports.table, "replace_state", die))
        with suppress(Death):
            seal(dying)
        put(ports, {ONE: 5})
        put(ports, {ONE: 6})

    change(ports, lambda old: doc(ONE, 9) if old is None else old, swept_and_made_anew)
    assert live(ports) == {ONE: doc(ONE, 6)}


def test_late_sweep_leaves_the_tombstone_of_the_next_entity_of_that_name_alone() -> None:
    ports = world()
    seal = sealing(ports)

    def other_seals_and_life_goes_on() -> None:
        seal(ports)
        put(ports, {ONE: 5})
        held = create_snapshot(ports, TENANT)
        assert content(ports, held.id) == {ONE: doc(ONE, 5)}
        delete(ports, ONE)

    seal(replace(ports, table=Meanwhile(ports.table, "commit", other_seals_and_life_goes_on)))
    assert live(ports) == {}
    assert content(ports, create_snapshot(ports, TENANT).id) == {}


@pytest.mark.parametrize("based", [False, True], ids=["removed for real", "with a tombstone"])
def test_no_rev_of_an_item_comes_again(based: bool) -> None:
    ports = world()
    put(ports, {key(2): 2})
    seen: list[int] = []
    for value in range(20):
        if based:
            create_snapshot(ports, TENANT)
        for write in (
            partial(put, ports, {ONE: value}),
            partial(put, ports, {ONE: -value}),
            partial(delete, ports, ONE),
        ):
            write()
            seen += [
                item.rev
                for item in ports.table.page(TENANT, generation_of(ports), 0).items
                if item.key.sort_key == ONE.sort_key
            ]
    assert len(set(seen)) == len(seen) == (60 if based else 40)


def generation_of(ports: Ports) -> Generation:
    state = ports.table.load(TENANT).state
    assert state is not None
    return state.generation

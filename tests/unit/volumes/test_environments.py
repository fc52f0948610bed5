"""Environments that are added, changed, removed and declared, and what keeps one from going."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.unit.engine.disturbed import Counter, Death, Numbered
from tests.unit.volumes.backing import World
from tests.unit.volumes.examples import TEN_O_CLOCK, TEST_AREA, environment, snapshot
from tidemark.domain.environment import Environment, EnvironmentId, declared_environments, image_owner
from tidemark.domain.schedule import Schedule, ScheduleId
from tidemark.errors import EnvironmentExists, EnvironmentInUse, EnvironmentNotFound, InvalidRequest
from tidemark.ports import Ports
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.environments import (
    add_environment,
    declare_environments,
    list_environments,
    remove_environment,
    update_environment,
)

OTHER = EnvironmentId("compute-on/other")
LINE = "compute-on/other@eu-west-1?Environment=other"


@pytest.fixture
def world() -> World:
    """One with an environment that an operator has made, and a volume in it."""
    return World()


def declared(*lines: str) -> list[Environment]:
    return declared_environments(" ".join(lines), TEN_O_CLOCK)


def shown(ports: Ports) -> dict[str, tuple[str, dict[str, str], bool]]:
    return {one.id: (one.region, dict(one.tags), one.declared) for one in list_environments(ports)}


def schedule(owner: EnvironmentId) -> Schedule:
    at = datetime(2026, 1, 15, tzinfo=UTC)
    return Schedule(image_owner(owner), ScheduleId("schedule_01"), "rate(1 day)", at, at)


# --- one by one


def test_environment_that_is_added_again_stays_as_it_is(world: World) -> None:
    added = add_environment(world.ports, environment(name="other", tags={"Team": "x"}))
    later = replace(added, created_at=added.created_at.replace(year=2030), version=0)
    assert add_environment(world.ports, later) == added
    with pytest.raises(EnvironmentExists, match="compute-on/other"):
        add_environment(world.ports, replace(later, tags={"Team": "y"}))
    assert shown(world.ports)[OTHER] == ("ca-central-1", {"Team": "x"}, False)


@pytest.mark.parametrize("wrong", [{"tags": {}}, {"region": "Montreal"}, {"name": "BAD!"}])
def test_environment_that_can_not_be_is_not_added(world: World, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        add_environment(world.ports, environment(**{"name": "other"} | wrong))
    assert list(shown(world.ports)) == [TEST_AREA]


def test_environment_is_given_other_tags_and_another_region(world: World) -> None:
    update_environment(world.ports, TEST_AREA, tags={"Team": "x"})
    assert shown(world.ports)[TEST_AREA] == ("eu-west-1", {"Team": "x"}, False)
    update_environment(world.ports, TEST_AREA, region="ca-central-1")
    assert shown(world.ports)[TEST_AREA] == ("ca-central-1", {"Team": "x"}, False)
    with pytest.raises(InvalidRequest, match="tags"):
        update_environment(world.ports, TEST_AREA, tags={})
    with pytest.raises(EnvironmentNotFound):
        update_environment(world.ports, OTHER, region="ca-central-1")


def test_environment_with_schedules_keeps_its_region(world: World) -> None:
    world.ports.catalog.add_schedule(schedule(TEST_AREA))
    with pytest.raises(EnvironmentInUse, match="has schedules of volumes of eu-west-1"):
        update_environment(world.ports, TEST_AREA, region="ca-central-1")
    assert shown(world.ports)[TEST_AREA][0] == "eu-west-1"


def test_environment_with_snapshots_keeps_its_region_and_may_have_other_tags(world: World) -> None:
    world.take()
    with pytest.raises(EnvironmentInUse, match="eu-west-1"):
        update_environment(world.ports, TEST_AREA, region="ca-central-1")
    assert update_environment(world.ports, TEST_AREA, tags={"Team": "x"}).tags == {"Team": "x"}


def test_environment_is_removed_when_nothing_of_it_is_left(world: World) -> None:
    taken = world.take()
    with pytest.raises(EnvironmentInUse, match="1 snapshots of volumes; delete"):
        remove_environment(world.ports, TEST_AREA)
    delete_volume_snapshot(world.ports, TEST_AREA, taken.id)
    with pytest.raises(EnvironmentInUse, match="1 deleted snapshots of volumes, whose bytes the next collection"):
        remove_environment(world.ports, TEST_AREA)
    assert list(shown(world.ports)) == [TEST_AREA]


def test_environment_with_a_schedule_is_not_removed(world: World) -> None:
    made = world.ports.catalog.add_schedule(schedule(TEST_AREA))
    with pytest.raises(EnvironmentInUse, match="1 schedules"):
        remove_environment(world.ports, TEST_AREA)
    world.ports.catalog.remove_schedule(made)
    remove_environment(world.ports, TEST_AREA)
    assert shown(world.ports) == {}
    with pytest.raises(EnvironmentNotFound):
        remove_environment(world.ports, TEST_AREA)


def test_environment_of_which_a_snapshot_is_begun_while_it_is_removed_comes_back(world: World) -> None:
    volumes = world.ports.volumes

    class Slow(Numbered):
        def remove_environment(self, one: Environment) -> None:
            volumes.remove_environment(one)
            volumes.add_volume_snapshot(snapshot())

    with pytest.raises(EnvironmentInUse):
        remove_environment(replace(world.ports, volumes=Slow(volumes, Counter())), TEST_AREA)
    assert list(shown(world.ports)) == [TEST_AREA]


# --- declared


def test_declaration_adds_changes_and_removes_its_own_and_leaves_others_alone(world: World) -> None:
    assert declare_environments(world.ports, declared(LINE)).added == [OTHER]
    assert shown(world.ports) == {
        OTHER: ("eu-west-1", {"Environment": "other"}, True),
        TEST_AREA: ("eu-west-1", {"Environment": "test_area"}, False),
    }
    assert declare_environments(world.ports, declared(LINE)) == ([], [], [])
    changed = declared(LINE.replace("=other", "=changed"), "a/b@eu-west-1?x=y")
    assert declare_environments(world.ports, changed) == (["a/b"], [OTHER], [])
    assert shown(world.ports)[OTHER][1] == {"Environment": "changed"}
    assert declare_environments(world.ports, []).removed == ["a/b", OTHER]
    assert list(shown(world.ports)) == [TEST_AREA]


def test_declaration_takes_over_what_it_names(world: World) -> None:
    line = f"{TEST_AREA}@eu-west-1?Team=x"
    assert declare_environments(world.ports, declared(line)).changed == [TEST_AREA]
    assert shown(world.ports)[TEST_AREA] == ("eu-west-1", {"Team": "x"}, True)
    for refused in (
        lambda: update_environment(world.ports, TEST_AREA, tags={"a": "b"}),
        lambda: remove_environment(world.ports, TEST_AREA),
    ):
        with pytest.raises(EnvironmentInUse, match="parameter Environments"):
            refused()


def test_what_a_declaration_has_taken_over_is_given_back_and_not_removed(world: World) -> None:
    world.take()
    declare_environments(world.ports, declared(f"{TEST_AREA}@eu-west-1?Environment=test_area"))
    assert declare_environments(world.ports, []) == ([], [TEST_AREA], [])
    assert shown(world.ports) == {TEST_AREA: ("eu-west-1", {"Environment": "test_area"}, False)}
    assert declare_environments(world.ports, []) == ([], [], [])


def test_declaration_that_would_lose_snapshots_changes_nothing(world: World) -> None:
    remove_environment(world.ports, TEST_AREA)
    declare_environments(world.ports, declared(LINE, f"{TEST_AREA}@eu-west-1?Environment=test_area"))
    world.take()
    before = shown(world.ports)
    for wanted in (declared("a/b@eu-west-1?x=y"), declared("a/b@eu-west-1?x=y", f"{TEST_AREA}@ca-central-1?x=y")):
        with pytest.raises(EnvironmentInUse, match=TEST_AREA):
            declare_environments(world.ports, wanted)
        assert shown(world.ports) == before


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_declaration_that_died_at_any_of_its_calls_is_made_good_by_the_next(*, after: bool) -> None:
    wanted = declared("a/b@eu-west-1?x=y", f"{TEST_AREA}@eu-west-1?Team=x")
    number = died = 0
    while died == number:
        number += 1
        world = World()
        declare_environments(world.ports, declared(LINE))
        counter = Counter(number, after=after)
        disturbed = replace(world.ports, volumes=Numbered(world.ports.volumes, counter))
        try:
            declare_environments(disturbed, wanted)
        except Death:
            died += 1
        declare_environments(world.ports, wanted)
        assert shown(world.ports) == {
            "a/b": ("eu-west-1", {"x": "y"}, True),
            TEST_AREA: ("eu-west-1", {"Team": "x"}, True),
        }
    assert died > 5


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", []),
        (" , \n", []),
        (LINE, [OTHER]),
        (f"{LINE},a/b@eu-west-1?x=y", [OTHER, "a/b"]),
        (f"\n  {LINE}\n  a/b@eu-west-1?x=%2Cy%20z,\n", [OTHER, "a/b"]),
    ],
)
def test_parameter_is_a_list_of_lines(text: str, ids: list[str]) -> None:
    found = declared_environments(text, TEN_O_CLOCK)
    assert [one.id for one in found] == ids
    assert all(one.declared for one in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{LINE} {LINE}", "declared twice"),
        ("compute-on/other", "declares no environment"),
        ("compute-on/other@eu-west-1?", "tags"),
        ("compute-on/other@nowhere?a=b", "region"),
    ],
)
def test_parameter_is_refused_naming_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        declared_environments(text, TEN_O_CLOCK)

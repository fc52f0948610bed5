"""`tidemark environments`, on a stack that moto's CloudFormation has deployed."""

import json
from datetime import UTC, datetime

import pytest

from tests.cli.conftest import STACK
from tests.cli.running import CommandLine, Said, Scripted
from tests.unit.volumes.examples import TEST_AREA, snapshot
from tidemark import bootstrap
from tidemark.domain.environment import Environment, declared_environments
from tidemark.usecases.environments import declare_environments

ADD = ("add", TEST_AREA, "--region", "ca-central-1", "--tag", "Environment=test_area", "--tag", "Team=a=b")


def run(*arguments: str) -> Said:
    said = CommandLine(Scripted([]))("environments", *arguments, "--stack", STACK)
    assert "Traceback" not in said.err
    return said


def stored(environment: str = TEST_AREA) -> Environment:
    return bootstrap.ports_of_stack(STACK).volumes.environment(environment)


@pytest.fixture(autouse=True)
def deployed(stack: str) -> None:
    assert stack == STACK


def test_add_makes_an_environment_and_says_how_to_make_a_key_for_it() -> None:
    said = run(*ADD)
    assert (said.code, said.out) == (0, ""), said
    assert "tidemark keys make --environments compute-on/test_area" in said.err
    assert (stored().region, stored().tags) == ("ca-central-1", {"Environment": "test_area", "Team": "a=b"})
    assert run(*ADD).code == 0
    assert stored().version == 1


def test_list_shows_what_every_environment_is_and_who_has_set_it() -> None:
    assert run("list", "--json").json() == []
    run(*ADD)
    line = "compute-on/production@eu-west-1?Environment=production"
    declare_environments(bootstrap.ports_of_stack(STACK), declared_environments(line, datetime.now(tz=UTC)))
    told = {one["id"]: one for one in run("list", "--json").json()}
    assert {name: one["declared"] for name, one in told.items()} == {TEST_AREA: False, "compute-on/production": True}
    assert told[TEST_AREA]["tags"] == {"Environment": "test_area", "Team": "a=b"}
    lines = {line.split()[0]: line for line in run("list").out.splitlines()}
    assert "Environment=test_area, Team=a=b" in lines[TEST_AREA]
    assert "parameter" in lines["compute-on/production"]


def test_update_gives_other_tags_or_another_region() -> None:
    run(*ADD)
    told = run("update", TEST_AREA, "--tag", "Team=c", "--json").json()
    assert (told["region"], told["tags"]) == ("ca-central-1", {"Team": "c"})
    assert run("update", TEST_AREA, "--region", "eu-west-1").code == 0
    assert (stored().region, stored().tags) == ("eu-west-1", {"Team": "c"})


def test_remove_forgets_an_environment_without_snapshots() -> None:
    run(*ADD)
    said = run("remove", TEST_AREA)
    assert (said.code, "there no more" in said.err) == (0, True)
    assert json.loads(run("list", "--json").out) == []
    assert run("remove", TEST_AREA).code == 3


def test_remove_refuses_an_environment_with_snapshots() -> None:
    run(*ADD)
    bootstrap.ports_of_stack(STACK).volumes.add_volume_snapshot(snapshot())
    said = run("remove", TEST_AREA)
    assert said.code == 4
    assert "1 snapshots of volumes" in " ".join(said.err.split())
    assert stored().id == TEST_AREA


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param(("add", "test_area", "--region", "eu-west-1", "--tag", "a=b"), 1, "no slash", id="bad name"),
        pytest.param(("add", TEST_AREA, "--region", "Montreal", "--tag", "a=b"), 1, "eu-west-1", id="bad region"),
        pytest.param(("add", TEST_AREA, "--region", "eu-west-1"), 2, "--tag KEY=VALUE", id="no tags"),
        pytest.param(("add", TEST_AREA, "--region", "eu-west-1", "--tag", "a"), 2, "KEY=VALUE", id="bad tag"),
        pytest.param(
            ("add", TEST_AREA, "--region", "eu-west-1", "--tag", "a=b", "--tag", "a=c"), 2, "once", id="tag twice"
        ),
        pytest.param(("update", TEST_AREA), 2, "--region, --tag", id="no change"),
        pytest.param(("update", TEST_AREA, "--region", "eu-west-1"), 3, "no environment", id="unknown"),
        pytest.param(("remove", TEST_AREA), 3, "no environment", id="unknown to remove"),
    ],
)
def test_command_fails_with_a_sentence_when(arguments: tuple[str, ...], code: int, told: str) -> None:
    said = run(*arguments)
    assert (said.code, said.out) == (code, "")
    assert told in " ".join(said.err.replace("\u2502", " ").split())


def test_another_environment_of_that_name_is_a_conflict() -> None:
    run(*ADD)
    assert run("add", TEST_AREA, "--region", "eu-west-1", "--tag", "a=b").code == 4

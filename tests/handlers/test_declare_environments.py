"""The custom resource of the declared environments: the records follow the parameter, and CloudFormation is answered
whatever happens.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.declare_environments import handler as function
from tests.fakes import ManualClock
from tests.handlers.rest import Context, sample
from tests.local.custom_resources import Answers
from tests.unit.volumes.backing import World
from tests.unit.volumes.examples import TEST_AREA
from tidemark import bootstrap, resources
from tidemark.adapters import cloudformation_answers
from tidemark.errors import AwsFailure
from tidemark.ports import Ports
from tidemark.usecases.environments import remove_environment

LINE = "compute-on/production@eu-west-1?Environment=production"


@pytest.fixture
def ports() -> Ports:
    return World().ports


@pytest.fixture
def answers() -> Iterator[Answers]:
    with Answers() as listening:
        yield listening


def asking(answers: Answers, environments: str | None = None, kind: str = "Update") -> dict[str, Any]:
    event = sample("declare_environments", "declare_environments")
    event |= {"RequestType": kind, "ResponseURL": answers.url}
    if environments is not None:
        event["ResourceProperties"]["Environments"] = environments
    return event


def deployed(ports: Ports, answers: Answers, environments: str | None = None, kind: str = "Update") -> dict[str, Any]:
    """What CloudFormation is answered."""
    with bootstrap.use(ports):
        function.handler(asking(answers, environments, kind), Context())
    answer: dict[str, Any] = answers.next()
    return answer


def ids(ports: Ports) -> list[str]:
    return [one.id for one in ports.volumes.environments()]


def test_records_follow_the_parameter(ports: Ports, answers: Answers) -> None:
    remove_environment(ports, TEST_AREA)
    told = deployed(ports, answers, kind="Create")
    event = sample("declare_environments", "declare_environments")
    assert told == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": "environments",
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    assert ids(ports) == ["compute-on/production", TEST_AREA]
    assert ports.volumes.environment("compute-on/production").tags == {"Environment": "production", "Team": "web"}
    assert deployed(ports, answers, LINE)["Status"] == "SUCCESS"
    assert ids(ports) == ["compute-on/production"]
    assert deployed(ports, answers, "")["Status"] == "SUCCESS"
    assert ids(ports) == []


def test_environments_stay_when_the_stack_goes(ports: Ports, answers: Answers) -> None:
    deployed(ports, answers, LINE)
    assert deployed(ports, answers, "", kind="Delete")["Status"] == "SUCCESS"
    assert ids(ports) == ["compute-on/production", TEST_AREA]


def test_deployment_that_would_lose_snapshots_fails_and_says_why(answers: Answers) -> None:
    world = World()
    remove_environment(world.ports, TEST_AREA)
    deployed(world.ports, answers, f"{TEST_AREA}@eu-west-1?Environment=test_area")
    world.take()
    told = deployed(world.ports, answers, LINE)
    assert told["Status"] == "FAILED"
    assert "compute-on/test_area can't be removed: it has 1 snapshots" in told["Reason"]
    assert ids(world.ports) == [TEST_AREA]


@pytest.mark.parametrize(
    ("environments", "said"),
    [("test_area", "declares no environment"), ("a/b@nowhere?x=y", "region"), (f"{LINE},{LINE}", "twice")],
)
def test_parameter_that_makes_no_sense_fails_the_deployment(
    ports: Ports, answers: Answers, environments: str, said: str
) -> None:
    told = deployed(ports, answers, environments)
    assert (told["Status"], said in told["Reason"]) == ("FAILED", True)
    assert ids(ports) == [TEST_AREA]


def test_unexpected_error_is_answered_too_and_shows_nothing_of_the_inside(
    ports: Ports, answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(ports: Ports, properties: resources.Properties) -> None:
        raise KeyError("something of the inside" * 300)

    with bootstrap.use(ports):
        resources.handler("environments", fail)(asking(answers), Context())
    told = answers.next()
    assert told["Status"] == "FAILED"
    assert "KeyError" in told["Reason"]
    assert "inside" not in told["Reason"]
    assert "something of the inside" in capsys.readouterr().out


def test_function_that_can_not_begin_is_answered_for(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> None:
    monkeypatch.delenv("TIDEMARK_CATALOG_TABLE", raising=False)
    function.handler(asking(answers, LINE), Context())
    told = answers.next()
    assert (told["Status"], "SettingInvalid" in told["Reason"]) == ("FAILED", True)


def test_answer_fits_what_cloudformation_takes(ports: Ports, answers: Answers) -> None:
    def fail(ports: Ports, properties: resources.Properties) -> None:
        raise AwsFailure("\x1f" * 10_000)

    with bootstrap.use(ports):
        resources.handler("environments", fail)(asking(answers), Context())
    assert len(json.dumps(answers.next())) <= 4096


def test_answer_that_does_not_arrive_is_sent_again_and_at_last_fails_the_function(answers: Answers) -> None:
    clock = ManualClock()
    gone = asking(answers) | {"ResponseURL": "http://127.0.0.1:9/answer"}
    with pytest.raises(AwsFailure, match="DeclaredEnvironments"):
        cloudformation_answers.tell(gone, "environments", clock)
    assert clock.monotonic_s() == 2.5
    with pytest.raises(AwsFailure, match="HTTP"):
        cloudformation_answers.tell(gone | {"ResponseURL": "file:///etc/passwd"}, "environments", clock)


def test_answer_is_sent_again_after_one_that_was_turned_away(answers: Answers) -> None:
    answers.turn_away(2)
    cloudformation_answers.tell(asking(answers), "environments", ManualClock())
    assert answers.next()["Status"] == "SUCCESS"

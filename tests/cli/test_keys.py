"""`tidemark keys`, on a stack that moto's CloudFormation has deployed."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import OUTPUTS, STACK
from tests.cli.running import CommandLine, Said, Scripted
from tests.repo.sources import template
from tidemark import bootstrap
from tidemark.adapters import clients
from tidemark.domain.api_key import Action, ApiKey, key_id
from tidemark.errors import Unauthorized
from tidemark.settings import Settings
from tidemark.usecases.keys import authenticate


def run(*arguments: str) -> Said:
    said = CommandLine(Scripted([]))("keys", *arguments)
    assert "Traceback" not in said.err
    return said


def made(stack: str, *arguments: str) -> str:
    """The secret of a new key."""
    said = run("make", "--stack", stack, "--tenants", "smartcity", "--actions", "read,write", *arguments)
    assert said.code == 0, said
    return said.out.strip()


def stored(stack: str, secret: str) -> ApiKey:
    return bootstrap.ports_of_stack(stack).catalog.key(key_id(secret))


def test_make_prints_a_key_that_opens_what_was_asked_for(stack: str) -> None:
    said = run("make", "--stack", stack, "--name", "city app", "--tenants", "A,b", "--actions", "read")
    key = authenticate(bootstrap.ports_of_stack(stack), said.out.removesuffix("\n"))
    assert (key.name, key.tenants, key.actions, key.expires_at) == (
        "city app",
        frozenset({"a", "b"}),
        frozenset({Action.READ}),
        None,
    )
    assert key.id in said.err
    assert said.out.strip() not in said.err


def test_make_prints_a_key_for_environments_alone(stack: str) -> None:
    asked = ("make", "--stack", stack, "--environments", "compute-on/test_area", "--actions", "snapshot", "--json")
    told = json.loads(run(*asked).out)
    key = stored(stack, told["key"])
    assert (key.tenants, key.environments) == (frozenset(), frozenset({"compute-on/test_area"}))
    assert (told["tenants"], told["environments"]) == ([], ["compute-on/test_area"])
    assert "compute-on/test_area" in run("list", "--stack", stack).out


def test_list_says_of_what_a_star_is(stack: str) -> None:
    said = run("make", "--stack", stack, "--environments", "*", "--actions", "admin")
    assert "opens * (environments) for admin" in " ".join(said.err.split())


def test_make_prints_json_when_asked(stack: str) -> None:
    said = run("make", "--stack", stack, "--tenants", "*", "--actions", "admin", "--json")
    told = json.loads(said.out)
    assert key_id(told["key"]) == told["id"]
    assert (told["tenants"], told["actions"]) == (["*"], ["admin"])


def test_make_makes_one_that_expires_when_a_date_is_given(stack: str) -> None:
    day = (datetime.now(tz=UTC) + timedelta(days=3)).date()
    key = stored(stack, made(stack, "--expires", day.isoformat()))
    assert key.expires_at == datetime(day.year, day.month, day.day, tzinfo=UTC)


def test_list_shows_every_key_and_no_secret(stack: str) -> None:
    secrets = [made(stack, "--name", name) for name in ("dashboard", "importer")]
    run("revoke", "--stack", stack, secrets[0])
    said = run("list", "--stack", stack)
    lines = {line.split()[1]: line for line in said.out.splitlines()}
    assert "expired" in lines["dashboard"]
    assert "never" in lines["importer"]
    listed = json.loads(run("list", "--stack", stack, "--json").out)
    assert {one["id"] for one in listed} == {key_id(secret) for secret in secrets}
    assert not any(secret in said.out for secret in secrets)


def test_revoke_ends_a_key(stack: str) -> None:
    secret = made(stack)
    said = run("revoke", "--stack", stack, key_id(secret))
    assert (said.code, said.out) == (0, "")
    assert "opens nothing any more" in said.err
    with pytest.raises(Unauthorized):
        authenticate(bootstrap.ports_of_stack(stack), secret)


def test_revoke_takes_an_id_as_the_list_shows_it(stack: str) -> None:
    secret = made(stack, "--name", "leaked")
    (line,) = (line for line in run("list", "--stack", stack).out.splitlines() if "leaked" in line)
    assert run("revoke", "--stack", stack, line.split()[0]).code == 0
    with pytest.raises(Unauthorized):
        authenticate(bootstrap.ports_of_stack(stack), secret)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param(("revoke", "--stack", STACK, "0" * 64), 3, "no API key", id="unknown key"),
        pytest.param(("revoke", "--stack", "elsewhere", "0" * 64), 3, "--stack", id="unknown stack"),
        pytest.param(("make", "--stack", STACK, "--tenants", "a b", "--actions", "read"), 1, "'a b'", id="bad tenant"),
        pytest.param(
            ("make", "--stack", STACK, "--tenants", "a", "--actions", "read", "--expires", "2020-01-01"),
            1,
            "past",
            id="expired already",
        ),
        pytest.param(
            ("make", "--tenants", "a", "--actions", "read,erase"), 2, "erase: choose from read", id="unknown action"
        ),
        pytest.param(
            ("make", "--tenants", "a", "--actions", "read", "--expires", "soon"), 2, "'soon' is no date", id="no date"
        ),
        pytest.param(("make", "--actions", "read"), 2, "--tenants", id="no tenants"),
        pytest.param(
            ("make", "--stack", STACK, "--environments", "test_area", "--actions", "read"),
            1,
            "compute-on/test_area",
            id="bad environment",
        ),
    ],
)
def test_command_fails_with_a_sentence_when(arguments: tuple[str, ...], code: int, told: str, stack: str) -> None:
    assert stack == STACK
    said = run(*arguments)
    assert (said.code, said.out) == (code, "")
    assert told in " ".join(said.err.replace("\u2502", " ").split())


def test_command_says_what_to_set_when_there_is_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    clients.forget()
    said = run("revoke", "0" * 64)
    clients.forget()
    assert said.code == 3
    assert "AWS_REGION" in said.err


def test_command_says_what_to_install_when_the_packages_of_aws_are_missing() -> None:
    program = "import sys; sys.modules['botocore'] = None; from tidemark_cli.__main__ import main; main()"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program, "keys", "list"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "botocore" in done.stderr
    assert "[keys]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_command_refuses_a_stack_that_is_not_of_tidemark(stack: str) -> None:
    other = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    clients.make("cloudformation").create_stack(StackName="other", TemplateBody=json.dumps(other))
    said = run("revoke", "--stack", "other", "0" * 64)
    assert said.code == 2
    assert "CatalogTableName" in said.err


def test_template_has_every_output_that_the_command_line_reads() -> None:
    assert set(OUTPUTS) <= set(template()["Outputs"])
    assert Settings.from_outputs(dict.fromkeys(OUTPUTS, "x")).catalog_table == "x"

"""The operators' command line, on a stack that moto's CloudFormation has deployed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from moto import mock_aws

from tests.repo.sources import template
from tidemark import __main__ as command_line
from tidemark import bootstrap
from tidemark.adapters import clients
from tidemark.domain.api_key import Action, ApiKey, key_id
from tidemark.errors import Unauthorized
from tidemark.settings import Settings
from tidemark.usecases.keys import authenticate

STACK = "waterfront"
# The outputs of template.yaml, with the table behind one of them.
OUTPUTS = {
    "CatalogTableName": {"Ref": "Catalog"},
    "EntitiesTableName": "entities",
    "BucketName": "bucket",
    "CaptureStateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:capture",
    "RestoreStateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:restore",
    "VerifyStateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:verify",
    "TransferStateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:transfer",
}


@pytest.fixture
def stack() -> Iterator[str]:
    """The name of a stack that has Tidemark's outputs."""
    catalog = template()["Resources"]["CatalogTable"]["Properties"]
    keys = {name: catalog[name] for name in ("BillingMode", "AttributeDefinitions", "KeySchema")}
    body = {
        "Resources": {"Catalog": {"Type": "AWS::DynamoDB::Table", "Properties": keys}},
        "Outputs": {name: {"Value": value} for name, value in OUTPUTS.items()},
    }
    with mock_aws():
        clients.forget()
        clients.make("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(body))
        yield STACK
    clients.forget()


def run(*arguments: str) -> int:
    return command_line.main(arguments)


def made(stack: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The secret of a new key."""
    assert run("create-key", "--stack", stack, "--tenants", "smartcity", "--actions", "read,write", *arguments) == 0
    return capsys.readouterr().out.strip()


def stored(stack: str, secret: str) -> ApiKey:
    return bootstrap.ports_of_stack(stack).catalog.key(key_id(secret))


def test_create_key_prints_a_key_that_opens_what_was_asked_for(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("create-key", "--stack", stack, "--name", "city app", "--tenants", "A,b", "--actions", "read") == 0
    said = capsys.readouterr()
    key = authenticate(bootstrap.ports_of_stack(stack), said.out.removesuffix("\n"))
    assert (key.name, key.tenants, key.actions, key.expires_at) == (
        "city app",
        frozenset({"a", "b"}),
        frozenset({Action.READ}),
        None,
    )
    assert key.id in said.err
    assert said.out.strip() not in said.err


def test_create_key_makes_one_that_expires_when_a_date_is_given(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    day = (datetime.now(tz=UTC) + timedelta(days=3)).date()
    key = stored(stack, made(stack, capsys, "--expires", day.isoformat()))
    assert key.expires_at == datetime(day.year, day.month, day.day, tzinfo=UTC)


def test_revoke_key_ends_a_key(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    secret = made(stack, capsys)
    assert run("revoke-key", "--stack", stack, key_id(secret)) == 0
    assert "opens nothing any more" in capsys.readouterr().err
    with pytest.raises(Unauthorized):
        authenticate(bootstrap.ports_of_stack(stack), secret)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("revoke-key", "--stack", STACK, "0" * 64), "no API key", id="unknown key"),
        pytest.param(("revoke-key", "--stack", "elsewhere", "0" * 64), "--stack", id="unknown stack"),
        pytest.param(
            ("create-key", "--stack", STACK, "--tenants", "a b", "--actions", "read"), "'a b'", id="bad tenant"
        ),
        pytest.param(
            ("create-key", "--stack", STACK, "--tenants", "a", "--actions", "read", "--expires", "2020-01-01"),
            "past",
            id="expired already",
        ),
    ],
)
def test_command_fails_with_a_sentence_when(
    arguments: tuple[str, ...], said: str, stack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 1
    output = capsys.readouterr()
    assert said in output.err
    assert output.out == ""
    assert "Traceback" not in output.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("--tenants", "a", "--actions", "read,erase"), "erase: choose from read, write", id="action"),
        pytest.param(("--tenants", "a", "--actions", "read", "--expires", "soon"), "'soon' is no date", id="date"),
        pytest.param(("--actions", "read"), "--tenants", id="no tenants"),
    ],
)
def test_create_key_explains_itself_when_the_command_line_is_wrong(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("create-key", *arguments)
    assert said in capsys.readouterr().err


def test_command_says_what_to_set_when_there_is_no_region(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    clients.forget()
    assert run("revoke-key", "0" * 64) == 1
    clients.forget()
    assert "AWS_REGION" in capsys.readouterr().err


def test_command_refuses_a_stack_that_is_not_of_tidemark(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    clients.make("cloudformation").create_stack(StackName="other", TemplateBody=json.dumps(other))
    assert run("revoke-key", "--stack", "other", "0" * 64) == 1
    assert "CatalogTableName" in capsys.readouterr().err


def test_template_has_every_output_that_the_command_line_reads() -> None:
    assert set(OUTPUTS) <= set(template()["Outputs"])
    assert Settings.from_outputs(dict.fromkeys(OUTPUTS, "x")).catalog_table == "x"

"""The wiring: made once, made anew for another environment, and replaceable."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import memory_ports
from tests.handlers.conftest import ENVIRONMENT
from tests.repo.sources import FUNCTIONS, ROOT
from tests.unit.test_settings import DELIVERY
from tidemark import bootstrap
from tidemark.adapters import clients
from tidemark.ports.schedules import Unwired
from tidemark.settings import SettingInvalid

PREVIEW = FUNCTIONS / "ngsi" / "preview_retention" / "handler.py"
ENGINE = (
    "tidemark.engine",
    "tidemark.usecases.capture_phases",
    "tidemark.usecases.restore_phases",
    "tidemark.usecases.transfer_phases",
)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_ports_are_made_once_while_the_environment_stays(environment: pytest.MonkeyPatch) -> None:
    before = bootstrap.ports()
    assert bootstrap.ports() is before
    environment.setenv("TIDEMARK_SHARDS", "4")
    assert bootstrap.ports() is not before
    assert bootstrap.ports().layout.shards == 4


def test_ports_connect_to_nothing_until_they_are_called(environment: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("a client was made")

    for service in ("dynamodb", "s3", "stepfunctions"):
        environment.setattr(clients, service, refuse)
    environment.setenv("TIDEMARK_GATES", "7")
    assert bootstrap.ports().layout.gates == 7


def test_what_keeps_answers_is_made_when_the_first_request_has_a_key(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TIDEMARK_GATES", "9")
    made: list[str] = []
    environment.setattr(clients, "dynamodb", lambda: made.append("dynamodb"))
    repeats = bootstrap.ports().repeats
    assert made == []
    with pytest.raises(AttributeError):
        _ = repeats.once
    assert made, "it asked for the client of DynamoDB"


@pytest.mark.parametrize("in_lambda", [True, False])
def test_prepare_makes_the_client_of_dynamodb_when_a_function_is_being_imported(
    monkeypatch: pytest.MonkeyPatch, *, in_lambda: bool
) -> None:
    made: list[str] = []
    monkeypatch.setattr(clients, "dynamodb", lambda: made.append("dynamodb"))
    if in_lambda:
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    bootstrap.prepare()
    assert made == ["dynamodb"] * in_lambda


def test_garbage_is_looked_for_again_when_the_client_is_made_or_could_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for: list[bool] = []

    def refuse() -> None:
        looked_for.append(gc.isenabled())
        raise OSError("no description of DynamoDB")

    monkeypatch.setattr(clients, "dynamodb", refuse)
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    with pytest.raises(OSError, match="no description"):
        bootstrap.prepare()
    assert looked_for == [False]
    assert gc.isenabled()


def test_ports_are_refused_when_the_environment_lacks_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingInvalid, match="TIDEMARK_CATALOG_TABLE"):
        bootstrap.ports()


def test_schedules_are_wired_in_functions_that_set_them_and_in_no_others(environment: pytest.MonkeyPatch) -> None:
    assert isinstance(bootstrap.ports().schedules, Unwired)
    for name, value in DELIVERY.items():
        environment.setenv(name, value)
    made: list[str] = []
    environment.setattr(clients, "scheduler", lambda: made.append("scheduler"))
    schedules = bootstrap.ports().schedules
    assert made == []
    assert callable(schedules.put)
    assert made == ["scheduler"]


def test_rules_that_make_no_policy_are_refused_naming_the_parameter(environment: pytest.MonkeyPatch) -> None:
    assert bootstrap.stack_backups() is None
    environment.setenv("TIDEMARK_BACKUP_SCHEDULE", "cron(40 4 * * ? *)")
    environment.setenv("TIDEMARK_BACKUP_RETENTION", "fortnightly:7")
    with pytest.raises(SettingInvalid, match=r"BackupRetention.*fortnightly"):
        bootstrap.stack_backups()
    environment.setenv("TIDEMARK_BACKUP_RETENTION", "")
    wanted = bootstrap.stack_backups()
    assert wanted is not None
    assert (wanted.expression, wanted.timezone, wanted.retention) == ("cron(40 4 * * ? *)", "UTC", None)


def test_other_ports_are_in_use_until_the_block_ends(environment: pytest.MonkeyPatch) -> None:
    own = bootstrap.ports()
    with bootstrap.use(memory_ports()) as outer:
        with bootstrap.use(memory_ports()) as inner:
            assert bootstrap.ports() is inner
        assert bootstrap.ports() is outer
    assert bootstrap.ports() is own


@pytest.mark.parametrize(
    "module",
    [
        "functions.ngsi.list_snapshots.handler",
        "functions.ngsi.create_snapshot.handler",
        "functions.ngsi.create_schedule.handler",
        "functions.authorizer.handler",
    ],
)
def test_handlers_import_nothing_that_is_slow_to_start(module: str) -> None:
    heavy = (
        "boto3",
        "pydantic",
        "aws_xray_sdk",
        "aws_lambda_powertools.event_handler",
        "aws_lambda_powertools.utilities.idempotency",
    )
    assert _imported(module).isdisjoint(heavy)


@pytest.mark.parametrize("path", [*sorted(FUNCTIONS.glob("ngsi/*_schedule*/handler.py")), PREVIEW], ids=str)
def test_functions_of_schedules_import_nothing_that_captures_restores_or_transfers(path: Path) -> None:
    loaded = _imported(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert "tidemark.web" in loaded
    assert sorted(name for name in loaded if name.startswith(ENGINE)) == []


def _imported(module: str) -> set[str]:
    """All modules that a fresh process has when it has imported this one."""
    code = f"import sys; sys.path[:0] = ['.', 'layers/tidemark/python']; import {module}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(found.stdout.split())

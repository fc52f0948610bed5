"""The wrapper of phase handlers: what it logs and raises, and how it words what a state machine caught."""

import json
from typing import Any

import pytest

from tidemark.domain.snapshot import Failure
from tidemark.errors import AwsFailure, PackCorrupt
from tidemark.tasks import Context, Result, Step, budget_s, failure_of, task

EVENT = {"tenant": "smartcity", "snapshotId": "snapshot_1", "shard": 3}


class Input(Step, frozen=True):
    snapshot_id: str
    shard: int


class Left:
    def __init__(self, left_ms: int = 900_000) -> None:
        self._left_ms = left_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._left_ms


@task("CopyShard", Input)
def copied(step: Input, context: Context) -> Result:
    return {"records": 12, "shard": step.shard}


@task("CopyShard", Input)
def damaged(step: Input, context: Context) -> Result:
    raise PackCorrupt("pack smartcity/packs/c/000-0.pack has the wrong checksum")


@task("CopyShard", Input)
def broken(step: Input, context: Context) -> Result:
    raise KeyError("nobody expects this")


def _lines(capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(log lines, metrics) that were written."""
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in written if "_aws" not in line], [line for line in written if "_aws" in line]


@pytest.fixture(autouse=True)
def _namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tidemark")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "tidemark")


def test_task_answers_what_the_phase_returned_and_logs_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert copied(EVENT, Left()) == {"records": 12, "shard": 3}
    (line,), (metrics,) = _lines(capsys)
    told = {"tenant": "smartcity", "snapshot_id": "snapshot_1", "shard": 3, "phase": "CopyShard", "entity_count": 12}
    assert told.items() <= line.items()
    assert line["duration_ms"] >= 0
    assert metrics["CopyShardEntities"] == [12.0]
    assert metrics["tenant"] == "smartcity"


def test_task_raises_a_named_error_without_a_trace(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PackCorrupt, match="wrong checksum"):
        damaged(EVENT, Left())
    (line,), (metrics,) = _lines(capsys)
    assert line["error_code"] == "PackCorrupt"
    assert "wrong checksum" in line["message"]
    assert "exception" not in line
    assert metrics["CopyShardFailed"] == [1.0]


def test_task_logs_the_trace_of_an_error_that_nobody_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError):
        broken(EVENT, Left())
    (line,), _ = _lines(capsys)
    assert line["error_code"] == "InternalError"
    assert "nobody expects this" in line["exception"]


def test_task_forgets_what_it_was_told_when_it_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    copied(EVENT, Left())
    copied({**EVENT, "tenant": "other", "shard": 4}, Left())
    lines, _ = _lines(capsys)
    assert [(line["tenant"], line["shard"]) for line in lines] == [("smartcity", 3), ("other", 4)]


@pytest.mark.parametrize(("left_ms", "seconds"), [(900_000, 840.0), (60_000, 0.0), (10_000, 0.0)])
def test_budget_leaves_time_for_the_last_request(left_ms: int, seconds: float) -> None:
    assert budget_s(Left(left_ms)) == seconds


def _cause(error: Exception) -> str:
    return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": ["secret.py"]})


def test_failure_keeps_the_sentence_of_a_named_error() -> None:
    failure = failure_of("PackCorrupt", _cause(PackCorrupt("pack p has the wrong checksum")))
    assert failure == Failure("PackCorrupt", "pack p has the wrong checksum")


def test_failure_hides_the_sentence_of_an_error_that_is_not_for_callers() -> None:
    failure = failure_of("AwsFailure", _cause(AwsFailure("arn:aws:dynamodb:secret")))
    assert failure.code == "AwsFailure"
    assert "secret" not in failure.message
    assert failure.message.endswith(".")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("States.ExceedToleratedFailureThreshold", "StageIncomplete"),
        ("States.ItemReaderFailed", "StageIncomplete"),
        ("States.Timeout", "Unavailable"),
        ("Sandbox.Timedout", "Unavailable"),
        ("Runtime.ExitError", "Unavailable"),
        ("Lambda.TooManyRequestsException", "Unavailable"),
        ("KeyError", "InternalError"),
        ("Exception", "InternalError"),
        ("datetime", "InternalError"),
    ],
)
def test_failure_words_what_others_named(error: str, code: str) -> None:
    failure = failure_of(error, _cause(KeyError("secret.py")))
    assert failure.code == code
    assert "secret" not in failure.message


def test_failure_takes_a_cause_that_is_plain_text() -> None:
    assert failure_of("PackCorrupt", "pack p is gone").message == "pack p is gone"

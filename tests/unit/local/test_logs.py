"""What the screen shows of functions' log lines."""

import io
import json
from pathlib import Path

import pytest

from tests.local.logs import LogStore
from tests.local.spec import FunctionSpec

SPEC = FunctionSpec("Stage", "tidemark-Stage", "arn", "handler.handler", Path(), (), {}, 3, 128, "/logs", "python3.13")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(line: str, screen: io.StringIO | None = None) -> str:
    target = screen or io.StringIO()
    LogStore(target).show(SPEC, line)
    return " ".join(target.getvalue().split())


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("plain words", "Stage plain words"),
        (
            json.dumps(
                {"level": "INFO", "message": "staged", "timestamp": "t", "service": "s", "tenant": "city", "shard": 3}
            ),
            "Stage INFO staged tenant=city shard=3",
        ),
        (
            json.dumps({"_aws": {"CloudWatchMetrics": [{"Metrics": [{"Name": "Staged"}]}]}, "Staged": [12.5]}),
            "Stage METRIC Staged=12.5",
        ),
        (
            json.dumps({"errorType": "PackCorrupt", "errorMessage": "pack 3", "stackTrace": ["  File x\n    raise\n"]}),
            "Stage ERROR PackCorrupt: pack 3 File x raise",
        ),
        (json.dumps({"level": "INFO", "message": "Found credentials", "logger": "botocore.credentials"}), ""),
        ("  ", ""),
    ],
    ids=["text", "Powertools", "metrics", "error", "botocore", "blank"],
)
def test_shows_readable_line_when_function_writes(line: str, text: str) -> None:
    assert shown(line) == text


def test_colours_lines_when_screen_is_a_terminal() -> None:
    error = json.dumps({"level": "ERROR", "message": "no"})

    assert "\033[31m" in shown(error, Terminal())
    assert "\033" not in shown(error)


def test_keeps_lines_when_there_is_no_screen() -> None:
    store = LogStore()
    store.show(SPEC, "kept")

    assert list(store.lines) == [("Stage", "kept")]

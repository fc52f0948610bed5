"""Plumbing of pytest for all tests: no test can reach a real AWS account, and generated examples are repeatable."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import endpoints, tally

# boto3 looks for credentials wherever it can, so every way to real ones is closed before any client exists.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]
os.environ.update(
    **endpoints.credentials(),
    AWS_DEFAULT_REGION="eu-west-1",
    AWS_REGION="eu-west-1",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)

# A loaded machine is no failure, so examples have no deadline; they are derived from the test, so a failure repeats.
settings.register_profile(
    "tidemark", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tidemark")

# Folders that take longest go first, so that short ones fill what is left when several processes share the tests. The
# stack that all of tests/e2e use stands while files of that folder follow each other.
_FIRST = ("e2e", "workflow", "simulation", "benchmarks", "handlers", "cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files by their folders; within a folder all stay in their order."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return _FIRST.index(folder) if folder in _FIRST else len(_FIRST)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that started this one what was counted here, where tests run in several."""
    told: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["tally"] = dict(tally.TALLY)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Add what a process counted; one that died has told nothing."""
    tally.TALLY.update(getattr(node, "workeroutput", {}).get("tally", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many cases were tried by tests that try many."""
    for line in tally.lines():
        terminalreporter.write_line(line)

"""The demo's disk, twice as large: what its second snapshot stores, and three ways back that end in the same bytes."""

import re
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import PARAMETERS
from tests.local import ext4
from tests.local.demo_story import Story
from tests.local.demo_volumes import Disk
from tests.local.keys import seed_key
from tests.local.stack import LocalStack

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """A stack in this process, which can reach into its volumes, with sockets for the command line."""
    with LocalStack.serve(parameters=PARAMETERS, wait_scale=0.2) as started:
        yield started


def _told(stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    story = Story()
    Disk(story, stack, seed_key(stack), size_gib=2).play()
    return [step.result for step in story.steps], capsys.readouterr().out


def test_second_snapshot_of_two_gib_stores_the_one_percent_that_changed(
    stack: LocalStack, capsys: pytest.CaptureFixture[str]
) -> None:
    results, told = _told(stack, capsys)

    assert "40 of 4,096 blocks changed, 20.0 MiB" in told
    stored = re.fullmatch(r"BackedUp; ([0-9.]+) MiB stored for 20\.0 MiB changed", results[2])
    assert stored is not None, results
    assert 15 < float(stored[1]) <= 20 * 1.01
    assert results[3].startswith("Ready, 2 GiB in ")
    assert re.fullmatch(r"2 GiB, sparse: [0-9.]+ MiB on disk", results[4])
    assert results[5].startswith("equal to the last byte: ")
    assert ("e2fsck -n finds nothing wrong with any of them" in told) == (ext4.missing_tools() is None)
    assert max(map(len, told.splitlines())) <= 100

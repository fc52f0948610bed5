"""Stacks of template.yaml for tests of the state machines. One can run at a time, so a module uses one of these."""

from collections.abc import Iterator

import pytest

from tests.local.stack import LocalStack
from tests.workflow.scripted import Machines

# Every function that runs twice at once is loaded twice, so little at once is what makes a stack in one process quick.
SMALL = {"ShardsPerTenant": "2", "GatesPerTenant": "2", "ShardConcurrency": "1", "StageConcurrency": "1"}


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    """A whole stack of its own for one test, in this process, that waits for nothing."""
    with LocalStack.in_process(parameters=SMALL, wait_scale=0) as started:
        yield started


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    """The state machines, for a script to speak in place of the functions."""
    with LocalStack.in_process(wait_scale=0) as started:
        yield Machines(started)

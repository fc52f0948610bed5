"""Stacks of template.yaml for tests of the state machines. One can run at a time, so a module uses one of these."""

from collections.abc import Iterator

import pytest

from tests.local.stack import LocalStack
from tests.workflow.scripted import Machines


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    """A whole stack of its own for one test, in this process."""
    with LocalStack.in_process() as started:
        yield started


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    """The state machines, for a script to speak in place of the functions."""
    with LocalStack.in_process(wait_scale=0) as started:
        yield Machines(started)

"""Stacks for the end-to-end tests: one that another process serves with real sockets and workers, for all of them."""

import itertools
from collections.abc import Iterator

import pytest

from tests.e2e.served import Caller, Served
from tests.endpoints import named
from tests.local.aws import REGION
from tests.local.environments import DECLARATION

# Few shards and no waiting: what is proved here does not depend on their number.
PARAMETERS = {
    "ShardsPerTenant": "4",
    "GatesPerTenant": "4",
    "ShardConcurrency": "4",
    "StageConcurrency": "4",
    "InlineBudgetSeconds": "20",
    "ReadDrainSeconds": "0",
    # One for the documented commands, and one for what is made from the API's description.
    "Environments": f"{DECLARATION} compute-on/described@{REGION}?Environment=described",
}
_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def served_stack() -> Iterator[Served]:
    """The whole product, served with real sockets and worker processes, on the servers that the environment names."""
    with Served(PARAMETERS, named()) as served:
        yield served


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test uses."""
    return f"tenant_{next(_numbers)}"


@pytest.fixture
def caller(served_stack: Served, tenant: str) -> Caller:
    """May do everything in the test's own tenant, and nothing elsewhere."""
    return served_stack.caller(tenant)

"""The ports in memory that the functions under test are given."""

from collections.abc import Iterator

import pytest

from tests.fakes import memory_ports
from tidemark import bootstrap
from tidemark.ports import Ports

ENVIRONMENT = {
    "TIDEMARK_CATALOG_TABLE": "catalog",
    "TIDEMARK_ENTITIES_TABLE": "entities",
    "TIDEMARK_BUCKET": "bucket",
    "TIDEMARK_CAPTURE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:capture",
    "TIDEMARK_RESTORE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:restore",
    "TIDEMARK_VERIFY_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:verify",
    "TIDEMARK_TRANSFER_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:transfer",
}


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ports]:
    """A fresh world in memory, in use by every function until the test ends."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with bootstrap.use(memory_ports()) as fresh:
        yield fresh

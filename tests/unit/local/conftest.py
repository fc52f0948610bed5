"""The fixture application, in process and served."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.stack import LocalStack

TEMPLATE = Path(__file__).parent / "fixtures" / "app" / "template.yaml"


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """The application in this process."""
    with LocalStack.in_process(TEMPLATE) as running:
        yield running


@pytest.fixture(scope="module")
def served() -> Iterator[LocalStack]:
    """The application with real sockets and worker processes."""
    with LocalStack.serve(TEMPLATE, wait_scale=0.01, integration_timeout_s=20) as running:
        yield running

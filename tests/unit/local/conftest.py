"""The fixture application, in process and served."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="module", params=["in process", "served"])
def either(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    """The fixture application in one form, then in the other, for what must be the same in both."""
    form = LocalStack.in_process if request.param == "in process" else LocalStack.serve
    with form(TEMPLATE) as running:
        yield running


@pytest.fixture
def ec2(either: LocalStack) -> Any:
    """EC2, in either form."""
    return either.client("ec2")


@pytest.fixture
def ebs(either: LocalStack) -> Any:
    """EBS direct, in either form."""
    return either.client("ebs")

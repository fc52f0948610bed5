"""Generated sequences of requests against a stack in this process, compared with a model after each request.

`TIDEMARK_MODEL_EXAMPLES` says how many sequences are tried. By default they are few and the same ones in each run; with
the variable set they are other ones each time.
"""

import os
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.e2e.http_model import HttpModel
from tests.e2e.inside import Inside
from tests.local.stack import LocalStack
from tests.workflow.conftest import SMALL

_WANTED: Final = os.environ.get("TIDEMARK_MODEL_EXAMPLES")
EXAMPLES: Final = int(_WANTED or 10)
STEPS: Final = 20
# Hypothesis looks for a shorter sequence that fails for up to five minutes, and must be let to tell it.
TIMEOUT_S: Final = 400 + 10 * EXAMPLES


@pytest.fixture(scope="module")
def inside() -> Iterator[Inside]:
    with LocalStack.in_process(parameters=SMALL, wait_scale=0) as stack:
        yield Inside(stack)


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
def test_api_does_what_the_model_says_when_requests_come_in_any_order(inside: Inside) -> None:
    class Sequence(HttpModel):
        def __init__(self) -> None:
            super().__init__(inside)

    wanted = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, derandomize=_WANTED is None)
    run_state_machine_as_test(Sequence, settings=wanted)

"""The REST API's patience, on a stack of its own: with so little, any function is slow on a busy machine."""

from tests.local.stack import LocalStack
from tests.unit.local.conftest import TEMPLATE


def test_answers_504_when_function_is_slow() -> None:
    with LocalStack.in_process(TEMPLATE, integration_timeout_s=0.5) as impatient:
        answer = impatient.http("GET", "/echo?do=sleep&seconds=2", {"Authorization": "me"})

    assert (answer.status, answer.json()) == (504, {"message": "Endpoint request timed out"})

"""Functions in this process: each by itself, as if it had a process."""

import builtins
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.local.inprocess import InProcess
from tests.local.logs import LogStore
from tests.local.stack import FunctionError, LocalStack

ENVIRONMENT = {"queryStringParameters": {"do": "environment"}}


def test_shows_function_its_own_environment_when_it_runs(stack: LocalStack) -> None:
    seen = stack.http("GET", "/echo?do=environment", {"Authorization": "me"}).json()

    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "tidemark-Echo"
    assert seen["TABLE"] == "tidemark-Table"
    assert seen["layer"] == ["tidemark-Table", "tidemark-Echo"]
    assert 0 < seen["remaining_ms"] <= 3000
    assert "PATH" not in seen
    assert "TABLE" not in os.environ


def test_gives_each_function_its_own_copy_when_they_share_a_layer(stack: LocalStack) -> None:
    assert stack.http("POST", "/shelf/copy").status == 200
    assert stack.http("GET", "/echo", {"Authorization": "me"}).status == 200

    assert "shelfmark" not in sys.modules


@pytest.mark.parametrize("who", ["lend", "borrow"], ids=["the function imports", "its layer does"])
def test_a_function_knows_the_errors_of_what_is_imported_when_it_is_called(stack: LocalStack, who: str) -> None:
    for _ in range(2):
        answer = stack.http("GET", f"/echo?do={who}", {"Authorization": "me"})
        assert answer.json() == {"overdue": "tidemark-Echo"}

    assert not [name for name in sys.modules if name.startswith("shelfmark")]


def test_import_is_what_it_was_before_when_nothing_runs_here_any_more() -> None:
    before = builtins.__import__
    runner = InProcess({}, LogStore())
    assert builtins.__import__ is not before

    runner.close()
    assert builtins.__import__ is before


def test_counts_right_when_sixteen_clients_add_at_once(stack: LocalStack) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: stack.http("POST", f"/shelf/{number % 3}"), range(96)))

    assert {answer.status for answer in answers} == {200}
    assert [stack.http("GET", f"/shelf/{number}").json()["count"] for number in range(3)] == [32, 32, 32]


def test_keeps_log_lines_and_metrics_when_function_writes_them(stack: LocalStack) -> None:
    stack.http("POST", "/shelf/logged")

    lines = stack.log_lines("Shelf")
    assert any('"shard":"logged"' in line for line in lines)
    assert any('"_aws"' in line for line in lines)
    events = stack.client("logs").filter_log_events(logGroupName="/tidemark/functions", filterPattern="REPORT")[
        "events"
    ]
    assert any("Memory Size: 512 MB" in event["message"] for event in events)


def test_raises_with_name_and_message_when_function_fails(stack: LocalStack) -> None:
    with pytest.raises(FunctionError, match="PackCorrupt: pack 3 is damaged") as caught:
        stack.invoke("Step", {"do": "corrupt", "item": 3})

    assert caught.value.document["stackTrace"]


def test_answers_over_lambda_api_when_invoked_by_client(stack: LocalStack) -> None:
    client = stack.client("lambda")

    fine = client.invoke(FunctionName="tidemark-Step", Payload=b'{"do": "fine"}', LogType="Tail")
    failed = client.invoke(FunctionName="tidemark-Step", Payload=b'{"do": "corrupt"}')

    assert fine["Payload"].read() == b'{"did": "fine", "tries": 0}'
    assert fine["LogResult"]
    assert failed["FunctionError"] == "Unhandled"


def test_says_timed_out_when_function_took_longer_than_it_may(stack: LocalStack) -> None:
    with pytest.raises(FunctionError, match=r"Sandbox.Timedout: .* timed out after 3.00 seconds"):
        stack.invoke("Echo", {"queryStringParameters": {"do": "sleep", "seconds": "3.1"}})

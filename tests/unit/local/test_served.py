"""The stack with real sockets and worker processes."""

import contextlib
import http.client
import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.local.stack import FunctionError, LocalStack
from tests.unit.local.conftest import TEMPLATE

ME = {"Authorization": "me"}


def test_shows_worker_nothing_of_this_machine_when_it_runs(served: LocalStack) -> None:
    os.environ["SECRET_OF_THIS_MACHINE"] = "x"
    try:
        seen = served.http("GET", "/echo?do=environment", ME).json()
    finally:
        del os.environ["SECRET_OF_THIS_MACHINE"]

    assert "SECRET_OF_THIS_MACHINE" not in seen
    assert not [name for name in seen if name.startswith(("_LOCAL", "PYTEST", "VIRTUAL_ENV"))]
    assert seen["AWS_ENDPOINT_URL"] == served.aws.endpoint_url
    assert seen["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert seen["AWS_LAMBDA_LOG_FORMAT"] == "JSON"
    assert seen["layer"] == ["tidemark-Table", "tidemark-Echo"]


def test_keeps_path_encoded_when_it_comes_over_a_socket(served: LocalStack) -> None:
    event = served.http("GET", "/things/urn%3Aa%2Fb/?x=%40", {**ME, "Fiware-Service": "smartcity"}).json()

    assert event["path"] == "/things/urn%3Aa%2Fb/"
    assert event["pathParameters"] == {"id": "urn%3Aa%2Fb"}
    assert event["queryStringParameters"] == {"x": "@"}
    assert event["headers"]["Fiware-Service"] == "smartcity"


def test_answers_every_request_when_connection_is_kept(served: LocalStack) -> None:
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        for number in range(20):
            connection.request("GET", f"/open/{number}")
            assert json.loads(connection.getresponse().read())["path"] == f"/open/{number}"


def test_answers_413_when_body_is_over_ten_megabytes(served: LocalStack) -> None:
    assert served.http("POST", "/echo", ME, b"x" * (11 * 1024 * 1024)).status == 413


def test_counts_right_when_sixteen_clients_add_at_once(served: LocalStack) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: served.http("POST", f"/shelf/{number % 8}"), range(160)))

    assert {answer.status for answer in answers} == {200}
    assert [served.http("GET", f"/shelf/{number}").json()["count"] for number in range(8)] == [20] * 8


def test_uses_warm_worker_when_function_was_called_before(served: LocalStack) -> None:
    served.invoke("Step", {"do": "fine"})
    started = time.monotonic()
    served.invoke("Step", {"do": "fine"})

    assert time.monotonic() - started < 0.1
    assert not any("Init Duration" in line for line in reports(served)[-1:])


def reports(stack: LocalStack) -> list[str]:
    events = stack.client("logs").filter_log_events(logGroupName="/tidemark/functions", filterPattern="REPORT")[
        "events"
    ]
    return [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])]


def start_flow(stack: LocalStack, begin: dict[str, str]) -> str:
    document = {"wait": 0, "begin": begin}
    arn: str = stack.client("stepfunctions").start_execution(
        stateMachineArn=stack.physical_id("Flow"), input=json.dumps(document)
    )["executionArn"]
    return arn


def test_kills_worker_and_state_machine_sees_timeout_when_function_is_slow(served: LocalStack) -> None:
    arn = start_flow(served, {"do": "slow"})
    execution = served.wait_execution(arn)

    assert execution.error == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in (execution.cause or "")
    assert served.history(arn) == ["Begin", "Rollback", "Failed"]


def test_state_machine_sees_exit_when_worker_dies(served: LocalStack) -> None:
    assert served.wait_execution(start_flow(served, {"do": "exit"})).error == "Runtime.ExitError"


def test_kills_worker_when_function_takes_more_memory_than_it_has(served: LocalStack) -> None:
    with pytest.raises(FunctionError, match=r"Runtime.ExitError.* signal: killed"):
        served.invoke("Step", {"do": "eat"})


def test_goes_on_in_new_worker_when_old_one_was_killed(served: LocalStack) -> None:
    with pytest.raises(FunctionError):
        served.invoke("Step", {"do": "exit"})

    assert served.invoke("Step", {"do": "fine"})["did"] == "fine"


def test_throttles_when_all_reserved_instances_are_busy(served: LocalStack) -> None:
    client = served.client("lambda")

    def invoke(_: int) -> str:
        try:
            client.invoke(FunctionName="tidemark-Step", Payload=b'{"do": "nap"}')["Payload"].read()
        except client.exceptions.TooManyRequestsException:
            return "throttled"
        return "ran"

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(invoke, range(16)))

    assert outcomes.count("ran") >= 8
    assert "throttled" in outcomes


def test_tries_again_when_asynchronous_invocation_fails(served: LocalStack) -> None:
    before = len([line for line in served.log_lines("Step") if "never mind" in line])

    answer = served.client("lambda").invoke(
        FunctionName="tidemark-Step", InvocationType="Event", Payload=b'{"do": "always_throttled"}'
    )

    assert answer["StatusCode"] == 202
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        tried = len([line for line in served.log_lines("Step") if "never mind" in line]) - before
        if tried == 3:
            break
        time.sleep(0.05)
    assert tried == 3


def test_names_missing_module_when_function_cannot_load(served: LocalStack) -> None:
    client = served.client("lambda")
    payload = json.loads(client.invoke(FunctionName="tidemark-Broken")["Payload"].read())

    assert payload["errorType"] == "Runtime.ImportModuleError"
    assert "no_such_module" in payload["errorMessage"]


def test_lets_nobody_move_its_clock_over_http_when_it_does_not_tick(served: LocalStack) -> None:
    assert served.http("GET", "/_local/clock").status == 404


def test_leaves_nothing_behind_when_stopped(served: LocalStack) -> None:
    # Named so that it is clear what it needs: this module's own stack must be gone for another to run.
    served.close()
    threads_before = set(threading.enumerate())

    with LocalStack.serve(TEMPLATE) as stack:
        ports = [int(url.rpartition(":")[2]) for url in (stack.url, stack.aws.endpoint_url or "")]
        assert stack.http("POST", "/shelf/1").status == 200
        arn = start_flow(stack, {"do": "slow"})
        while not stack.history(arn):
            time.sleep(0.01)
        started = time.monotonic()

    assert time.monotonic() - started < 10
    assert children() == []
    assert [thread.name for thread in set(threading.enumerate()) - threads_before] == []
    for port in ports:
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))


def children() -> list[str]:
    """Command lines of the processes that this one started, and theirs."""
    found = []
    parents = {os.getpid()}
    for path in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError):
            fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) in parents and fields[0] != "Z":
                parents.add(int(path.name))
                found.append((path / "cmdline").read_text().replace("\0", " "))
    # Python's own, which other tests' process pools leave running until this process ends.
    return [line for line in found if "multiprocessing.resource_tracker" not in line]

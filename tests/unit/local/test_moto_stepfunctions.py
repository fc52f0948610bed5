"""moto's Step Functions as the local stack changes it, through the application's state machine in process."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.local.stack import Execution, LocalStack


def start(stack: LocalStack, name: str | None = None, **given: Any) -> str:
    document = {"wait": 0, "restore": "r1", "begin": {"do": "nothing"}, **given}
    arn: str = stack.client("stepfunctions").start_execution(
        stateMachineArn=stack.physical_id("Flow"), input=json.dumps(document), **({"name": name} if name else {})
    )["executionArn"]
    return arn


def run(stack: LocalStack, **given: Any) -> Execution:
    return stack.wait_execution(start(stack, **given))


def list_of(stack: LocalStack, items: list[dict[str, Any]]) -> str:
    key = f"{uuid.uuid4()}.json"
    stack.client("s3").put_object(Bucket=stack.physical_id("Bucket"), Key=key, Body=json.dumps(items).encode())
    return key


def machine(stack: LocalStack, states: dict[str, Any]) -> str:
    arn: str = stack.client("stepfunctions").create_state_machine(
        name=f"m-{uuid.uuid4()}",
        definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
        roleArn="arn:aws:iam::123456789012:role/any",
    )["stateMachineArn"]
    return arn


def test_tells_states_entered_when_it_succeeds(stack: LocalStack) -> None:
    arn = start(stack, name=f"smartcity-{uuid.uuid4()}")

    assert stack.wait_execution(arn).status == "SUCCEEDED"
    assert stack.history(arn) == ["Begin", "Settle", "HasItems", "Done"]


def test_goes_to_rollback_when_python_exception_is_caught_by_name(stack: LocalStack) -> None:
    arn = start(stack, begin={"do": "corrupt", "item": 7})
    execution = stack.wait_execution(arn)

    assert (execution.status, execution.error) == ("FAILED", "PackCorrupt")
    assert json.loads(execution.cause or "")["errorMessage"] == "pack 7 is damaged"
    assert stack.history(arn) == ["Begin", "Rollback", "Failed"]


def test_tries_again_after_scaled_pause_when_error_is_retried(stack: LocalStack) -> None:
    started = time.monotonic()
    execution = run(stack, begin={"do": "throttled_twice", "name": str(uuid.uuid4())})

    assert execution.output["begun"]["tries"] == 3
    assert time.monotonic() - started < 5  # 5 s and 10 s, times 0.01


def test_waits_scaled_time_when_wait_state_says_so(stack: LocalStack) -> None:
    started = time.monotonic()

    assert run(stack, wait=100).status == "SUCCEEDED"
    assert 1 <= time.monotonic() - started < 20


def test_gives_results_in_order_when_map_succeeds(stack: LocalStack) -> None:
    key = list_of(stack, [{"n": number, "do": f"item {number}"} for number in range(30)])

    execution = run(stack, key=key)

    assert [result["did"] for result in execution.output["staged"]] == [f"item {number}" for number in range(30)]


def test_succeeds_when_list_of_map_is_empty(stack: LocalStack) -> None:
    assert run(stack, key=list_of(stack, [])).output["staged"] == []


def test_fails_map_and_tells_item_when_one_item_fails(stack: LocalStack) -> None:
    key = list_of(stack, [{"n": number, "do": "corrupt" if number == 7 else "fine"} for number in range(30)])

    arn = start(stack, key=key)
    execution = stack.wait_execution(arn)

    assert (execution.status, execution.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert stack.history(arn) == ["Begin", "Settle", "HasItems", "Stage", "Rollback", "Failed"]
    [failure] = stack.map_failures(arn)
    assert (failure.index, failure.error) == (7, "PackCorrupt")
    assert failure.item == {"item": 7, "do": "corrupt", "restore": "r1"}
    assert "pack 7 is damaged" in failure.cause


def test_starts_no_more_items_when_map_has_failed(stack: LocalStack) -> None:
    before = len(stack.log_lines("Step"))
    key = list_of(stack, [{"n": number, "do": "corrupt"} for number in range(200)])

    arn = start(stack, key=key)
    stack.wait_execution(arn)

    assert len(stack.map_failures(arn)) <= 4
    assert len(stack.log_lines("Step")) - before <= 4 * 2


def test_says_reader_failed_when_list_is_missing(stack: LocalStack) -> None:
    execution = run(stack, key="nowhere.json")

    assert execution.error == "States.ItemReaderFailed"


def test_tolerates_failures_when_percentage_allows(stack: LocalStack) -> None:
    step = stack.deployment.functions["Step"].arn
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": step, "Payload.$": "$"},
        "End": True,
    }
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "One",
        "States": {"One": task},
    }
    states: dict[str, Any] = {
        "All": {"Type": "Map", "ToleratedFailurePercentage": 50, "ItemProcessor": processor, "End": True}
    }
    arn = machine(stack, states)
    items = [{"do": "corrupt"}, {"do": "fine"}, {"do": "fine"}]

    execution = stack.wait_execution(
        stack.client("stepfunctions").start_execution(stateMachineArn=arn, input=json.dumps(items))["executionArn"]
    )

    assert execution.status == "SUCCEEDED"


def test_finishes_when_map_has_a_thousand_items_one_at_a_time(stack: LocalStack) -> None:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "One",
        "States": {"One": {"Type": "Pass", "End": True}},
    }
    states: dict[str, Any] = {"All": {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": processor, "End": True}}
    arn = machine(stack, states)

    execution = stack.wait_execution(
        stack.client("stepfunctions").start_execution(stateMachineArn=arn, input=json.dumps(list(range(1000))))[
            "executionArn"
        ]
    )

    assert execution.output == list(range(1000))


def test_runs_all_when_executions_start_at_once(stack: LocalStack) -> None:
    with ThreadPoolExecutor(8) as pool:
        arns = list(pool.map(lambda _: start(stack), range(24)))

    assert {stack.wait_execution(arn).status for arn in arns} == {"SUCCEEDED"}
    assert set(arns) <= {execution.arn for execution in stack.executions("Flow")}


def test_lets_one_win_when_executions_of_one_name_start_at_once(stack: LocalStack) -> None:
    name = str(uuid.uuid4())

    def attempt(number: int) -> bool:
        try:
            start(stack, name=name, number=number)
        except stack.client("stepfunctions").exceptions.ExecutionAlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


@pytest.mark.parametrize("state", ["Wait", "Retry"])
def test_stops_at_once_when_execution_pauses(stack: LocalStack, state: str) -> None:
    given: dict[str, Any] = {"wait": 100_000} if state == "Wait" else {"begin": {"do": "always_throttled"}}
    arn = start(stack, **given)
    while not stack.history(arn):
        time.sleep(0.01)

    started = time.monotonic()
    stack.client("stepfunctions").stop_execution(executionArn=arn)

    assert stack.wait_execution(arn).status in {"ABORTED", "FAILED"}
    assert time.monotonic() - started < 3


def test_gives_each_execution_states_of_its_own_when_many_run_by_one_definition(stack: LocalStack) -> None:
    arns = [start(stack, begin={"do": do}) for do in ["nap", "corrupt", "nothing"] * 4]

    ended = [stack.wait_execution(arn) for arn in arns]

    assert [execution.status for execution in ended] == ["SUCCEEDED", "FAILED", "SUCCEEDED"] * 4
    assert [stack.history(arn)[-1] for arn in arns] == ["Done", "Failed", "Done"] * 4

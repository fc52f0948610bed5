"""How errors of the AWS client are named, how long repeats wait, and how clients are made."""

import subprocess
import sys

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from tests.fakes import ManualClock, SeededEntropy
from tidemark.adapters import clients
from tidemark.adapters.aws_errors import named
from tidemark.adapters.backoff import Backoff
from tidemark.errors import AwsFailure, ObjectExists, Throttled


def _refused(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


def test_named_raises_the_error_given_for_the_code() -> None:
    expected = ObjectExists("taken")
    cause = _refused("PreconditionFailed")
    with pytest.raises(ObjectExists) as caught, named("storing", {"PreconditionFailed": expected}):
        raise cause
    assert caught.value is expected
    assert caught.value.__cause__ is cause


def test_named_raises_throttled_when_the_code_says_so() -> None:
    with pytest.raises(Throttled, match=r"storing: .*SlowDown"), named("storing"):
        raise _refused("SlowDown")


def test_named_looks_at_the_code_and_never_at_the_message() -> None:
    with pytest.raises(AwsFailure, match=r"storing: .*Surprise") as caught, named("storing"):
        raise _refused("Surprise", "ThrottlingException: SlowDown")
    assert "ThrottlingException" not in caught.value.message


def test_named_raises_aws_failure_when_there_was_no_answer() -> None:
    with pytest.raises(AwsFailure, match="EndpointConnectionError"), named("storing"):
        raise EndpointConnectionError(endpoint_url="https://nowhere.example")


def test_named_leaves_errors_of_this_program_alone() -> None:
    with pytest.raises(ParamValidationError), named("storing"):
        raise ParamValidationError(report="no such parameter")
    with pytest.raises(KeyError), named("storing"):
        raise KeyError


def test_backoff_waits_longer_each_time_up_to_a_bound() -> None:
    clock = ManualClock()

    class Most(SeededEntropy):
        def jitter(self) -> float:
            return 1.0

    backoff = Backoff(clock, Most(), first_s=0.1, longest_s=0.5, budget_s=2)
    moments = [0.1, 0.3, 0.7, 1.2, 1.7, 2.2]
    for moment_s in moments:
        backoff.pause("reading")
        assert clock.monotonic_s() == pytest.approx(moment_s)
    with pytest.raises(Throttled, match="reading"):
        backoff.pause("reading")


def test_backoff_waits_at_random() -> None:
    clock = ManualClock()
    backoff = Backoff(clock, SeededEntropy(), first_s=1, longest_s=1)
    times = []
    for _ in range(10):
        before_s = clock.monotonic_s()
        backoff.pause("reading")
        times.append(clock.monotonic_s() - before_s)
    assert len(set(times)) == 10
    assert all(0 <= time_s <= 1 for time_s in times)


def test_clients_are_made_once_until_they_are_forgotten() -> None:
    first = clients.dynamodb(), clients.s3(), clients.stepfunctions()
    assert (clients.dynamodb(), clients.s3(), clients.stepfunctions()) == first
    clients.forget()
    assert clients.s3() is not first[1]
    clients.forget()


@pytest.mark.parametrize("client", [clients.dynamodb, clients.s3, clients.stepfunctions])
def test_clients_have_bounded_timeouts_and_retries(client: object) -> None:
    assert callable(client)
    config = client().meta.config
    clients.forget()
    assert (config.connect_timeout, config.read_timeout) == (2, 10)
    assert (config.retries["mode"], config.retries["total_max_attempts"]) == ("standard", 5)
    assert config.max_pool_connections == 32


def test_clients_do_without_boto3() -> None:
    code = "import sys, tidemark.adapters.clients as clients; clients.s3(); print('boto3' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert found.stdout.strip() == "False"


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(sys.path), "AWS_DEFAULT_REGION": "eu-west-1"}

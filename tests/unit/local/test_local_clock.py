"""The clock of a local stack: moved, it is moved for everything alike, and nothing that waits notices."""

import datetime as dt
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.local.aws import REGION
from tests.local.local_clock import LocalClock
from tests.local.stack import LocalStack
from tests.unit.local.conftest import TEMPLATE

DAY = dt.timedelta(days=1)
NEAR = dt.timedelta(seconds=5)


@pytest.fixture(params=["in process", "served"])
def moved(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    """A stack of each form, with functions that were in use before its clock was moved by 40 days."""
    make = LocalStack.in_process if request.param == "in process" else LocalStack.serve
    with make(TEMPLATE, wait_scale=0.01) as stack:
        look(stack)
        stack.clock.move_by(40 * DAY)
        yield stack


def look(stack: LocalStack) -> dict[str, Any]:
    seen: dict[str, Any] = stack.http("GET", "/echo?do=clock", {"Authorization": "me"}).json()
    return seen


def machine_now() -> dt.datetime:
    """The time that is not moved: the one that the file system goes by."""
    with tempfile.NamedTemporaryFile() as file:
        return dt.datetime.fromtimestamp(Path(file.name).stat().st_mtime, dt.UTC)


def test_shows_functions_the_moved_clock_also_when_they_were_warm(moved: LocalStack) -> None:
    expected = machine_now() + 40 * DAY

    seen = look(moved)

    assert abs(dt.datetime.fromisoformat(seen["time"]) - expected) < NEAR
    assert abs(dt.datetime.fromtimestamp(seen["time_s"], dt.UTC) - expected) < NEAR
    assert abs(moved.clock.now() - expected) < NEAR


def test_leaves_functions_their_time_when_the_clock_is_moved(moved: LocalStack) -> None:
    assert 2000 < look(moved)["remaining_ms"] <= 3000


def test_leaves_functions_their_time_when_the_clock_is_moved_while_they_run(moved: LocalStack) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(moved.http, "GET", "/echo?do=clock&seconds=0.5", {"Authorization": "me"})
        time.sleep(0.2)
        moved.clock.move_by(DAY)

    assert 1500 < answer.result().json()["remaining_ms"] <= 2500


def test_leaves_monotonic_clocks_alone(moved: LocalStack) -> None:
    before = time.monotonic()

    assert 0 <= look(moved)["monotonic_s"] - before < 10


def test_starts_new_functions_with_the_moved_clock(moved: LocalStack) -> None:
    answer = moved.http("POST", "/shelf/late")

    assert answer.status == 200
    lines = "".join(moved.log_lines("Shelf"))
    assert f"{moved.clock.now():%Y-%m-%d}" in lines


def test_dates_what_is_stored_by_the_moved_clock(moved: LocalStack) -> None:
    s3, bucket = moved.client("s3"), moved.physical_id("Bucket")

    s3.put_object(Bucket=bucket, Key="late", Body=b"late")

    assert abs(s3.head_object(Bucket=bucket, Key="late")["LastModified"] - moved.clock.now()) < NEAR


def test_ends_presigned_addresses_when_the_clock_passes_their_end() -> None:
    with LocalStack.serve(TEMPLATE) as stack:
        bucket = stack.physical_id("Bucket")
        s3 = boto3.client(
            "s3",
            endpoint_url=stack.aws.endpoint_url,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        s3.put_object(Bucket=bucket, Key="k", Body=b"held")
        stack.clock.move_by(DAY)
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=3600)

        with urllib.request.urlopen(url, timeout=5) as answer:
            assert answer.read() == b"held"
        stack.clock.move_by(dt.timedelta(hours=2))
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url, timeout=5)


def test_lets_executions_end_that_run_while_it_is_moved(moved: LocalStack) -> None:
    arn = moved.client("stepfunctions").start_execution(
        stateMachineArn=moved.physical_id("Flow"),
        name=f"moving-{uuid.uuid4()}",
        input='{"begin": {"do": "nap"}, "wait": 0}',
    )["executionArn"]
    moved.clock.move_by(DAY)

    assert moved.wait_execution(arn, timeout_s=20).status == "SUCCEEDED"


def test_gives_the_machine_its_clock_back_when_the_stack_is_closed() -> None:
    with LocalStack.in_process(TEMPLATE) as stack:
        stack.clock.move_by(DAY)
        assert stack.clock.offset == DAY

    assert abs(dt.datetime.now(dt.UTC) - machine_now()) < NEAR


def test_does_not_go_back_and_wants_a_zone() -> None:
    clock = LocalClock()
    try:
        with pytest.raises(ValueError, match="does not go back"):
            clock.move_to(clock.now() - dt.timedelta(seconds=1))
        with pytest.raises(ValueError, match="does not go back"):
            clock.move_by(-DAY)
        with pytest.raises(ValueError, match="has no time zone"):
            clock.move_to(dt.datetime(2040, 1, 1))  # noqa: DTZ001 - what is refused
        assert clock.offset == dt.timedelta(0)
    finally:
        clock.stop()


def test_is_where_it_was_moved_to() -> None:
    clock = LocalClock()
    try:
        clock.move_to(dt.datetime(2040, 2, 29, 12, tzinfo=dt.UTC))
        assert abs(clock.now() - dt.datetime(2040, 2, 29, 12, tzinfo=dt.UTC)) < NEAR
        assert abs(dt.datetime.fromtimestamp(clock.machine_time_s(), dt.UTC) - machine_now()) < NEAR
    finally:
        clock.stop()

"""Tasks: they end once, and as they have ended they stay."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from tests.unit.volumes.examples import FAILURE, TASK_ID, TEN_O_CLOCK, VOLUME_ID, task
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Operation, Task, TaskStatus, new_task_id, parse_task_id
from tidemark.errors import InvalidRequest, WrongState

LATER = TEN_O_CLOCK + timedelta(minutes=5)


def test_task_is_pending_until_it_is_over() -> None:
    done = task(Operation.RESTORE).succeeded(LATER, VOLUME_ID)
    assert (task().status, done.status, done.result_id, done.finished_at) == (
        TaskStatus.PENDING,
        TaskStatus.SUCCESS,
        VOLUME_ID,
        LATER,
    )


def test_task_that_succeeds_twice_ended_the_first_time() -> None:
    done = task().succeeded(LATER)
    assert done.succeeded(LATER + timedelta(hours=1)) == done


def test_task_that_fails_twice_keeps_its_first_reason() -> None:
    failed = task().failed(FAILURE, LATER)
    assert failed.failed(Failure("AwsFailure", "later"), LATER + timedelta(hours=1)) == failed


def test_task_that_failed_never_succeeds_and_the_other_way_round() -> None:
    with pytest.raises(WrongState):
        task().failed(FAILURE, LATER).succeeded(LATER)
    with pytest.raises(WrongState):
        task().succeeded(LATER).failed(FAILURE, LATER)


def test_task_that_succeeded_has_made_one_thing() -> None:
    with pytest.raises(WrongState):
        task().succeeded(LATER, "one").succeeded(LATER, "another")


def test_id_is_a_uuid() -> None:
    assert new_task_id(bytes.fromhex(TASK_ID.replace("-", ""))) == parse_task_id(TASK_ID.upper()) == TASK_ID
    with pytest.raises(InvalidRequest, match="the id of a task"):
        parse_task_id("1")


def test_record_is_read_back_as_it_was_stored() -> None:
    one = replace(task().failed(FAILURE, LATER), version=3)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Task) == one

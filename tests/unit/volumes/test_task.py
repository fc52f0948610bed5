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


def test_task_writes_to_one_snapshot_of_the_clouds_and_makes_one_thing_of_it() -> None:
    writing = task(Operation.RESTORE).writing_to("snap-1")
    assert writing.writing_to("snap-1") == writing
    made = writing.having_made("vol-1")
    assert (made.target_id, made.having_made("vol-1")) == ("snap-1", made)
    with pytest.raises(WrongState, match="another snapshot"):
        writing.writing_to("snap-2")
    with pytest.raises(WrongState, match="something else"):
        made.having_made("vol-2")
    for over in (made.succeeded(LATER, VOLUME_ID), made.failed(FAILURE, LATER)):
        with pytest.raises(WrongState, match="is over"):
            over.writing_to("snap-1")
        with pytest.raises(WrongState, match="is over"):
            over.having_made("vol-1")


def test_cancelled_task_has_failed_and_is_cancelled_once() -> None:
    said = Failure("TaskCancelled", "nobody wants it")
    cancelled = task(Operation.RESTORE).cancelled(said, LATER)
    assert (cancelled.status, cancelled.failure) == (TaskStatus.FAILED, said)
    assert cancelled.cancelled(said, LATER + timedelta(hours=1)) == cancelled
    for over in (task(Operation.RESTORE).failed(FAILURE, LATER), task(Operation.RESTORE).succeeded(LATER)):
        with pytest.raises(WrongState, match="is over"):
            over.cancelled(said, LATER)
    for operation in (Operation.CREATE, Operation.DELETE):
        with pytest.raises(WrongState, match=f"to {operation} a snapshot, which can't be cancelled"):
            task(operation).cancelled(said, LATER)


def test_id_is_a_uuid() -> None:
    assert new_task_id(bytes.fromhex(TASK_ID.replace("-", ""))) == parse_task_id(TASK_ID.upper()) == TASK_ID
    with pytest.raises(InvalidRequest, match="the id of a task"):
        parse_task_id("1")


def test_record_is_read_back_as_it_was_stored() -> None:
    one = replace(task().failed(FAILURE, LATER), version=3)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Task) == one

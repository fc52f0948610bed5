"""Answers of the cloud.ca dialect: the documented members in the documented order, and no null anywhere."""

import json
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from tests.unit.volumes.examples import (
    FAILURE,
    TEN_O_CLOCK,
    VOLUME_ID,
    in_state,
    snapshot,
    task,
    volume,
)
from tests.unit.volumes.golden import FOLDER, golden, written
from tidemark.dialects.cloudca import answers
from tidemark.dialects.cloudca.errors import render
from tidemark.dialects.cloudca.words import SNAPSHOT_STATES, VOLUME_STATES
from tidemark.dialects.wire import Response
from tidemark.domain.interval import IntervalType
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Operation, TaskStatus
from tidemark.domain.volume import VolumeKind, VolumeState
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.errors import WrongState

LATER = TEN_O_CLOCK + timedelta(minutes=5)
STORED = in_state(State.STORED)
DETACHED = volume(
    name="deep_thought_42",
    kind=VolumeKind.DATA,
    state=VolumeState.AVAILABLE,
    instance_id=None,
    instance_name=None,
    instance_source_id=None,
)


def _wrong_state() -> Response:
    with pytest.raises(WrongState) as refused:
        in_state(State.STORING).check_stored()
    return render(refused.value, "correlation-1")


ANSWERS = {
    "snapshot_list": (200, answers.snapshot_list([STORED])),
    "snapshot": (200, answers.one_snapshot(STORED)),
    "empty_list": (200, answers.snapshot_list([])),
    "volume_list": (200, answers.volume_list([volume()])),
    "detached_volume": (200, answers.one_volume(DETACHED)),
    "task_pending": (200, answers.one_task(task())),
    "task_success": (200, answers.one_task(task().succeeded(LATER), STORED)),
    "task_failed": (200, answers.one_task(task().failed(FAILURE, LATER))),
    "wrong_state": (400, _wrong_state()),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_is_the_golden_document(name: str) -> None:
    status, response = ANSWERS[name]
    assert (response.status, written(response)) == (status, golden(name))


def test_every_golden_document_is_of_an_answer() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(ANSWERS)


def test_begun_task_is_accepted_as_pending_whatever_has_become_of_it() -> None:
    for one in (task(), task().succeeded(LATER), task().failed(FAILURE, LATER)):
        response = answers.accepted(one)
        assert (response.status, written(response)) == (202, golden("task_pending"))


def test_each_state_of_a_snapshot_has_its_documented_name() -> None:
    names = {state: json.loads(answers.one_snapshot(in_state(state)).body)["data"]["state"] for state in State}
    assert list(names.values()) == [
        "Allocated",
        "Creating",
        "CreatedOnPrimary",
        "BackingUp",
        "BackedUp",
        "Error",
        "Destroying",
        "Destroyed",
    ]
    assert names == SNAPSHOT_STATES


def test_each_interval_has_its_documented_name() -> None:
    shown = [
        json.loads(answers.one_snapshot(snapshot(interval=interval)).body)["data"]["intervalType"]
        for interval in IntervalType
    ]
    assert shown == ["MANUAL", "HOURLY", "DAILY", "WEEKLY", "MONTHLY"]


def test_snapshot_of_a_data_volume_says_so_in_its_own_word() -> None:
    shown = json.loads(answers.one_snapshot(snapshot(volume_kind=VolumeKind.DATA)).body)["data"]
    assert shown["volumeType"] == "DATADISK"


def test_every_state_of_a_volume_has_a_name() -> None:
    assert {json.loads(answers.one_volume(volume(state=state)).body)["data"]["state"] for state in VolumeState} == set(
        VOLUME_STATES.values()
    )


def test_size_of_a_volume_is_in_whole_gigabytes_and_never_too_small() -> None:
    sizes = [volume(size_bytes=size) for size in (0, 1, 1024**3, 1024**3 + 1)]
    assert [one["sizeInGb"] for one in json.loads(answers.volume_list(sizes).body)["data"]] == [0, 1, 1, 2]


def test_moments_are_told_in_utc() -> None:
    elsewhere = TEN_O_CLOCK.astimezone(timezone(timedelta(hours=-5)))
    assert answers.moment(elsewhere) == "2016-11-16T21:10:09+0000"


@pytest.mark.parametrize(
    ("operation", "made", "result_id", "told"),
    [
        (Operation.CREATE, STORED, None, STORED.id),
        (Operation.RESTORE, volume(), VOLUME_ID, VOLUME_ID),
        (Operation.CREATE_TEMPLATE, None, "ami-0abcdef1234567890", "ami-0abcdef1234567890"),
    ],
)
def test_task_that_succeeded_gives_what_it_made(operation: Operation, made: object, result_id: str, told: str) -> None:
    done = task(operation).succeeded(LATER, result_id)
    shown = json.loads(answers.one_task(done, made).body)  # type: ignore[arg-type] # each is one that it takes
    assert shown["data"]["result"]["id"] == told


def test_task_that_deleted_has_no_result() -> None:
    assert "result" not in json.loads(answers.one_task(task(Operation.DELETE).succeeded(LATER)).body)["data"]


def test_task_that_goes_on_shows_nothing_of_what_it_makes() -> None:
    assert written(answers.one_task(task(), STORED)) == golden("task_pending")


def test_failure_that_nobody_named_stays_inside() -> None:
    failed = task().failed(Failure("ClientError", "arn:aws:ec2:secret"), LATER)
    shown = answers.one_task(failed)
    assert "secret" not in shown.body
    assert json.loads(shown.body)["errors"][0]["context"] == {"failure": "ClientError"}


def test_failed_task_without_a_reason_is_failed_all_the_same() -> None:
    shown = json.loads(answers.one_task(replace(task(), status=TaskStatus.FAILED)).body)
    assert (shown["taskStatus"], "errors" in shown) == ("FAILED", False)

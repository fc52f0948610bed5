"""What a schedule of a volume may be asked for as: the parser and the described model take and refuse the same."""

import json

import msgspec
import pytest

from tests.unit.volumes.examples import VOLUME_ID, request
from tidemark.dialects.cloudca.openapi.bodies import CreateVolumeSchedule
from tidemark.dialects.cloudca.openapi.schedule_operations import OPERATIONS
from tidemark.dialects.cloudca.routes import SCHEDULES
from tidemark.dialects.cloudca.schedules import schedule_wanted
from tidemark.domain.interval import IntervalType
from tidemark.domain.volume_schedule import Timing
from tidemark.errors import InvalidRequest
from tidemark.usecases.set_volume_schedule import VolumeScheduleWanted

HOURLY = {"volumeId": VOLUME_ID, "intervalType": "HOURLY", "keep": 2}


def parsed(document: object) -> VolumeScheduleWanted:
    return schedule_wanted(request("POST", SCHEDULES, body=json.dumps(document).encode()))


def test_described_examples_are_taken() -> None:
    body = OPERATIONS[f"POST {SCHEDULES}"].body
    assert body is not None
    for example in body.examples.values():
        assert isinstance(msgspec.convert(example, CreateVolumeSchedule), CreateVolumeSchedule)
        assert parsed(example).volume_id == VOLUME_ID


@pytest.mark.parametrize(
    ("members", "timing"),
    [
        ({}, Timing(IntervalType.HOURLY, 0)),
        ({"minute": 59}, Timing(IntervalType.HOURLY, 59)),
        ({"intervalType": "DAILY"}, Timing(IntervalType.DAILY, 0, 0)),
        ({"intervalType": "DAILY", "time": "23:59"}, Timing(IntervalType.DAILY, 59, 23)),
        ({"intervalType": "WEEKLY", "day": 7}, Timing(IntervalType.WEEKLY, 0, 0, 7)),
        ({"intervalType": "MONTHLY", "day": 28, "time": "00:01"}, Timing(IntervalType.MONTHLY, 1, 0, 28)),
    ],
)
def test_schedule_is_read_as_it_is_described(members: dict[str, object], timing: Timing) -> None:
    msgspec.convert(HOURLY | members, CreateVolumeSchedule)
    assert parsed(HOURLY | members) == VolumeScheduleWanted(VOLUME_ID, timing, 2, "UTC")


@pytest.mark.parametrize(("members", "paused"), [({}, False), ({"paused": False}, False), ({"paused": True}, True)])
def test_schedule_is_paused_only_where_that_is_said(members: dict[str, object], *, paused: bool) -> None:
    msgspec.convert(HOURLY | members, CreateVolumeSchedule)
    assert parsed(HOURLY | members).paused is paused


@pytest.mark.parametrize(
    "members",
    [
        {"volumeId": 7},
        {"volumeId": "vol-1"},
        {"intervalType": 1},
        {"keep": 0},
        {"keep": 100_001},
        {"keep": "2"},
        {"keep": 2.5},
        {"minute": -1},
        {"minute": 60},
        {"intervalType": "DAILY", "time": "24:00"},
        {"intervalType": "DAILY", "time": "12:60"},
        {"intervalType": "DAILY", "time": 2},
        {"intervalType": "MONTHLY", "day": 0},
        {"intervalType": "MONTHLY", "day": 29},
        {"timezone": 1},
        {"paused": 1},
        {"paused": "true"},
        {"paused": None},
        {"maxsnaps": 3},
    ],
)
def test_what_the_description_refuses_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(HOURLY | members, CreateVolumeSchedule)
    with pytest.raises(InvalidRequest):
        parsed(HOURLY | members)

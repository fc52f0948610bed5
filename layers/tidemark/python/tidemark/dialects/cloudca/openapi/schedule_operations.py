"""The routes of schedules of volumes."""

from typing import Final

from tidemark.dialects.cloudca.answers import Listed, One
from tidemark.dialects.cloudca.openapi import bodies
from tidemark.dialects.cloudca.openapi.parameters import OF_VOLUME, TO_CREATE
from tidemark.dialects.cloudca.routes import SCHEDULE, SCHEDULES
from tidemark.dialects.cloudca.schedules import ScheduleDone, VolumeScheduleBody
from tidemark.dialects.ngsi.openapi.operation import Answer, Body, Operation

_TAG: Final = "Schedules of volumes"
_VOLUME: Final = "c779ca42-6966-41af-a7dc-23db4e41d4ee"

OPERATIONS: Final[dict[str, Operation]] = {
    f"GET {SCHEDULES}": Operation(
        id="listVolumeSchedules",
        tag=_TAG,
        summary="List the schedules of volumes",
        description="Those of an environment, oldest first.",
        parameters=(OF_VOLUME,),
        answers={200: Answer("All of them.", Listed[VolumeScheduleBody])},
    ),
    f"POST {SCHEDULES}": Operation(
        id="createVolumeSchedule",
        tag=_TAG,
        summary="Have snapshots of a volume taken on a schedule",
        description="A volume has one of each interval type: asking again changes that one.",
        parameters=(TO_CREATE,),
        body=Body(
            bodies.CreateVolumeSchedule,
            {
                "hourly": {"volumeId": _VOLUME, "intervalType": "HOURLY", "keep": 24, "minute": 15},
                "nightly": {
                    "volumeId": _VOLUME,
                    "intervalType": "DAILY",
                    "keep": 7,
                    "time": "02:30",
                    "timezone": "America/Toronto",
                },
                "on Sundays": {"volumeId": _VOLUME, "intervalType": "WEEKLY", "keep": 5, "day": 1},
            },
        ),
        answers={200: Answer("EventBridge Scheduler has it.", ScheduleDone)},
    ),
    f"GET {SCHEDULE}": Operation(
        id="getVolumeSchedule",
        tag=_TAG,
        summary="Show a schedule of a volume, with its last and its next slot",
        answers={200: Answer("The schedule.", One[VolumeScheduleBody])},
    ),
    f"DELETE {SCHEDULE}": Operation(
        id="deleteVolumeSchedule",
        tag=_TAG,
        summary="End a schedule of a volume",
        description="The snapshots that it made stay.",
        answers={200: Answer("It is gone.", ScheduleDone)},
    ),
}

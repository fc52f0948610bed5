"""The routes of schedules of volumes."""

from typing import Final

from tidemark.dialects.cloudca.answers import Listed, One
from tidemark.dialects.cloudca.openapi import bodies
from tidemark.dialects.cloudca.openapi.parameters import OF_VOLUME, TO_SET
from tidemark.dialects.cloudca.routes import SCHEDULE, SCHEDULES
from tidemark.dialects.cloudca.schedules import Done, ScheduleBody
from tidemark.dialects.ngsi.openapi.operation import Answer, Body, Operation

_TAG: Final = "Schedules of volumes"

OPERATIONS: Final[dict[str, Operation]] = {
    f"GET {SCHEDULES}": Operation(
        id="listVolumeSchedules",
        tag=_TAG,
        summary="List the schedules of volumes",
        parameters=(OF_VOLUME,),
        answers={200: Answer("All of them, oldest first.", Listed[ScheduleBody])},
    ),
    f"POST {SCHEDULES}": Operation(
        id="createVolumeSchedule",
        tag=_TAG,
        summary="Have snapshots of a volume taken on a schedule",
        description=(
            "A volume has one schedule of each interval type: asking again changes it as a whole. What is left out is "
            "then as it is unless given, so one that was `paused` goes on."
        ),
        parameters=(TO_SET,),
        body=Body(
            bodies.CreateVolumeSchedule,
            {
                "nightly": {
                    "volumeId": "c779ca42-6966-41af-a7dc-23db4e41d4ee",
                    "intervalType": "DAILY",
                    "keep": 7,
                    "time": "02:30",
                    "timezone": "America/Toronto",
                },
                "paused": {
                    "volumeId": "c779ca42-6966-41af-a7dc-23db4e41d4ee",
                    "intervalType": "HOURLY",
                    "keep": 24,
                    "paused": True,
                },
            },
        ),
        answers={200: Answer("The schedule as it is now.", Done)},
    ),
    f"GET {SCHEDULE}": Operation(
        id="getVolumeSchedule",
        tag=_TAG,
        summary="Show a schedule of a volume",
        answers={200: Answer("The schedule.", One[ScheduleBody])},
    ),
    f"DELETE {SCHEDULE}": Operation(
        id="deleteVolumeSchedule",
        tag=_TAG,
        summary="End a schedule of a volume",
        description="Its snapshots stay.",
        answers={200: Answer("It is done.", Done)},
    ),
}

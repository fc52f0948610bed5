"""The routes of schedules, and of what their retention would do."""

from typing import Final

from tidemark.dialects.ngsi.openapi import bodies
from tidemark.dialects.ngsi.openapi.forms import array_of, ref
from tidemark.dialects.ngsi.openapi.operation import Answer, Body, Operation, Parameter
from tidemark.dialects.ngsi.openapi.parameters import COUNT, IDEMPOTENCY, OFFSET, PAGE
from tidemark.dialects.ngsi.parameters import MAX_LIMIT
from tidemark.dialects.ngsi.previews import PreviewBody
from tidemark.dialects.ngsi.schedules import DamagedScheduleBody, ScheduleBody

_TAG: Final = "Schedules"
_LISTED: Final = (ScheduleBody, DamagedScheduleBody)
_DECISIONS: Final = Parameter(
    "DecisionLimit",
    "limit",
    "query",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
    "How many decisions at most; all of them if it is left out.",
)

OPERATIONS: Final[dict[str, Operation]] = {
    "POST /v2/schedules": Operation(
        id="createSchedule",
        tag=_TAG,
        summary="Have snapshots of the tenant taken on a schedule",
        parameters=(IDEMPOTENCY,),
        body=Body(
            bodies.CreateSchedule,
            {
                "hourly": {"expression": "rate(1 hour)"},
                "nightly": {
                    "expression": "cron(0 2 * * ? *)",
                    "timezone": "Europe/Paris",
                    "windowMinutes": 15,
                    "description": "{interval} backup of {date}",
                    "labels": {"by": "schedule"},
                    "retention": {"keepLast": 3, "daily": 7, "weekly": 4, "monthly": 12},
                    "overlap": "skip",
                },
                "paused": {"expression": "cron(0 4 ? * SUN *)", "interval": "weekly", "paused": True},
            },
        ),
        answers={201: Answer("EventBridge Scheduler has it.", ScheduleBody, ("Location",))},
        refusals=(409,),
    ),
    "GET /v2/schedules": Operation(
        id="listSchedules",
        tag=_TAG,
        summary="List schedules, oldest first",
        parameters=(*PAGE, COUNT),
        answers={
            200: Answer(
                "A page of schedules.",
                array_of({"anyOf": [ref(model.__name__) for model in _LISTED]}),
                ("Fiware-Total-Count",),
            )
        },
    ),
    "GET /v2/schedules/{scheduleId}": Operation(
        id="getSchedule",
        tag=_TAG,
        summary="Show a schedule, with its last and its next run",
        answers={200: Answer("The schedule.", ScheduleBody)},
    ),
    "PATCH /v2/schedules/{scheduleId}": Operation(
        id="updateSchedule",
        tag=_TAG,
        summary="Change a schedule, pause it, or let it go on",
        body=Body(
            bodies.UpdateSchedule,
            {
                "paused": {"paused": True},
                "resumed": {"paused": False},
                "moved": {"expression": "cron(30 3 * * ? *)", "timezone": "UTC", "windowMinutes": None},
                "kept": {"retention": {"daily": 14, "keepWithin": "P2D"}},
            },
        ),
        answers={204: Answer("It is changed.")},
        refusals=(409,),
    ),
    "DELETE /v2/schedules/{scheduleId}": Operation(
        id="deleteSchedule",
        tag=_TAG,
        summary="End a schedule; the snapshots that it made stay",
        answers={204: Answer("It is gone.")},
        refusals=(409,),
    ),
    "POST /v2/schedules/{scheduleId}/retention/preview": Operation(
        id="previewRetention",
        tag=_TAG,
        summary="Show what a retention policy would keep and forget now, and why, without deleting anything",
        parameters=(_DECISIONS, OFFSET),
        body=Body(
            bodies.PreviewRetention,
            {"another": {"retention": {"keepLast": 3, "daily": 7}}, "own": {}},
            required=False,
        ),
        answers={200: Answer("A decision on each snapshot that a schedule made, newest first.", PreviewBody)},
    ),
}
MODELS: Final = _LISTED
"""Those that schemas refer to by name."""

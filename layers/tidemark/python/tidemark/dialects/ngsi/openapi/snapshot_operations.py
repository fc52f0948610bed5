"""The routes of snapshots, and of what they hold."""

from typing import Final

from tidemark.dialects.ngsi.diff import DiffBody, DifferingEntity
from tidemark.dialects.ngsi.inside_routes import HistoryEntry
from tidemark.dialects.ngsi.openapi import bodies
from tidemark.dialects.ngsi.openapi.forms import array_of, ref
from tidemark.dialects.ngsi.openapi.operation import Answer, Body, Operation, Parameter
from tidemark.dialects.ngsi.openapi.parameters import (
    ATTRS,
    BEFORE,
    COUNT,
    IDEMPOTENCY,
    METADATA,
    PAGE,
    READ_PATHS,
    SCHEDULE,
    SELECTION,
    SHOWN,
    SINCE,
    SNAPSHOT,
    TYPE,
    TYPES,
    text,
    words,
)
from tidemark.dialects.ngsi.plans import CountingPlan, PlanBody
from tidemark.dialects.ngsi.snapshot_metadata import LABEL_KEY
from tidemark.dialects.ngsi.snapshots import (
    AcceptedRestore,
    DamagedSnapshotBody,
    RecycledSnapshot,
    SnapshotDetail,
    SnapshotSummary,
)
from tidemark.domain.change import Change
from tidemark.domain.interval import IntervalType
from tidemark.domain.snapshot import STANDINGS, Trigger

_SNAPSHOTS: Final = "Snapshots"
_INSIDE: Final = "Inside snapshots"
_LABELS: Final = f"{LABEL_KEY}(=[^,]*)?"
_CHOSEN: Final = (
    Parameter(
        "Status",
        "status",
        "query",
        {"type": "string", "enum": list(STANDINGS)},
        "Those that stand so; `deleted` lists the recycle bin.",
        "completed",
    ),
    Parameter(
        "Label",
        "label",
        "query",
        text(f"{_LABELS}(,{_LABELS})*"),
        "Labels that all must be there, separated by commas: `key=value`, or `key` for any value.",
        "env=staging",
    ),
    Parameter(
        "Trigger",
        "trigger",
        "query",
        {"type": "string", "enum": [trigger.value for trigger in Trigger]},
        "Why it was taken.",
        "manual",
    ),
    Parameter(
        "Schedule",
        "schedule",
        "query",
        text(SCHEDULE),
        "Those that this schedule made, which may be gone since.",
        "schedule_9f86d081884c7d65",
    ),
    Parameter(
        "Interval",
        "interval",
        "query",
        {"type": "string", "enum": [interval.value for interval in IntervalType]},
        "How often those are made; `manual` are those that no schedule made, or one that did so once.",
        "daily",
    ),
    SINCE,
    BEFORE,
)
_COMPARED: Final = (
    Parameter(
        "With",
        "with",
        "query",
        text(f"(live|{SNAPSHOT})"),
        "What to compare with: another snapshot, or `live` for live data.",
        "live",
        required=True,
    ),
    TYPES,
    Parameter("Change", "change", "query", words(*(change.value for change in Change)), "What to show.", "updated"),
)

_LISTED: Final = (SnapshotSummary, RecycledSnapshot, DamagedSnapshotBody)
_BEGUN: Final = (AcceptedRestore, CountingPlan)

OPERATIONS: Final[dict[str, Operation]] = {
    "POST /v2/snapshots": Operation(
        id="createSnapshot",
        tag=_SNAPSHOTS,
        summary="Take a snapshot of the tenant",
        parameters=(IDEMPOTENCY,),
        body=Body(
            bodies.CreateSnapshot,
            {
                "described": {"description": "Pre-deployment backup"},
                "labelled": {"labels": {"env": "staging", "release": "2.1.0"}, "expiresIn": "P30D"},
            },
            required=False,
        ),
        answers={
            201: Answer(
                "Its status is `completed`, or `creating` where the capture goes on.", SnapshotSummary, ("Location",)
            )
        },
        refusals=(409,),
    ),
    "GET /v2/snapshots": Operation(
        id="listSnapshots",
        tag=_SNAPSHOTS,
        summary="List snapshots, newest first",
        parameters=(*_CHOSEN, *PAGE, COUNT),
        answers={
            200: Answer(
                "A page of snapshots.",
                array_of({"anyOf": [ref(model.__name__) for model in _LISTED]}),
                ("Fiware-Total-Count",),
            )
        },
    ),
    "GET /v2/snapshots/{snapshotId}": Operation(
        id="getSnapshot",
        tag=_SNAPSHOTS,
        summary="Show a snapshot in detail",
        answers={200: Answer("The snapshot.", SnapshotDetail)},
    ),
    "PATCH /v2/snapshots/{snapshotId}": Operation(
        id="updateSnapshot",
        tag=_SNAPSHOTS,
        summary="Change the description, labels, expiry, pin or legal hold of a snapshot",
        body=Body(
            bodies.UpdateSnapshot,
            {
                "described": {"description": "Before 2.1.0", "expiresAt": None},
                "pinned": {"pinned": True},
                "held": {"legalHold": True},
            },
        ),
        answers={204: Answer("It is changed.")},
        refusals=(409,),
    ),
    "DELETE /v2/snapshots/{snapshotId}": Operation(
        id="deleteSnapshot",
        tag=_SNAPSHOTS,
        summary="Put a snapshot into the recycle bin",
        answers={204: Answer("It is there.")},
        refusals=(409,),
    ),
    "POST /v2/snapshots/{snapshotId}/undelete": Operation(
        id="undeleteSnapshot",
        tag=_SNAPSHOTS,
        summary="Bring a snapshot back from the recycle bin",
        body=Body(bodies.NoMembers, {"nothing": {}}, required=False),
        answers={200: Answer("The snapshot, as it was.", SnapshotDetail)},
        refusals=(409,),
    ),
    "POST /v2/snapshots/{snapshotId}/verify": Operation(
        id="verifySnapshot",
        tag=_SNAPSHOTS,
        summary="Read every stored byte of a snapshot back",
        body=Body(bodies.NoMembers, {"nothing": {}}, required=False),
        answers={
            200: Answer("What was found is its `verification`.", SnapshotDetail, ("Location",)),
            202: Answer("It goes on; see the snapshot later.", SnapshotDetail, ("Location",)),
        },
        refusals=(409,),
    ),
    "POST /v2/snapshots/{snapshotId}/restore": Operation(
        id="restoreSnapshot",
        tag="Restores",
        summary="Restore a snapshot, or say what that would do",
        parameters=(IDEMPOTENCY, *PAGE),
        body=Body(
            bodies.RestoreSnapshot,
            {
                "everything": {},
                "oneType": {"mode": "merge", "filter": {"type": "Room"}},
                "dryRun": {"dryRun": True, "filter": {"type": "Room", "attrs": ["temperature"]}},
                "otherTenant": {"target": {"service": "staging"}},
            },
            required=False,
        ),
        answers={
            200: Answer("What a dry run found.", PlanBody, ("Location",)),
            202: Answer(
                "The restore has begun; or a dry run goes on.",
                {"anyOf": [ref(model.__name__) for model in _BEGUN]},
                ("Location",),
            ),
        },
        refusals=(409, 422, 501),
    ),
    "GET /v2/snapshots/{snapshotId}/diff": Operation(
        id="diffSnapshot",
        tag=_INSIDE,
        summary="Show what became of a snapshot's entities by another snapshot, or by now",
        parameters=(READ_PATHS, *_COMPARED, *PAGE, COUNT),
        answers={200: Answer("The numbers, and a page of entities.", DiffBody, ("Fiware-Total-Count",))},
        refusals=(409, 413),
    ),
    "GET /v2/snapshots/{snapshotId}/entities": Operation(
        id="listEntitiesInside",
        tag=_INSIDE,
        summary="List the entities inside a snapshot",
        parameters=(READ_PATHS, *SELECTION, ATTRS, METADATA, SHOWN, *PAGE),
        answers={
            200: Answer("A page of entities.", array_of(ref("ShownEntity")), ("Fiware-Total-Count",)),
        },
        refusals=(409, 413, 501),
    ),
    "GET /v2/snapshots/{snapshotId}/entities/{entityId}": Operation(
        id="getEntityInside",
        tag=_INSIDE,
        summary="Show an entity as it is inside a snapshot",
        parameters=(READ_PATHS, TYPE, ATTRS, METADATA, SHOWN),
        answers={200: Answer("The entity.", ref("ShownEntity"))},
        refusals=(409,),
    ),
    "GET /v2/entities/{entityId}/history": Operation(
        id="getEntityHistory",
        tag=_INSIDE,
        summary="List the snapshots in which an entity differs from the one before, newest first",
        parameters=(READ_PATHS, TYPE, SINCE, BEFORE, ATTRS, METADATA, SHOWN, *PAGE),
        answers={200: Answer("A page of differences.", array_of(ref("HistoryEntry")), ("Fiware-Total-Count",))},
        refusals=(413,),
    ),
}
MODELS: Final = (*_LISTED, *_BEGUN, HistoryEntry, DifferingEntity)
"""Those that schemas refer to by name."""

"""The routes of snapshots of volumes, of volumes and of tasks."""

from typing import Final

from tidemark.dialects.cloudca.answers import Listed, One, SnapshotBody, TaskAnswer, TemplateBody, VolumeBody
from tidemark.dialects.cloudca.openapi import bodies
from tidemark.dialects.cloudca.openapi.parameters import OF_INSTANCE, OF_VOLUME, TO_CREATE, TO_MAKE, VOLUME_TYPE
from tidemark.dialects.cloudca.routes import SNAPSHOT, SNAPSHOTS, TASK, VOLUME, VOLUMES
from tidemark.dialects.ngsi.openapi.forms import ref
from tidemark.dialects.ngsi.openapi.operation import Answer, Body, Operation, Schema
from tidemark.dialects.ngsi.openapi.parameters import IDEMPOTENCY

_SNAPSHOTS: Final = "Snapshots of volumes"
_VOLUMES: Final = "Volumes"
_TASKS: Final = "Tasks"
_BEGUN: Final = Answer("The task that was begun. Ask for it until it is over.", TaskAnswer)
_TO_MAKE: Final[Schema] = {"anyOf": [ref(f"Cloudca{one}") for one in ("RestoreVolumeSnapshot", "CreateTemplate")]}

OPERATIONS: Final[dict[str, Operation]] = {
    f"GET {SNAPSHOTS}": Operation(
        id="listVolumeSnapshots",
        tag=_SNAPSHOTS,
        summary="List the snapshots of volumes",
        description="Those of an environment, newest first.",
        parameters=(OF_VOLUME,),
        answers={200: Answer("All of them.", Listed[SnapshotBody])},
    ),
    f"POST {SNAPSHOTS}": Operation(
        id="createVolumeSnapshot",
        tag=_SNAPSHOTS,
        summary="Take a snapshot of a volume, or begin one of an image",
        description=(
            "One of a volume is of the moment at which it is begun, and is made of it one at a time. One of an image "
            "(`operation=import`) waits for its parts."
        ),
        parameters=(TO_CREATE, IDEMPOTENCY),
        body=Body(
            {"anyOf": [ref("CloudcaCreateVolumeSnapshot"), ref("CloudcaImportVolumeImage")]},
            {
                "volume": {"volumeId": "c779ca42-6966-41af-a7dc-23db4e41d4ee"},
                "image": {"sizeBytes": 10485760, "volume": "disk.raw"},
            },
        ),
        answers={
            202: Answer(_BEGUN.description, {"anyOf": [ref("CloudcaTaskAnswer"), ref("CloudcaImportAnswer")]}),
        },
    ),
    f"GET {SNAPSHOT}": Operation(
        id="getVolumeSnapshot",
        tag=_SNAPSHOTS,
        summary="Show a snapshot of a volume",
        answers={200: Answer("The snapshot.", One[SnapshotBody])},
    ),
    f"POST {SNAPSHOT}": Operation(
        id="operateVolumeSnapshot",
        tag=_SNAPSHOTS,
        summary="Make a volume or a template of a snapshot",
        description="The result of the task is the volume, or names the template.",
        parameters=(TO_MAKE, IDEMPOTENCY),
        body=Body(_TO_MAKE, {"nothing": {}}, required=False),
        answers={202: _BEGUN},
    ),
    f"DELETE {SNAPSHOT}": Operation(
        id="deleteVolumeSnapshot",
        tag=_SNAPSHOTS,
        summary="Delete a snapshot of a volume",
        description="One that is being made or read is not.",
        parameters=(IDEMPOTENCY,),
        answers={202: _BEGUN},
    ),
    f"GET {VOLUMES}": Operation(
        id="listVolumes",
        tag=_VOLUMES,
        summary="List the volumes that snapshots can be taken of",
        parameters=(VOLUME_TYPE, OF_INSTANCE),
        answers={200: Answer("All of them, oldest first.", Listed[VolumeBody])},
    ),
    f"GET {VOLUME}": Operation(
        id="getVolume",
        tag=_VOLUMES,
        summary="Show a volume",
        answers={200: Answer("The volume.", One[VolumeBody])},
    ),
    f"GET {TASK}": Operation(
        id="getTask",
        tag=_TASKS,
        summary="Show how a task stands",
        description="Those of every environment that the key is for.",
        answers={200: Answer("The task.", TaskAnswer)},
    ),
    f"DELETE {TASK}": Operation(
        id="cancelTask",
        tag=_TASKS,
        summary="Cancel a task that makes a volume or a template",
        answers={200: Answer("The task, which has failed.", TaskAnswer)},
    ),
}
MODELS: Final = (TemplateBody, bodies.RestoreVolumeSnapshot, bodies.CreateTemplate)
"""Those that schemas refer to by name."""

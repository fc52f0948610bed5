"""The parameters that routes of this dialect share, with the limits that the parsers have."""

from typing import Final

from tidemark.dialects.cloudca.words import VOLUME_TYPES
from tidemark.dialects.ngsi.openapi.operation import Parameter, Schema
from tidemark.domain.environment import MAX_NAME_CHARS

UUID: Final[Schema] = {"type": "string", "pattern": "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"}
_NAME: Final[Schema] = {"type": "string", "pattern": f"^[a-z0-9][a-z0-9_-]{{0,{MAX_NAME_CHARS - 1}}}$"}
_A_VOLUME: Final = "c779ca42-6966-41af-a7dc-23db4e41d4ee"

OF_VOLUME: Final = Parameter(
    "OfVolume", "volume_id", "query", UUID, "Those of this volume, which may be gone since.", _A_VOLUME
)
OF_INSTANCE: Final = Parameter(
    "OfInstance",
    "instance_id",
    "query",
    UUID,
    "Those that are attached to this instance.",
    "b6145e8b-abd3-456c-832c-f3db86a6acfe",
)
VOLUME_TYPE: Final = Parameter(
    "VolumeType",
    "type",
    "query",
    {"type": "string", "enum": list(VOLUME_TYPES.values())},
    "Those that an instance starts from, or those with data; in capitals too.",
    "data",
)
TO_CREATE: Final = Parameter(
    "OperationCreate",
    "operation",
    "query",
    {"type": "string", "enum": ["create", "import"], "default": "create"},
    "What is to be done.",
    "create",
)
TO_SET: Final = Parameter(
    "OperationSet",
    "operation",
    "query",
    {"type": "string", "enum": ["create"], "default": "create"},
    "What is to be done.",
    "create",
)
TO_MAKE: Final = Parameter(
    "OperationMake",
    "operation",
    "query",
    {"type": "string", "enum": ["restore", "createTemplate"]},
    "What is to be made: a volume, or a template that instances start from.",
    "restore",
    required=True,
)

IN_PATH: Final = {
    one.name: one
    for one in (
        Parameter("ServiceCode", "serviceCode", "path", _NAME, "The service's code.", "compute-on"),
        Parameter("EnvironmentName", "environmentName", "path", _NAME, "The environment's name.", "test_area"),
        Parameter(
            "VolumeSnapshotId",
            "snapshotId",
            "path",
            UUID,
            "A snapshot of a volume.",
            "33a27b8d-5a27-42a5-aec4-37606e372bda",
        ),
        Parameter("VolumeId", "volumeId", "path", UUID, "A volume.", _A_VOLUME),
        Parameter(
            "VolumeScheduleId",
            "scheduleId",
            "path",
            {"type": "string", "pattern": "^schedule_[0-9a-f]{16}$"},
            "A schedule of a volume.",
            "schedule_9f86d081884c7d65",
        ),
        Parameter("TaskId", "taskId", "path", UUID, "A task.", "c2c13744-8610-4012-800a-0907bea110a5"),
    )
}
"""By the name in the path. A path with a new variable needs it here."""

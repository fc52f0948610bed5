"""The routes that copy, export and import snapshots."""

from typing import Any, Final

from tidemark.dialects import addresses
from tidemark.dialects.ngsi.exports import ExportBody, ExportPreparing
from tidemark.dialects.ngsi.imports import OpenedImport
from tidemark.dialects.ngsi.openapi import bodies
from tidemark.dialects.ngsi.openapi.operation import Answer, Body, Operation, Parameter
from tidemark.dialects.ngsi.openapi.parameters import IDEMPOTENCY
from tidemark.dialects.ngsi.snapshots import SnapshotDetail
from tidemark.engine.transfer.exports import FORMAT, FORMAT_VERSION

_TAG: Final = "Transfers"
_LIFETIME: Final = Parameter(
    "AddressLifetime",
    "expiresIn",
    "query",
    {
        "type": "integer",
        "minimum": addresses.MIN_EXPIRY_S,
        "maximum": addresses.MAX_EXPIRY_S,
        "default": addresses.DEFAULT_EXPIRY_S,
    },
    "For how many seconds the addresses are to be good.",
)
_PARTS: Final = (
    Parameter(
        "PartLimit",
        "limit",
        "query",
        {"type": "integer", "minimum": 1, "maximum": addresses.MAX_PARTS, "default": addresses.MAX_PARTS},
        "How many parts at most.",
    ),
    Parameter(
        "PartOffset",
        "offset",
        "query",
        {"type": "integer", "minimum": 0, "maximum": addresses.MAX_OFFSET, "default": 0},
        "How many of the first parts to leave out.",
    ),
)
_MANIFEST: Final[dict[str, Any]] = {
    "format": FORMAT,
    "version": FORMAT_VERSION,
    "records": 2,
    "digest": "0f" * 32,
    "partCount": 1,
    "parts": [{"name": "part-0000.ndjson.zst", "sizeBytes": 311, "sha256": "f0" * 32, "records": 2}],
}

OPERATIONS: Final[dict[str, Operation]] = {
    "POST /v2/snapshots/{snapshotId}/copy": Operation(
        id="copySnapshot",
        tag=_TAG,
        summary="Copy a snapshot, to another tenant too",
        parameters=(IDEMPOTENCY,),
        body=Body(
            bodies.CopySnapshot,
            {
                "otherTenant": {"service": "staging"},
                "described": {"service": "staging", "description": "Production of Monday"},
            },
        ),
        answers={202: Answer("The copy has begun. It is in the tenant that was named.", SnapshotDetail, ("Location",))},
        refusals=(409,),
    ),
    "GET /v2/snapshots/{snapshotId}/export": Operation(
        id="exportSnapshot",
        tag=_TAG,
        summary="Show addresses of plain files that hold a snapshot",
        parameters=(_LIFETIME, *_PARTS),
        answers={
            200: Answer("The manifest, with an address for each part.", ExportBody),
            202: Answer("It is being prepared; ask again.", ExportPreparing, ("Retry-After",)),
        },
        refusals=(409,),
    ),
    "DELETE /v2/snapshots/{snapshotId}/export": Operation(
        id="cancelExport",
        tag=_TAG,
        summary="Stop preparing an export, or forget one that is ready",
        answers={204: Answer("There is none.")},
        refusals=(409,),
    ),
    "POST /v2/snapshots/import": Operation(
        id="openImport",
        tag=_TAG,
        summary="Begin a snapshot that will be made of uploaded files",
        description=(
            "A repeat under the same Idempotency-Key gets new addresses of the same files; 404 if the snapshot that "
            "they were for was deleted."
        ),
        parameters=(IDEMPOTENCY, _LIFETIME),
        body=Body(
            bodies.OpenImport,
            {
                "oneFile": {"sizeBytes": 1048576, "description": "From the old broker"},
                "files": {"files": [{"name": "rooms.ndjson", "sizeBytes": 52000}], "servicePath": "/city"},
                "export": {"manifest": _MANIFEST},
            },
        ),
        answers={201: Answer("The snapshot, and where to PUT its files.", OpenedImport, ("Location",))},
        refusals=(404, 409),
    ),
    "GET /v2/snapshots/{snapshotId}/import": Operation(
        id="getImport",
        tag=_TAG,
        summary="Show new addresses of the parts that an import still waits for",
        parameters=(_LIFETIME,),
        answers={200: Answer("The snapshot, and where to PUT what has not arrived.", OpenedImport)},
        refusals=(409,),
    ),
    "POST /v2/snapshots/{snapshotId}/import": Operation(
        id="startImport",
        tag=_TAG,
        summary="Say that the files are uploaded, so that the snapshot is made of them",
        body=Body(bodies.NoMembers, {"nothing": {}}, required=False),
        answers={202: Answer("It goes on; see the snapshot.", SnapshotDetail, ("Location",))},
        refusals=(409,),
    ),
}

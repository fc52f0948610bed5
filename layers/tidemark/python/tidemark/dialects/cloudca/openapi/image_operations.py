"""The routes of images that leave and arrive."""

from typing import Final

from tidemark.dialects import addresses
from tidemark.dialects.cloudca.answers import One, TaskAnswer
from tidemark.dialects.cloudca.images import ImageBody, ImportAnswer, UploadsBody
from tidemark.dialects.cloudca.openapi import bodies
from tidemark.dialects.cloudca.routes import IMAGE, UPLOADS
from tidemark.dialects.ngsi.openapi.operation import Answer, Body, Operation, Parameter

_IMAGES: Final = "Images of volumes"
_LIFETIME: Final = Parameter(
    "ImageAddressLifetime",
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
_PAGE: Final = (
    Parameter(
        "ImageLimit",
        "limit",
        "query",
        {"type": "integer", "minimum": 1, "maximum": addresses.MAX_PARTS, "default": addresses.MAX_PARTS},
        "How many packs or parts at most.",
    ),
    Parameter(
        "ImageOffset",
        "offset",
        "query",
        {"type": "integer", "minimum": 0, "maximum": addresses.MAX_OFFSET, "default": 0},
        "How many packs or parts to leave out before them.",
    ),
)
_COMPLETE: Final = Parameter(
    "OperationComplete",
    "operation",
    "query",
    {"type": "string", "enum": ["complete"]},
    "What is to be done.",
    "complete",
    required=True,
)

OPERATIONS: Final[dict[str, Operation]] = {
    f"GET {IMAGE}": Operation(
        id="getVolumeImage",
        tag=_IMAGES,
        summary="Get what the image of a snapshot is put together from",
        description="Addresses of its manifest and packs, as they are stored. What they name stays while they last.",
        parameters=(_LIFETIME, *_PAGE),
        answers={200: Answer("The addresses.", One[ImageBody])},
    ),
    f"GET {UPLOADS}": Operation(
        id="listVolumeUploads",
        tag=_IMAGES,
        summary="Get where the parts of an image are sent",
        description="Of an import that waits for them. Parts that are zeros can be left out.",
        parameters=(_LIFETIME, *_PAGE),
        answers={200: Answer("The addresses.", One[UploadsBody])},
    ),
    f"POST {UPLOADS}": Operation(
        id="completeVolumeUpload",
        tag=_IMAGES,
        summary="Say that all parts of an image were sent",
        description="Repeating it changes nothing.",
        parameters=(_COMPLETE,),
        body=Body(bodies.CompleteUpload, {"digest": {"digest": "5" * 64}}, required=False),
        answers={202: Answer("The task of the import. Ask for it until it is over.", TaskAnswer)},
    ),
}
MODELS: Final = (ImportAnswer, bodies.ImportVolumeImage, bodies.CreateVolumeSnapshot)
"""Those that schemas refer to by name."""

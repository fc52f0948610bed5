"""The routes of restores and of their plans."""

from typing import Final

from tidemark.dialects.ngsi.openapi.forms import array_of, ref
from tidemark.dialects.ngsi.openapi.operation import Answer, Operation
from tidemark.dialects.ngsi.openapi.parameters import COUNT, PAGE
from tidemark.dialects.ngsi.plans import PlanBody
from tidemark.dialects.ngsi.restores import DamagedRestoreBody, RestoreBody

_TAG: Final = "Restores"

_LISTED: Final = (RestoreBody, DamagedRestoreBody)
MODELS: Final = _LISTED
"""Those that schemas refer to by name."""

OPERATIONS: Final[dict[str, Operation]] = {
    "GET /v2/restores": Operation(
        id="listRestores",
        tag=_TAG,
        summary="List restores, newest first",
        parameters=(*PAGE, COUNT),
        answers={
            200: Answer(
                "A page of restores.",
                array_of({"anyOf": [ref(model.__name__) for model in _LISTED]}),
                ("Fiware-Total-Count",),
            )
        },
    ),
    "GET /v2/restores/{restoreId}": Operation(
        id="getRestore",
        tag=_TAG,
        summary="Show how far a restore is, or how it ended",
        answers={200: Answer("The restore.", RestoreBody)},
    ),
    "DELETE /v2/restores/{restoreId}": Operation(
        id="cancelRestore",
        tag=_TAG,
        summary="Cancel a restore before its cutover",
        answers={202: Answer("What was staged is being rolled back.", RestoreBody, ("Location",))},
        refusals=(409,),
    ),
    "GET /v2/plans/{planId}": Operation(
        id="getPlan",
        tag=_TAG,
        summary="Show what a dry run of a restore found",
        parameters=PAGE,
        answers={200: Answer("The plan, with a page of each kind of change.", PlanBody)},
    ),
}

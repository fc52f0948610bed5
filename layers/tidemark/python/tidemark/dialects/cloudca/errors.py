"""Errors as this dialect's clients read them: `{"errors": [{"code", "errorCode", "message", "context"}]}`.

Source: the cloud.ca documentation, "Error response". It knows the statuses 400, 403, 404, 405 and 500 alone: a key that
is missing is 403, what the present state forbids is 400, and what may succeed later is a 500 with `Retry-After`. Of its
codes it publishes one, 2012, which is that of a wrong state. Other codes are the statuses of HTTP that say more than
the documented ones, as in the answers of the gateway itself, and those beside 2012 for what clients tell apart.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from tidemark import errors
from tidemark.dialects.cloudca.words import kind_of, state_of
from tidemark.dialects.wire import Response, json_response
from tidemark.domain.snapshot import Failure
from tidemark.errors import (
    CatalogCorrupt,
    Conflict,
    Corrupt,
    DiskSnapshotInUse,
    Fenced,
    Forbidden,
    InvalidRequest,
    KeyNotFound,
    MethodNotAllowed,
    NameTaken,
    NotAcceptable,
    NotFound,
    NotSupported,
    ObjectExists,
    ObjectNotFound,
    RecordExists,
    SchedulingRefused,
    SnapshotInUse,
    StaleRecord,
    TemplateNameTaken,
    Throttled,
    TidemarkError,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
    VolumeBusy,
    WrongState,
)

NAME_TAKEN: Final = 2010
BUSY: Final = 2011
WRONG_STATE: Final = 2012
IN_USE: Final = 2013


class ErrorItem(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that is wrong. Clients read its code as a number or as a string."""

    code: Annotated[int, Meta(description="The kind of error, for programs.", examples=[WRONG_STATE])]
    error_code: Annotated[str, Meta(description="The same as a string.", examples=[str(WRONG_STATE)])]
    message: Annotated[str, Meta(description="What is wrong and what to do, for people.")]
    context: Annotated[dict[str, Any], Meta(description="What it is about.")]


class ErrorBody(msgspec.Struct, frozen=True):
    """Why a request was refused or failed. An answer without `errors` is of one that was not."""

    errors: list[ErrorItem]


class _Form(NamedTuple):
    status: HTTPStatus
    code: int


_INTERNAL: Final = _Form(HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.INTERNAL_SERVER_ERROR.value)
_LATER: Final = _Form(HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE.value)
_BAD: Final = HTTPStatus.BAD_REQUEST
# The nearest class in an error's ancestry decides. What is about stored records and objects never concerns a caller.
FORMS: Final[Mapping[type[TidemarkError], _Form]] = {
    InvalidRequest: _Form(_BAD, HTTPStatus.BAD_REQUEST.value),
    Unauthorized: _Form(HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED.value),
    Forbidden: _Form(HTTPStatus.FORBIDDEN, HTTPStatus.FORBIDDEN.value),
    NotFound: _Form(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_FOUND.value),
    MethodNotAllowed: _Form(HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.METHOD_NOT_ALLOWED.value),
    Conflict: _Form(_BAD, HTTPStatus.CONFLICT.value),
    NameTaken: _Form(_BAD, NAME_TAKEN),
    TemplateNameTaken: _Form(_BAD, NAME_TAKEN),
    VolumeBusy: _Form(_BAD, BUSY),
    WrongState: _Form(_BAD, WRONG_STATE),
    SnapshotInUse: _Form(_BAD, IN_USE),
    DiskSnapshotInUse: _Form(_BAD, IN_USE),
    TooLarge: _Form(_BAD, HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value),
    UnsupportedMediaType: _Form(_BAD, HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value),
    NotAcceptable: _Form(_BAD, HTTPStatus.NOT_ACCEPTABLE.value),
    Unprocessable: _Form(_BAD, HTTPStatus.UNPROCESSABLE_ENTITY.value),
    NotSupported: _Form(_BAD, HTTPStatus.NOT_IMPLEMENTED.value),
    Throttled: _Form(HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.TOO_MANY_REQUESTS.value),
    Unavailable: _LATER,
    StaleRecord: _LATER,
    Corrupt: _INTERNAL,
    Fenced: _INTERNAL,
    RecordExists: _INTERNAL,
    ObjectExists: _INTERNAL,
    ObjectNotFound: _INTERNAL,
    KeyNotFound: _INTERNAL,
    TidemarkError: _INTERNAL,
}
_RETRY_AFTER: Final = {HTTPStatus.TOO_MANY_REQUESTS.value: "2", HTTPStatus.SERVICE_UNAVAILABLE.value: "1"}


def render(error: Exception, correlation_id: str) -> Response:
    """The answer to a request that ended in `error`, whatever it is."""
    form = _form(type(error))
    context = _context(error)
    if form.status is HTTPStatus.INTERNAL_SERVER_ERROR:
        context["correlationId"] = correlation_id
    item = _item(form.code, _message(error, form, correlation_id), context)
    return json_response(form.status, ErrorBody([item]), _headers(error, form))


def stored_error(failure: Failure) -> ErrorItem:
    """Why something that had been accepted ended badly. The sentence of a failure that Tidemark did not name stays
    inside.
    """
    kind = getattr(errors, failure.code, None)
    if isinstance(kind, type) and issubclass(kind, TidemarkError) and kind.user_visible:
        return _item(_form(kind).code, failure.message, {"failure": failure.code})
    message = "the service failed; its operator finds the reason in the logs"
    return _item(_INTERNAL.code, message, {"failure": failure.code})


def _item(code: int, message: str, context: dict[str, Any]) -> ErrorItem:
    return ErrorItem(code, str(code), message, context)


def _form(kind: type[Exception]) -> _Form:
    return next((FORMS[ancestor] for ancestor in kind.__mro__ if ancestor in FORMS), _INTERNAL)


def _message(error: Exception, form: _Form, correlation_id: str) -> str:
    if isinstance(error, CatalogCorrupt):
        return f"{error.message} (the service's operator finds it by correlation id {correlation_id})"
    if form is _INTERNAL or not isinstance(error, TidemarkError):
        return f"the service failed; its operator finds the reason in the logs by correlation id {correlation_id}"
    if isinstance(error, StaleRecord) or not error.user_visible:
        return f"the service could not finish the request in time; send it again (correlation id {correlation_id})"
    if isinstance(error, WrongState):
        current = state_of(error.subject, error.current)
        expected = " or ".join(_expected(error))
        return f"{error.message}: its state is {current}" + (f"; it would have to be {expected}" if expected else "")
    return error.message


def _context(error: Exception) -> dict[str, Any]:
    """What the error is about, with the members of the documented example."""
    match error:
        case WrongState():
            return {
                "id": error.subject_id,
                "currentState": state_of(error.subject, error.current),
                "expectedStates": _expected(error),
                "type": kind_of(error.subject),
            }
        case VolumeBusy():
            return {"id": error.volume_id, "snapshotId": error.snapshot_id, "type": "volumes"}
        case NameTaken():
            return {"id": error.snapshot_id, "type": "snapshots"}
        case TemplateNameTaken():
            return {"id": error.image_id, "type": "templates"}
        case _:
            return {}


def _expected(error: WrongState) -> list[str]:
    """The states that would do, each once: two of ours may be one of the dialect's."""
    return list(dict.fromkeys(state_of(error.subject, state) for state in error.expected))


def _headers(error: Exception, form: _Form) -> dict[str, str]:
    headers = {"Retry-After": _RETRY_AFTER[form.code]} if form.code in _RETRY_AFTER else {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allow)
    if isinstance(error, SchedulingRefused):
        # Sending it again is of no use before the operator has acted.
        del headers["Retry-After"]
    return headers

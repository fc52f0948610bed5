"""Errors as NGSIv2 bodies `{"error", "description"}` with the status of their category.

Source: the NGSIv2 specification, "Error responses", and Orion's implementation of it, with the statuses that a service
on a network needs besides (429, 501, 503). Only sentences that were written for the caller leave; all else is a 500
that can be found in the logs by its correlation id.
"""

from http import HTTPStatus
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from tidemark import errors
from tidemark.dialects.wire import Response, json_response
from tidemark.domain.snapshot import Failure
from tidemark.errors import (
    CaptureInProgress,
    CatalogCorrupt,
    Conflict,
    Corrupt,
    Fenced,
    Forbidden,
    InvalidRequest,
    KeyNotFound,
    MalformedBody,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    NotSupported,
    ObjectExists,
    ObjectNotFound,
    PartialUpdate,
    RecordExists,
    RequestInProgress,
    RestoreInProgress,
    SchedulingRefused,
    StaleRecord,
    Throttled,
    TidemarkError,
    TooLarge,
    TooManyResults,
    Unauthorized,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
)


class ErrorBody(msgspec.Struct, frozen=True):
    """Why a request was refused or failed."""

    error: Annotated[str, Meta(description="The kind of error, for programs.", examples=["NotFound"])]
    description: Annotated[str, Meta(description="What is wrong and what to do, for people.")]


class FailureBody(msgspec.Struct, frozen=True):
    """Why something that had been accepted ended badly."""

    code: Annotated[str, Meta(description="The kind of failure, for programs.", examples=["PackCorrupt"])]
    description: Annotated[str, Meta(description="What went wrong, for people.")]


class _Form(NamedTuple):
    status: HTTPStatus
    name: str


_INTERNAL: Final = _Form(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalServerError")
# The nearest class in an error's ancestry decides. What is about stored records and objects never concerns a caller.
FORMS: Final[dict[type[TidemarkError], _Form]] = {
    InvalidRequest: _Form(HTTPStatus.BAD_REQUEST, "BadRequest"),
    MalformedBody: _Form(HTTPStatus.BAD_REQUEST, "ParseError"),
    Unauthorized: _Form(HTTPStatus.UNAUTHORIZED, "Unauthorized"),
    Forbidden: _Form(HTTPStatus.FORBIDDEN, "Forbidden"),
    NotFound: _Form(HTTPStatus.NOT_FOUND, "NotFound"),
    MethodNotAllowed: _Form(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    Conflict: _Form(HTTPStatus.CONFLICT, "Conflict"),
    TooManyResults: _Form(HTTPStatus.CONFLICT, "TooManyResults"),
    TooLarge: _Form(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge"),
    UnsupportedMediaType: _Form(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType"),
    Unprocessable: _Form(HTTPStatus.UNPROCESSABLE_ENTITY, "Unprocessable"),
    PartialUpdate: _Form(HTTPStatus.UNPROCESSABLE_ENTITY, "PartialUpdate"),
    NotAcceptable: _Form(HTTPStatus.NOT_ACCEPTABLE, "NotAcceptable"),
    Throttled: _Form(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests"),
    NotSupported: _Form(HTTPStatus.NOT_IMPLEMENTED, "NotImplemented"),
    Unavailable: _Form(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable"),
    StaleRecord: _Form(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable"),
    Corrupt: _INTERNAL,
    Fenced: _INTERNAL,
    RecordExists: _INTERNAL,
    ObjectExists: _INTERNAL,
    ObjectNotFound: _INTERNAL,
    KeyNotFound: _INTERNAL,
    TidemarkError: _INTERNAL,
}
_IN_PROGRESS_RETRY_AFTER: Final = "2"
_RETRY_AFTER: Final = {HTTPStatus.TOO_MANY_REQUESTS: "2", HTTPStatus.SERVICE_UNAVAILABLE: "1"}


def render(error: Exception, correlation_id: str) -> Response:
    """The answer to a request that ended in `error`, whatever it is."""
    form = _form(error)
    return json_response(
        form.status,
        ErrorBody(form.name, _description(error, form, correlation_id)),
        _headers(error, form),
    )


def stored_failure(failure: Failure) -> FailureBody:
    """Why a snapshot or restore failed. The sentence of a failure that Tidemark did not name stays inside."""
    kind = getattr(errors, failure.code, None)
    told = isinstance(kind, type) and issubclass(kind, TidemarkError) and kind.user_visible
    description = failure.message if told else "the service failed; its operator finds the reason in the logs"
    return FailureBody(failure.code, description)


def _form(error: Exception) -> _Form:
    return next((FORMS[kind] for kind in type(error).__mro__ if kind in FORMS), _INTERNAL)


def _description(error: Exception, form: _Form, correlation_id: str) -> str:
    if isinstance(error, CatalogCorrupt):
        return f"{error.message} (the service's operator finds it by correlation id {correlation_id})"
    if form is _INTERNAL or not isinstance(error, TidemarkError):
        return f"the service failed; its operator finds the reason in the logs by correlation id {correlation_id}"
    if isinstance(error, StaleRecord) or not error.user_visible:
        return f"the service could not finish the request in time; send it again (correlation id {correlation_id})"
    return error.message


def _headers(error: Exception, form: _Form) -> dict[str, str]:
    headers = {"Retry-After": _RETRY_AFTER[form.status]} if form.status in _RETRY_AFTER else {}
    match error:
        case CaptureInProgress():
            headers["Location"] = f"/v2/snapshots/{error.snapshot_id}"
        case RestoreInProgress():
            headers["Location"] = f"/v2/restores/{error.restore_id}"
        case RequestInProgress():
            headers["Retry-After"] = _IN_PROGRESS_RETRY_AFTER
        case MethodNotAllowed():
            headers["Allow"] = ", ".join(error.allow)
        case SchedulingRefused():
            # Sending it again is of no use before the operator has acted.
            del headers["Retry-After"]
        case Unauthorized():
            headers["WWW-Authenticate"] = "Bearer"
        case _:
            pass
    return headers

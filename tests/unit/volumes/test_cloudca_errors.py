"""Errors of the cloud.ca dialect: documented statuses alone, both forms of the code, and nothing of the inside."""

import inspect
import json
from typing import Any

import pytest

from tests.unit.volumes.examples import SNAPSHOT_ID, VOLUME_ID
from tidemark import errors
from tidemark.dialects.cloudca.errors import FORMS, render, stored_error
from tidemark.domain.snapshot import Failure
from tidemark.errors import (
    AwsFailure,
    BodyTooLarge,
    CatalogCorrupt,
    EnvironmentNotFound,
    Forbidden,
    InvalidRequest,
    LeaseLost,
    MalformedBody,
    MethodNotAllowed,
    NameTaken,
    RecordExists,
    SchedulingRefused,
    SnapshotInUse,
    StaleRecord,
    Throttled,
    TidemarkError,
    Unauthorized,
    UnsupportedMediaType,
    VolumeBusy,
    VolumeNotFound,
    WrongState,
)

DOCUMENTED = {400, 403, 404, 405, 500}
BUSY = VolumeBusy("busy", volume_id=VOLUME_ID, snapshot_id=SNAPSHOT_ID)
WRONG = WrongState("no", subject="volume", subject_id=VOLUME_ID, current="creating", expected=("available", "in-use"))
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, TidemarkError)]


def body(error: Exception) -> dict[str, Any]:
    """The one error that an answer has."""
    document = json.loads(render(error, "correlation-1").body)
    assert list(document) == ["errors"]
    (item,) = document["errors"]
    assert list(item) == ["code", "errorCode", "message", "context"]
    assert isinstance(item["code"], int)
    assert item["errorCode"] == str(item["code"])
    assert isinstance(item["context"], dict)
    assert None not in item["context"].values()
    return dict(item)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidRequest("no"), 400, 400),
        (MalformedBody("no"), 400, 400),
        (Unauthorized("no"), 403, 401),
        (Forbidden("no"), 403, 403),
        (EnvironmentNotFound("no"), 404, 404),
        (VolumeNotFound("no"), 404, 404),
        (MethodNotAllowed("no", allow=("GET",)), 405, 405),
        (NameTaken("no", snapshot_id=SNAPSHOT_ID), 400, 2010),
        (BUSY, 400, 2011),
        (WRONG, 400, 2012),
        (SnapshotInUse("no"), 400, 2013),
        (BodyTooLarge("no"), 400, 413),
        (UnsupportedMediaType("no"), 400, 415),
        (Throttled("no"), 500, 429),
        (AwsFailure("no"), 500, 503),
        (StaleRecord("no"), 500, 503),
        (RecordExists("no"), 500, 500),
        (LeaseLost("no"), 500, 500),
        (RuntimeError("no"), 500, 500),
    ],
)
def test_error_has_its_documented_status_and_a_code(error: Exception, status: int, code: int) -> None:
    assert (render(error, "correlation-1").status, body(error)["code"]) == (status, code)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_error_has_a_documented_status(kind: type[TidemarkError]) -> None:
    form = next(FORMS[ancestor] for ancestor in kind.__mro__ if ancestor in FORMS)
    assert form.status in DOCUMENTED
    assert stored_error(Failure(kind.__name__, "a sentence")).code >= 400


def test_there_is_no_401() -> None:
    response = render(Unauthorized("no key"), "correlation-1")
    assert response.status == 403
    assert "WWW-Authenticate" not in response.headers


def test_wrong_state_is_told_as_in_the_documented_example() -> None:
    assert body(WRONG) == {
        "code": 2012,
        "errorCode": "2012",
        "message": "no: its state is Creating; it would have to be Ready",
        "context": {"id": VOLUME_ID, "currentState": "Creating", "expectedStates": ["Ready"], "type": "volumes"},
    }


def test_busy_volume_names_the_snapshot_that_is_being_made() -> None:
    assert body(BUSY)["context"] == {"id": VOLUME_ID, "snapshotId": SNAPSHOT_ID, "type": "volumes"}


def test_taken_name_names_the_snapshot_that_has_it() -> None:
    context = body(NameTaken("taken", snapshot_id=SNAPSHOT_ID))["context"]
    assert context == {"id": SNAPSHOT_ID, "type": "snapshots"}


@pytest.mark.parametrize("error", [RuntimeError("arn:secret"), RecordExists("secret row"), AwsFailure("secret answer")])
def test_inside_stays_inside_and_can_be_found_in_the_logs(error: Exception) -> None:
    told = body(error)
    assert "secret" not in json.dumps(told)
    assert told["context"] == {"correlationId": "correlation-1"}
    assert "correlation-1" in told["message"]


def test_damaged_record_is_named() -> None:
    assert "the record of X" in body(CatalogCorrupt("the record of X is damaged"))["message"]


@pytest.mark.parametrize(
    ("error", "after"), [(Throttled("no"), "2"), (AwsFailure("no"), "1"), (StaleRecord("no"), "1")]
)
def test_what_may_succeed_later_says_when_to_try_again(error: Exception, after: str) -> None:
    assert render(error, "correlation-1").headers["Retry-After"] == after


@pytest.mark.parametrize("error", [RuntimeError("no"), InvalidRequest("no"), SchedulingRefused("no")])
def test_what_will_not_succeed_later_does_not_say_so(error: Exception) -> None:
    assert "Retry-After" not in render(error, "correlation-1").headers


def test_wrong_method_is_told_with_those_that_are_right() -> None:
    response = render(MethodNotAllowed("no", allow=("GET", "POST")), "correlation-1")
    assert response.headers["Allow"] == "GET, POST"

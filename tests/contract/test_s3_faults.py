"""What the adapter of S3 asks for, and what it does when an answer breaks off."""

import hashlib
import io
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from botocore.response import StreamingBody

from tests.contract.aws import disturb, lose_answers
from tests.fakes import ManualClock
from tidemark.adapters.s3_payloads import S3Payloads
from tidemark.errors import AwsFailure, ObjectExists, Throttled, TidemarkError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

KEY = "acme/packs/c-1/00-0.pack"


def _broken_off(_: Any) -> dict[str, Any]:
    body = StreamingBody(io.BytesIO(b"0123"), 10)
    return {"Body": body, "ContentLength": 10}


def test_put_lets_s3_check_the_bytes_and_the_key(objects: S3Payloads, s3: "S3Client") -> None:
    sent = disturb(s3, "PutObject")
    objects.put(KEY, b"0123456789")
    [request] = sent.requests
    assert request["headers"]["If-None-Match"] == "*"
    assert request["headers"]["x-amz-checksum-sha256"] == b64encode(hashlib.sha256(b"0123456789").digest()).decode()


@pytest.mark.parametrize("breaks", [1, 2])
def test_get_reads_again_when_an_answer_breaks_off(
    objects: S3Payloads, s3: "S3Client", clock: ManualClock, breaks: int
) -> None:
    objects.put(KEY, b"0123456789")
    asked = disturb(s3, "GetObject", *[_broken_off] * breaks)
    assert objects.get(KEY) == b"0123456789"
    assert len(asked.requests) == breaks + 1
    assert clock.monotonic_s() > 0


def test_get_range_reads_again_when_an_answer_breaks_off(objects: S3Payloads, s3: "S3Client") -> None:
    objects.put(KEY, b"0123456789")
    disturb(s3, "GetObject", _broken_off)
    assert objects.get_range(KEY, 2, 5) == b"23456"


def test_get_fails_when_every_answer_breaks_off(objects: S3Payloads, s3: "S3Client") -> None:
    asked = disturb(s3, "GetObject", *[_broken_off] * 100)
    with pytest.raises(AwsFailure, match="broke off"):
        objects.get(KEY)
    assert len(asked.requests) == 3


def test_put_repeats_when_another_upload_of_the_key_is_under_way(
    objects: S3Payloads, s3: "S3Client", clock: ManualClock
) -> None:
    sent = disturb(s3, "PutObject", "ConditionalRequestConflict", "ConditionalRequestConflict")
    objects.put(KEY, b"x")
    assert len(sent.requests) == 3
    assert objects.get(KEY) == b"x"
    assert clock.monotonic_s() > 0


def test_copy_asks_for_a_key_that_is_free_and_a_new_checksum(objects: S3Payloads, s3: "S3Client") -> None:
    objects.put(KEY, b"0123456789")
    sent = disturb(s3, "CopyObject", "ConditionalRequestConflict")
    objects.copy(KEY, KEY + "2")
    assert len(sent.requests) == 2
    for request in sent.requests:
        assert request["headers"]["If-None-Match"] == "*"
        assert request["headers"]["x-amz-checksum-algorithm"] == "SHA256"
    assert objects.get(KEY + "2") == b"0123456789"


def test_copy_tells_that_the_key_is_taken_when_its_own_answer_was_lost(
    objects: S3Payloads, s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    objects.put(KEY, b"x")
    lost = lose_answers(s3)
    lost.next_answers = 1
    with pytest.raises(ObjectExists):
        objects.copy(KEY, KEY + "2")
    assert objects.get(KEY + "2") == b"x"


def test_put_tells_that_the_key_is_taken_when_its_own_answer_was_lost(
    objects: S3Payloads, s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    lost = lose_answers(s3)
    lost.next_answers = 1
    with pytest.raises(ObjectExists):
        objects.put(KEY, b"x")
    assert objects.get(KEY) == b"x"


@pytest.mark.parametrize("operation", ["PutObject", "GetObject", "HeadObject", "ListObjectsV2", "CopyObject"])
@pytest.mark.parametrize(
    ("code", "error"), [("SlowDown", Throttled), ("AccessDenied", AwsFailure), ("InternalError", AwsFailure)]
)
def test_error_is_named_when_s3_refuses_a_call(
    objects: S3Payloads, s3: "S3Client", operation: str, code: str, error: type[TidemarkError]
) -> None:
    disturb(s3, operation, code)
    calls: dict[str, Any] = {
        "PutObject": lambda: objects.put(KEY, b""),
        "GetObject": lambda: objects.get(KEY),
        "HeadObject": lambda: objects.head(KEY),
        "CopyObject": lambda: objects.copy(KEY, KEY + "2"),
        "ListObjectsV2": lambda: list(objects.list("")),
    }
    with pytest.raises(error, match=code) as caught:
        calls[operation]()
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("code", ["AccessDenied", "ObjectLocked", "InvalidObjectState"])
def test_delete_says_that_the_object_stays_when_s3_retains_it(objects: S3Payloads, s3: "S3Client", code: str) -> None:
    objects.put(KEY, b"0123456789")
    disturb(s3, "DeleteObject", code)
    assert objects.delete(KEY) is False
    assert objects.get(KEY) == b"0123456789"


@pytest.mark.parametrize(("code", "error"), [("SlowDown", Throttled), ("InternalError", AwsFailure)])
def test_delete_fails_when_aws_does(objects: S3Payloads, s3: "S3Client", code: str, error: type[TidemarkError]) -> None:
    disturb(s3, "DeleteObject", *[code] * 20)
    with pytest.raises(error):
        objects.delete(KEY)


def test_delete_asks_for_the_newest_version_alone(objects: S3Payloads, s3: "S3Client") -> None:
    """Without a version id S3 puts a marker on top: the bytes stay for as long as the bucket's rules say."""
    asked = disturb(s3, "DeleteObject")
    objects.delete(KEY)
    assert "versionId" not in asked.requests[0]["query_string"]

"""Immutable objects in one S3 bucket."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError

from tidemark.adapters.aws_errors import code_of, named
from tidemark.adapters.backoff import Backoff
from tidemark.errors import AwsFailure, ObjectExists, ObjectNotFound, TidemarkError
from tidemark.ports import Clock, Entropy, StoredObject

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_READS: Final = 3
_ABSENT: Final = ("NoSuchKey", "404", "NotFound")
_TAKEN: Final = "PreconditionFailed"
# Two uploads of one key are under way at once; S3 asks to repeat.
_RACING: Final = "ConditionalRequestConflict"
# What S3 answers where a policy or a retention rule keeps the object.
_RETAINED: Final = ("AccessDenied", "AllAccessDisabled", "ObjectLocked", "InvalidObjectState")
_BEYOND_END: Final = "InvalidRange"
_BROKEN_OFF: Final = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)


class S3Payloads:
    """See `tidemark.ports.PayloadStore`. Safe to share between threads, as its client is."""

    def __init__(self, client: "S3Client", bucket: str, *, clock: Clock, entropy: Entropy) -> None:
        self._client = client
        self._bucket = bucket
        self._clock = clock
        self._entropy = entropy

    def put(self, key: str, body: bytes) -> None:
        doing = f"storing object {key!r}"
        checksum = b64encode(hashlib.sha256(body).digest()).decode()
        backoff = Backoff(self._clock, self._entropy)
        while True:
            with named(doing, {_TAKEN: ObjectExists(f"object {key!r} is already stored")}):
                try:
                    self._client.put_object(
                        Bucket=self._bucket,
                        Key=key,
                        Body=body,
                        ContentLength=len(body),
                        ChecksumAlgorithm="SHA256",
                        ChecksumSHA256=checksum,
                        IfNoneMatch="*",
                    )
                except ClientError as error:
                    if code_of(error) != _RACING:
                        raise
                else:
                    return
            backoff.pause(doing)

    def copy(self, source_key: str, key: str) -> None:
        doing = f"copying object {source_key!r} to {key!r}"
        taken = {_TAKEN: ObjectExists(f"object {key!r} is already stored")}
        backoff = Backoff(self._clock, self._entropy)
        while True:
            with named(doing, _absent(source_key) | taken):
                try:
                    self._client.copy_object(
                        Bucket=self._bucket,
                        Key=key,
                        CopySource={"Bucket": self._bucket, "Key": source_key},
                        ChecksumAlgorithm="SHA256",
                        IfNoneMatch="*",
                    )
                except ClientError as error:
                    if code_of(error) != _RACING:
                        raise
                else:
                    return
            backoff.pause(doing)

    def get(self, key: str) -> bytes:
        return self._read(key, {})

    def get_range(self, key: str, offset: int, length_bytes: int) -> bytes:
        if length_bytes == 0:
            # HTTP has no empty range; whether the object exists is still a question.
            self.head(key)
            return b""
        return self._read(key, {"Range": f"bytes={offset}-{offset + length_bytes - 1}"})

    def head(self, key: str) -> StoredObject:
        with named(f"inspecting object {key!r}", _absent(key)):
            answer = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        checksum = answer.get("ChecksumSHA256")
        return StoredObject(key, answer["ContentLength"], b64decode(checksum).hex() if checksum else None)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with named(f"listing objects under {prefix!r}"):
            for page in pages:
                for entry in page.get("Contents", []):
                    yield StoredObject(entry["Key"], entry["Size"])

    def delete(self, key: str) -> bool:
        with named(f"deleting object {key!r}"):
            try:
                self._client.delete_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) in _RETAINED:
                    return False
                if code_of(error) not in _ABSENT:
                    raise
        return True

    def hold(self, key: str, *, on: bool) -> None:
        with named(f"{'placing' if on else 'lifting'} the legal hold of object {key!r}", _absent(key)):
            self._client.put_object_legal_hold(
                Bucket=self._bucket, Key=key, LegalHold={"Status": "ON" if on else "OFF"}, ChecksumAlgorithm="SHA256"
            )

    def _read(self, key: str, request: Mapping[str, Any]) -> bytes:
        """The object, or a span. The client repeats until an answer begins; one that breaks off is repeated here."""
        doing = f"reading object {key!r}"
        backoff = Backoff(self._clock, self._entropy)
        for reads_left in reversed(range(_READS)):
            with named(doing, _absent(key)):
                try:
                    answer = self._client.get_object(Bucket=self._bucket, Key=key, **request)
                    with answer["Body"] as body:
                        found = body.read()
                except ClientError as error:
                    if code_of(error) != _BEYOND_END:
                        raise
                    return b""
                except _BROKEN_OFF:
                    found = None
                if found is not None and len(found) == answer["ContentLength"]:
                    return found
            if reads_left:
                backoff.pause(doing)
        raise AwsFailure(f"{doing}: {_READS} times the answer broke off before its end")


def _absent(key: str) -> dict[str, TidemarkError]:
    return dict.fromkeys(_ABSENT, ObjectNotFound(f"no object {key!r}"))

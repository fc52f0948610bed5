"""Addresses of objects in one S3 bucket that carry their own right: presigned URLs, and uploads in parts.

Source: Amazon S3 User Guide, "Download and upload objects with presigned URLs" and "Uploading and copying objects using
multipart upload". An address is good for no longer than the credentials that signed it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tidemark.adapters.aws_errors import named
from tidemark.errors import ObjectNotFound, TidemarkError
from tidemark.ports import UploadedPart

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_GIVEN_UP: Final = "NoSuchUpload"


class S3Links:
    """See `tidemark.ports.Links`. Safe to share between threads, as its client is."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def download(self, key: str, *, filename: str, expires_s: int) -> str:
        asked = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentDisposition": f'attachment; filename="{filename}"',
        }
        with named(f"signing the address of {key!r}"):
            return self._client.generate_presigned_url("get_object", Params=asked, ExpiresIn=expires_s)

    def put(self, key: str, size_bytes: int | None, *, expires_s: int) -> str:
        # A length that is signed is the only one that S3 takes.
        length = {} if size_bytes is None else {"ContentLength": size_bytes}
        with named(f"signing the address of {key!r}"):
            return self._client.generate_presigned_url(
                "put_object", Params={"Bucket": self._bucket, "Key": key, **length}, ExpiresIn=expires_s
            )

    def begin_upload(self, key: str) -> str:
        with named(f"beginning the upload of {key!r}"):
            return self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]

    def upload(self, key: str, upload_id: str, number: int, *, expires_s: int) -> str:
        asked = {"Bucket": self._bucket, "Key": key, "UploadId": upload_id, "PartNumber": number}
        with named(f"signing the address of part {number} of {key!r}"):
            return self._client.generate_presigned_url("upload_part", Params=asked, ExpiresIn=expires_s)

    def uploaded(self, key: str, upload_id: str) -> list[UploadedPart]:
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=key, UploadId=upload_id)
        with named(f"looking at the upload of {key!r}", _given_up(key)):
            return [
                UploadedPart(part["PartNumber"], part["Size"], part["ETag"])
                for page in pages
                for part in page.get("Parts", [])
            ]

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        with named(f"completing the upload of {key!r}", _given_up(key)):
            self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [{"PartNumber": part.number, "ETag": part.tag} for part in parts]},
            )


def _given_up(key: str) -> dict[str, TidemarkError]:
    return {_GIVEN_UP: ObjectNotFound(f"no upload of {key!r} is under way")}

"""DynamoDB and S3 behind botocore's documented `before-send` event: answers as the services send them, from files.

What the client does around them is real: it serialises and signs the request, checks and parses the answer. Only the
network is not there.
"""

import hashlib
import io
import json
import os
import re
import threading
import zlib
from base64 import b64decode, b64encode
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import starmap
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from tests.benchmarks.dataset import TENANT, Dataset, Page
from tidemark.adapters import clients

_RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)")


class _Raw(io.BytesIO):
    """A body as urllib3 hands it over."""

    def stream(self, amount: int = 65536, **_: Any) -> Iterator[bytes]:
        while chunk := self.read(amount):
            yield chunk


def answer(url: str, status: int, headers: dict[str, str], body: bytes = b"") -> AWSResponse:
    """An answer as botocore's HTTP layer gives it."""
    fields: Any = HTTPHeaders()
    for name, value in headers.items():
        fields[name] = value
    return AWSResponse(url, status, fields, _Raw(body))


def _rest_of(body: bytes, after: str) -> bytes:
    """The answer to a Query that begins inside of a page."""
    answer = json.loads(body)
    answer["Items"] = [item for item in answer["Items"] if item["sk"]["S"] > after]
    return msgspec.json.encode(answer)


class StubbedDynamo:
    """Answers Query, BatchGetItem and BatchExecuteStatement on the entity table from a data set.

    `inserted` gets the body of each request that stages entities; `requests` counts by operation.
    """

    def __init__(self, dataset: Dataset, inserted: Callable[[bytes], None] = lambda _body: None) -> None:
        self.requests: dict[str, int] = {}
        self._inserted = inserted
        self._lock = threading.Lock()
        self._file = os.open(dataset.pages, os.O_RDONLY)
        self._changed_file = os.open(dataset.changed_items, os.O_RDONLY)
        self._dataset = dataset

    @cached_property
    def _pages(self) -> dict[str, list[Page]]:
        pages: dict[str, list[Page]] = {}
        for page in starmap(Page, json.loads(self._dataset.index.read_bytes())):
            pages.setdefault(f"{TENANT}#1#{page.shard}", []).append(page)
        return pages

    @cached_property
    def _changed(self) -> dict[str, dict[str, tuple[int, int]]]:
        changed: dict[str, dict[str, tuple[int, int]]] = {}
        for shard, sort_key, offset, length in json.loads(self._dataset.changed_index.read_bytes()):
            changed.setdefault(f"{TENANT}#1#{shard}", {})[sort_key] = (offset, length)
        return changed

    def client(self) -> Any:
        client = clients.make("dynamodb")
        client.meta.events.register("before-send.dynamodb", self._answer)
        return client

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        operation = request.headers["X-Amz-Target"]
        operation = (operation.decode() if isinstance(operation, bytes) else operation).rpartition(".")[2]
        with self._lock:
            self.requests[operation] = self.requests.get(operation, 0) + 1
        body, crc32 = getattr(self, f"_{operation}")(request.body)
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "Content-Length": str(len(body)),
            "x-amzn-RequestId": "B" * 52,
            "x-amz-crc32": str(zlib.crc32(body) if crc32 is None else crc32),
        }
        return answer(request.url, 200, headers, body)

    def _Query(self, body: bytes) -> tuple[bytes, int | None]:  # noqa: N802 - named by the operation
        asked = json.loads(body)
        pk = asked["ExpressionAttributeValues"][":pk"]["S"]
        if "IndexName" in asked:
            keys = [
                {"pk": {"S": pk}, "sk": {"S": sort_key}, "changed": {"N": "2"}}
                for sort_key in self._changed.get(pk, {})
            ]
            return msgspec.json.encode({"Count": len(keys), "Items": keys, "ScannedCount": len(keys)}), None
        after = asked["ExclusiveStartKey"]["sk"]["S"] if "ExclusiveStartKey" in asked else ""
        pages = self._pages[pk]
        page = pages[bisect_right(pages, after, key=lambda one: one.after) - 1]
        body = os.pread(self._file, page.length, page.offset)
        return (body, page.crc32) if page.after == after else (_rest_of(body, after), None)

    def _BatchGetItem(self, body: bytes) -> tuple[bytes, None]:  # noqa: N802 - named by the operation
        ((table, asked),) = json.loads(body)["RequestItems"].items()
        items = []
        for key in asked["Keys"]:
            # The tenant's state is asked for too; there is none here.
            if found := self._changed.get(key["pk"]["S"], {}).get(key["sk"]["S"]):
                offset, length = found
                items.append(os.pread(self._changed_file, length, offset))
        return b'{"Responses":{"' + table.encode() + b'":[' + b",".join(items) + b']},"UnprocessedKeys":{}}', None

    def _BatchExecuteStatement(self, body: bytes) -> tuple[bytes, None]:  # noqa: N802 - named by the operation
        self._inserted(body)
        count = body.count(b'"Parameters"')
        return b'{"Responses":[' + b",".join([b'{"TableName":"entities"}'] * count) + b"]}", None


class StubbedS3:
    """Answers PutObject, GetObject and HeadObject from a folder, one file an object."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def client(self) -> Any:
        client = clients.make("s3")
        client.meta.events.register("before-send.s3", self._answer)
        return client

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        path = self._folder / unquote(urlsplit(request.url).path).lstrip("/").replace("/", "!")
        if request.method == "PUT":
            return self._put(request, path)
        if not path.exists():
            return answer(request.url, 404, {}, b"<Error><Code>NoSuchKey</Code></Error>")
        size_bytes = path.stat().st_size
        headers = {"ETag": '"-"', "Content-Length": str(size_bytes)}
        if request.method == "HEAD":
            # Not read as a whole: the memory that is measured is to be the product's.
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
            return answer(request.url, 200, headers | {"x-amz-checksum-sha256": b64encode(digest).decode()})
        offset, length, status = 0, size_bytes, 200
        if asked := request.headers.get("Range"):
            found = _RANGE.fullmatch(asked.decode() if isinstance(asked, bytes) else asked)
            assert found
            offset, length, status = int(found[1]), min(int(found[2]) + 1, size_bytes) - int(found[1]), 206
        with path.open("rb") as file:
            file.seek(offset)
            body = file.read(length)
        return answer(request.url, status, headers | {"Content-Length": str(len(body))}, body)

    def _put(self, request: Any, path: Path) -> AWSResponse:
        body = request.body if isinstance(request.body, bytes) else request.body.read()
        stated = request.headers["x-amz-checksum-sha256"]
        assert b64decode(stated) == hashlib.sha256(body).digest()
        if path.exists():
            return answer(request.url, 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>")
        path.write_bytes(body)
        return answer(request.url, 200, {"ETag": '"-"'})

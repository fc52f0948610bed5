"""Addresses of objects in memory: `fetch` and `send` are what an HTTP client does with them."""

import hashlib
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.fakes.payloads import MemoryPayloads
from tests.fakes.system import ManualClock
from tidemark.errors import ObjectNotFound
from tidemark.ports import UploadedPart


class LinkExpired(Exception):
    """The store answers 403."""


class LinkRefused(LinkExpired):
    """The store answers 403 to what was not signed."""


class MemoryLinks:
    """`uploads` holds the parts that have arrived, by key and upload id."""

    def __init__(self, payloads: MemoryPayloads, clock: ManualClock) -> None:
        self.uploads: dict[tuple[str, str], dict[int, bytes]] = {}
        self._payloads = payloads
        self._clock = clock
        self._lock = threading.Lock()
        self._count = 0

    def download(self, key: str, *, filename: str, expires_s: int) -> str:
        return self._address(key, expires_s, f"filename={quote(filename)}")

    def put(self, key: str, size_bytes: int | None, *, expires_s: int) -> str:
        return self._address(key, expires_s, f"size={'' if size_bytes is None else size_bytes}")

    def begin_upload(self, key: str) -> str:
        with self._lock:
            self._count += 1
            self.uploads[key, f"upload-{self._count}"] = {}
            return f"upload-{self._count}"

    def upload(self, key: str, upload_id: str, number: int, *, expires_s: int) -> str:
        return self._address(key, expires_s, f"upload={upload_id}&number={number}")

    def uploaded(self, key: str, upload_id: str) -> list[UploadedPart]:
        with self._lock:
            found = self._parts(key, upload_id)
            return [
                UploadedPart(number, len(body), hashlib.sha256(body).hexdigest())
                for number, body in sorted(found.items())
            ]

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        with self._lock:
            found = self._parts(key, upload_id)
            self._payloads.objects[key] = b"".join(found[part.number] for part in parts)
            del self.uploads[key, upload_id]

    def fetch(self, url: str) -> bytes:
        """GET an address."""
        return self._payloads.get(self._opened(url)[0])

    def send(self, url: str, body: bytes) -> None:
        """PUT to an address."""
        key, query = self._opened(url)
        if "upload" not in query:
            if query.get("size", str(len(body))) != str(len(body)):
                raise LinkRefused(f"{url} takes another number of bytes than {len(body)}")
            self._payloads.objects[key] = body
            return
        with self._lock:
            self._parts(key, query["upload"])[int(query["number"])] = body

    def _address(self, key: str, expires_s: int, query: str) -> str:
        until = (self._clock.now() + timedelta(seconds=expires_s)).isoformat()
        return f"https://bucket.example/{quote(key)}?{query}&until={quote(until)}"

    def _opened(self, url: str) -> tuple[str, dict[str, str]]:
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if self._clock.now() >= datetime.fromisoformat(query["until"]):
            raise LinkExpired(url)
        return unquote(parts.path[1:]), query

    def _parts(self, key: str, upload_id: str) -> dict[int, bytes]:
        if (key, upload_id) not in self.uploads:
            raise ObjectNotFound(f"no upload of {key!r} is under way")
        return self.uploads[key, upload_id]

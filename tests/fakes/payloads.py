"""Objects in memory."""

import hashlib
import threading
from collections.abc import Iterator

from tidemark.errors import ObjectExists, ObjectNotFound
from tidemark.ports import StoredObject


class MemoryPayloads:
    """`objects` holds the bytes by key; a test may alter it to damage what is stored.

    `retained` are keys that can't be deleted, `held` those under a legal hold, which can't be either.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.retained: set[str] = set()
        self.held: set[str] = set()
        # By key: what was there when it was asked for, and its digest. Tests that damage something put other bytes.
        self._digests: dict[str, tuple[bytes, str]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, body: bytes) -> None:
        with self._lock:
            if key in self.objects:
                raise ObjectExists(f"object {key!r} is already stored")
            self.objects[key] = bytes(body)

    def copy(self, source_key: str, key: str) -> None:
        self.put(key, self.get(source_key))

    def get(self, key: str) -> bytes:
        with self._lock:
            if key not in self.objects:
                raise ObjectNotFound(f"no object {key!r}")
            return self.objects[key]

    def get_range(self, key: str, offset: int, length_bytes: int) -> bytes:
        return self.get(key)[offset : offset + length_bytes]

    def head(self, key: str) -> StoredObject:
        body = self.get(key)
        known = self._digests.get(key)
        if known is None or known[0] is not body:
            known = self._digests[key] = (body, hashlib.sha256(body).hexdigest())
        return StoredObject(key, len(body), known[1])

    def list(self, prefix: str) -> Iterator[StoredObject]:
        with self._lock:
            found = sorted((key, len(body)) for key, body in self.objects.items() if key.startswith(prefix))
        for key, size_bytes in found:
            yield StoredObject(key, size_bytes)

    def delete(self, key: str) -> bool:
        with self._lock:
            if key in self.retained | self.held:
                return False
            self.objects.pop(key, None)
            self._digests.pop(key, None)
            return True

    def hold(self, key: str, *, on: bool) -> None:
        with self._lock:
            if key not in self.objects:
                raise ObjectNotFound(f"no object {key!r}")
            self.held = self.held | {key} if on else self.held - {key}

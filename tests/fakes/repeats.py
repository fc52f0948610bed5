"""Answers to requests that may be sent again, in memory."""

import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tidemark.domain.asked import KEPT_FOR, Asked
from tidemark.domain.tenant import Tenant
from tidemark.errors import KeyReused, RequestInProgress
from tidemark.ports import Clock

_LIVES: timedelta = timedelta(seconds=30)


class _Kept(NamedTuple):
    content: str
    until: datetime
    answer: str | None = None


class MemoryRepeats:
    """One row a key: in progress without an answer, until it has one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[tuple[Tenant, str], _Kept] = {}

    def once(self, tenant: Tenant, asked: Asked, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        place = (tenant, asked.key)
        with self._lock:
            now = self._clock.now()
            held = self._rows.get(place)
            if held is not None and now <= held.until:
                if held.content != asked.content:
                    raise KeyReused("another request was made with this key")
                if held.answer is None:
                    raise RequestInProgress("the request with this key is being served")
                kept: dict[str, Any] = json.loads(held.answer)
                return kept
            self._rows[place] = _Kept(asked.content, now + _LIVES)
        try:
            answered = answer()
        except Exception:
            with self._lock:
                del self._rows[place]
            raise
        with self._lock:
            self._rows[place] = _Kept(asked.content, self._clock.now() + KEPT_FOR, json.dumps(answered))
        return answered

"""The machine itself: its clock, its source of randomness, its threads."""

import random
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Final

_WIDTH: Final = 8


class SystemClock:
    """The operating system's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class SystemEntropy:
    """The operating system's randomness."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def token_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def jitter(self) -> float:
        return self._random.random()


class Threads:
    """Up to `width` calls at once, on threads that end with `map`.

    Every `map` has threads of its own. In one pool for all, calls that call `map` themselves could fill it and wait for
    each other forever. Each call sees the context variables of who called `map`, so its log lines say whose they are.
    """

    def __init__(self, width: int = _WIDTH) -> None:
        self._width = width

    def map[T, R](self, call: Callable[[T], R], items: Iterable[T]) -> list[R]:
        calls = list(items)
        if len(calls) <= 1:
            return [call(item) for item in calls]
        # Leaving the block waits for every call, also when some have failed.
        with ThreadPoolExecutor(min(self._width, len(calls)), thread_name_prefix="tidemark") as pool:
            # A copy for each: a context can't be entered twice at once.
            futures = [pool.submit(copy_context().run, call, item) for item in calls]
        return [future.result() for future in futures]

"""Time that a test moves, randomness that repeats, and calls one after another."""

import random
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta


class ManualClock:
    """Stands still until it is moved; sleeping moves it."""

    def __init__(self, now: datetime = datetime(2026, 1, 15, 10, tzinfo=UTC)) -> None:
        self._start = now
        self._elapsed_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic_s())

    def monotonic_s(self) -> float:
        with self._lock:
            return self._elapsed_s

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            msg = f"time can't go back: {seconds} s"
            raise ValueError(msg)
        with self._lock:
            self._elapsed_s += seconds


class SeededEntropy:
    """The same numbers for the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def token_bytes(self, count: int) -> bytes:
        with self._lock:
            return self._random.randbytes(count)

    def jitter(self) -> float:
        with self._lock:
            return self._random.random()


class Serial:
    """One call after another, in the order of the items; an error is raised once all calls are made."""

    def map[T, R](self, call: Callable[[T], R], items: Iterable[T]) -> list[R]:
        results: list[R] = []
        first_error: Exception | None = None
        for item in items:
            try:
                results.append(call(item))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is raised once all calls are finished
                first_error = first_error or error
        if first_error is not None:
            raise first_error
        return results

"""The ports of time, randomness and work side by side."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time. `now` is for records that people read; only `monotonic_s` may decide how long something took."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Entropy(Protocol):
    """Randomness: identities, secrets and jitter."""

    def token_bytes(self, count: int) -> bytes:
        """`count` unpredictable bytes."""
        ...

    def jitter(self) -> float:
        """A number in [0, 1)."""
        ...


class Parallel(Protocol):
    """Runs independent calls side by side."""

    def map[T, R](self, call: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """The results in the order of the items.

        All calls are finished when it returns or raises the first error, in the order of the items.
        """
        ...

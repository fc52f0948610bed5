"""Pauses between repeats of a call that AWS answered in part or turned away.

Full jitter, as in https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from tidemark.errors import Throttled
from tidemark.ports import Clock, Entropy


class Backoff:
    """The pauses of one call: random, up to a bound that doubles from `first_s` to `longest_s`, for `budget_s`."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        *,
        first_s: float = 0.05,
        longest_s: float = 2.0,
        budget_s: float = 20.0,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._bound_s = first_s
        self._longest_s = longest_s
        self._until_s = clock.monotonic_s() + budget_s

    def pause(self, doing: str) -> None:
        """Wait before the next repeat. Raises Throttled when the budget is used up; `doing` says what was tried."""
        if self._clock.monotonic_s() >= self._until_s:
            raise Throttled(f"{doing}: AWS did not let it through in time; try again later")
        self._clock.sleep(self._entropy.jitter() * self._bound_s)
        self._bound_s = min(self._bound_s * 2, self._longest_s)

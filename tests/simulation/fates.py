"""What may befall the processes of a world: they die at a step, before the call or after it, or stand still while the
world moves on, and then go on as if nothing had been.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.simulation.scheduler import Killed, Scheduler

# How many steps the world makes while somebody stands still, unless what is waited for comes first.
_STANDSTILLS: Final = (20, 60, 200)
_LATE: Final = (0, 0, 5, 20, 60)

# Called when somebody comes to a stand; says until what.
type Stand = Callable[[], Callable[[], bool]]


class Died(Exception):
    """A process ended before its work did; what it had asked for may have happened."""


class Fates:
    """Draws them from the seed. `danger` is the share of processes that something befalls."""

    def __init__(self, scheduler: Scheduler, seed: int, danger: float) -> None:
        self._scheduler = scheduler
        self._random = random.Random(f"fates of {seed}")
        self.danger = danger
        self.befell: Counter[str] = Counter()

    def process[T](self, work: Callable[[], T], steps: int, stand: Stand) -> T:
        """Do work that takes about so many steps as a process of its own. Raises Died."""
        if not self.chance(1):
            return work()
        self.draw(steps, stand)
        return self.mortal(work)

    def mortal[T](self, work: Callable[[], T]) -> T:
        """Do work that may be killed. Raises Died."""
        try:
            return work()
        except Killed:
            raise Died from None
        finally:
            self._scheduler.spare()

    def chance(self, share: float) -> bool:
        """Whether something with this share of the dangers happens now."""
        return self.danger > 0 and self._scheduler.actor is not None and self._random.random() < self.danger * share

    def draw(self, steps: int, stand: Stand) -> None:
        """Let the calling actor die or stand still within so many steps."""
        fate = self._random.choice(("were killed before a call", "were killed after a call", "froze"))
        if fate == "froze":
            self.freeze(steps, stand)
            return
        self.befell[fate] += 1
        self._scheduler.kill(self._random.randint(1, steps), after=fate == "were killed after a call")

    def freeze(self, steps: int, stand: Stand) -> None:
        """Let the calling actor stand still within so many steps."""
        self.befell["froze"] += 1
        self._scheduler.freeze(self._random.randint(1, steps), lambda: self._or_long(stand()))

    def pick(self, number: int) -> int:
        """One of so many."""
        return self._random.randrange(number)

    def _or_long(self, until: Callable[[], bool]) -> Callable[[], bool]:
        trace, end = self._scheduler.trace, len(self._scheduler.trace) + self._random.choice(_STANDSTILLS)
        # Whoever goes on at once meets the successor's first calls; these are for meeting its later ones.
        late, since = self._random.choice(_LATE), [0]

        def over() -> bool:
            if not since[0] and (until() or len(trace) >= end):
                since[0] = len(trace)
            return since[0] > 0 and len(trace) >= since[0] + late

        return over

"""What a process read last and may need again: only things that never change are kept."""

import threading
from collections import OrderedDict
from collections.abc import Callable


class Recent[K, V]:
    """Values by key, up to `capacity` in weight together; the least recently used go first. Threads may share it.

    One that alone is above the capacity is not kept.
    """

    def __init__(self, capacity: int, weigh: Callable[[V], int]) -> None:
        self._capacity = capacity
        self._weigh = weigh
        self._held: OrderedDict[K, V] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of the key: made if it is not there. Two threads that miss it at once both make it."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        made = make()
        weight = self._weigh(made)
        with self._lock:
            if key not in self._held and weight <= self._capacity:
                self._held[key] = made
                self._weight += weight
            while self._weight > self._capacity:
                _, oldest = self._held.popitem(last=False)
                self._weight -= self._weigh(oldest)
        return made

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()
            self._weight = 0

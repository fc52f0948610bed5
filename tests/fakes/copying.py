"""Copies of what is in memory: tests that begin at one state hundreds of times make it once.

Bytes, which nobody changes in place, are shared; all else is copied. A copy of a lock is a new one. Functions are
shared too: whoever holds one that speaks of the original must put its own in place.
"""

import copy
import copyreg
import threading

_LOCK, _RLOCK = type(threading.Lock()), type(threading.RLock())
copyreg.pickle(_LOCK, lambda _: (threading.Lock, ()))
copyreg.pickle(_RLOCK, lambda _: (threading.RLock, ()))


def copied[T](made: T, memo: dict[int, object] | None = None) -> T:
    """Another one in the same state, with nothing that changes in common."""
    return copy.deepcopy(made, memo)

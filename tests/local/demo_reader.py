"""A reader that goes on reading while a restore runs, and remembers which state each of its reads showed."""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.local.demo_client import Client, DemoFailed, Listing

BEFORE, AFTER = "before", "after"
_PAUSE_S = 0.3  # a read takes longer here, and the restore shares the processor with it


def digest(body: bytes) -> str:
    """What stands for an answer's bytes."""
    return hashlib.sha256(body).hexdigest()


class Reader:
    """Lists page after page until its block ends. One answer is one read: it must show one state, whole and exact.

    Pages are requests of their own, so the first page may show the state before and the next one that after; but never
    the other way round, and never a mixture in one of them.
    """

    def __init__(self, connect: Callable[[], Client], before: Listing, after: Listing) -> None:
        self._connect = connect
        self._pages = max(len(before.pages), len(after.pages))
        self._states = {digest(page): (BEFORE, number) for number, page in enumerate(before.pages)}
        self._states |= {digest(page): (AFTER, number) for number, page in enumerate(after.pages)}
        self._seen: list[tuple[str, int] | None] = []
        self._first = threading.Event()
        self._stop = threading.Event()
        self._abandoned = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="demo-reader", daemon=True)

    def __enter__(self) -> Self:
        """Begin, and wait for the first read, so that there is one of the state before."""
        self._thread.start()
        self._first.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandoned = error is not None
        self._stop.set()
        self._thread.join()

    def judge(self) -> Counter[str]:
        """How many reads showed each state.

        Raises:
            DemoFailed: a read failed, showed neither state, or the one before after that after.
        """
        if self._failure is not None:
            raise DemoFailed(f"the reader could not read during the restore: {self._failure}") from self._failure
        states = [state for state, _ in filter(None, self._seen)]
        if len(states) < len(self._seen):
            torn = len(self._seen) - len(states)
            raise DemoFailed(f"{torn} of {len(self._seen)} reads showed neither the state before nor that after")
        if AFTER in states and BEFORE in states[states.index(AFTER) :]:
            raise DemoFailed("a read showed the restored state and a later one the state before it")
        counts = Counter(states)
        if not counts[BEFORE] or not counts[AFTER]:
            raise DemoFailed(f"the reader must see the state before and that after; it saw {dict(counts)}")
        return counts

    def _read(self) -> None:
        number = 0
        last_round = False
        try:
            with self._connect() as client:
                while not self._abandoned:
                    # Once it is told to stop, it reads every page once more: those show the state after.
                    if self._stop.is_set() and number == 0:
                        if last_round:
                            return
                        last_round = True
                    found = self._states.get(digest(client.page(number).body))
                    self._seen.append(found if found is None or found[1] == number else None)
                    self._first.set()
                    number = (number + 1) % self._pages
                    self._stop.wait(_PAUSE_S)
        except Exception as error:  # noqa: BLE001 - told to whoever judges
            self._failure = error
            self._first.set()

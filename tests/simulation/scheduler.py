"""A deterministic scheduler: actors run in threads, one at a time, and the seed decides who makes the next call.

Every call of a scheduled port is a step. The order of steps is the whole non-determinism of a run, so a seed replays
it.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Killed(BaseException):
    """Ends an actor where it stands, as the end of a process would."""


class Scheduler:
    """Runs actors to their end, step by step. `trace` lists the steps as (actor, call)."""

    def __init__(self, seed: int, max_steps: int = 20_000) -> None:
        self._random = random.Random(seed)
        # Bursts: an actor that stands still while others run far ahead meets what even interleaving hardly ever shows.
        self._stickiness = self._random.choice((0.0, 0.7, 0.9, 0.97))
        self._last: str | None = None
        self._max_steps = max_steps
        self._baton = threading.Condition()
        self._turn: str | None = None
        self._waiting: dict[str, str] = {}
        self._alive: set[str] = set()
        self._doomed: set[str] = set()
        self._names = threading.local()
        self.errors: dict[str, BaseException] = {}
        self.trace: list[tuple[str, str]] = []

    def run(self, actors: dict[str, Callable[[], None]]) -> None:
        """Run all actors until each has ended. What an actor raised is in `errors`."""
        self._alive = set(actors)
        threads = [
            threading.Thread(target=self._live, args=(name, actor), daemon=True) for name, actor in actors.items()
        ]
        for thread in threads:
            thread.start()
        with self._baton:
            while self._alive:
                self._baton.wait_for(lambda: self._turn is None and set(self._waiting) == self._alive)
                if not self._alive:
                    break
                self._step()
        for thread in threads:
            thread.join()

    def kill(self, name: str) -> None:
        """Let an actor end at its next step."""
        self._doomed.add(name)

    def pause(self, call: str) -> None:
        """Called by an actor before each step: returns when it is its turn. Outside of actors it returns at once."""
        name = getattr(self._names, "name", None)
        if name is None or getattr(self._names, "unseen", False):
            return
        with self._baton:
            if self._turn == name:
                self._turn = None
            self._waiting[name] = call
            self._baton.notify_all()
            self._baton.wait_for(lambda: self._turn == name)
        if name in self._doomed:
            raise Killed

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """What the calling actor does in here is no step: it looks at the world without being part of it."""
        self._names.unseen = True
        try:
            yield
        finally:
            self._names.unseen = False

    def _step(self) -> None:
        if len(self.trace) >= self._max_steps:
            msg = f"no end after {self._max_steps} steps"
            raise AssertionError(msg)
        if self._last not in self._waiting or self._random.random() >= self._stickiness:
            self._last = self._random.choice(sorted(self._waiting))
        name = self._last
        self.trace.append((name, self._waiting.pop(name)))
        self._turn = name
        self._baton.notify_all()

    def _live(self, name: str, actor: Callable[[], None]) -> None:
        self._names.name = name
        try:
            self.pause("begin")
            actor()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - the test looks at what an actor ended with
            self.errors[name] = error
        finally:
            with self._baton:
                self._alive.discard(name)
                self._waiting.pop(name, None)
                if self._turn == name:
                    self._turn = None
                self._baton.notify_all()


class Stepped:
    """A port whose every call is a step."""

    def __init__(self, port: Any, scheduler: Scheduler) -> None:
        self._port = port
        self._scheduler = scheduler

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if not callable(call):
            return call

        def step(*args: Any, **kwargs: Any) -> Any:
            self._scheduler.pause(name)
            return call(*args, **kwargs)

        return step

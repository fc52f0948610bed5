"""A deterministic scheduler: actors run in threads, one at a time, and the seed decides who makes the next call.

Every call of a scheduled port is a step. The order of steps is the whole non-determinism of a run, so a seed replays
it. At a step something may befall an actor, before the call or after it: it dies, or stands still for long.
"""

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple


class Killed(BaseException):
    """Ends a process where it stands: nothing of it is run any more, and what it asked for last may have happened."""


class _Endless(BaseException):
    """Ends an actor because the run takes too long."""


class _Fate(NamedTuple):
    at_step: int
    after: bool
    befall: Callable[[], None]


class Scheduler:
    """Runs actors to their end, step by step. `trace` lists the steps as (actor, call).

    Actors hand the turn to each other, so one that goes on costs no switch of threads.
    """

    def __init__(self, seed: int, max_steps: int = 20_000) -> None:
        self._random = random.Random(seed)
        # Bursts: an actor that stands still while others run far ahead meets what even interleaving hardly ever shows.
        self._stickiness = self._random.choice((0.0, 0.7, 0.9, 0.97))
        self._last: str | None = None
        self._max_steps = max_steps
        self._threads: list[threading.Thread] = []
        self._turns: dict[str, threading.Lock] = {}
        self._over = threading.Event()
        self._waiting: dict[str, str] = {}
        self._frozen: dict[str, Callable[[], bool]] = {}
        self._fates: dict[str, _Fate] = {}
        self._steps: dict[str, int] = {}
        self._names = threading.local()
        self.errors: dict[str, BaseException] = {}
        self.trace: list[tuple[str, str]] = []

    def run(self, actors: Mapping[str, Callable[[], None]]) -> None:
        """Run all actors, and those that they spawn, until each has ended. What an actor raised is in `errors`."""
        self._over.clear()
        for name, actor in actors.items():
            self.spawn(name, actor)
        self._hand_on()
        self._over.wait()
        for thread in self._threads:
            thread.join()
        self._threads = []
        if len(self.trace) > self._max_steps:
            msg = f"no end after {self._max_steps} steps"
            raise AssertionError(msg)

    def spawn(self, name: str, actor: Callable[[], None]) -> None:
        """Add an actor."""
        assert name not in self._turns, f"two actors are called {name}"
        turn = self._turns[name] = threading.Lock()
        turn.acquire()
        self._steps[name] = 0
        self._waiting[name] = "begin"
        self._threads.append(threading.Thread(target=self._live, args=(name, turn, actor), daemon=True))
        self._threads[-1].start()

    @property
    def actor(self) -> str | None:
        """Who asks; None outside of actors, and where what it does is unseen."""
        return None if getattr(self._names, "unseen", False) else getattr(self._names, "name", None)

    def kill(self, in_steps: int, *, after: bool) -> None:
        """Let the calling actor die at its so many-th step from here, before the call or after it."""
        self._destine(in_steps, self._die, after=after)

    def freeze(self, in_steps: int, stand: Callable[[], Callable[[], bool]]) -> None:
        """Let the calling actor stand still before that step. `stand` is asked then until what, as `wait` has it."""

        def befall() -> None:
            self.spare()
            with self.unseen():
                until = stand()
            self.wait(until)

        self._destine(in_steps, befall, after=False)

    def spare(self) -> None:
        """Let nothing befall the calling actor any more."""
        self._fates.pop(self.actor or "", None)

    def wait(self, until: Callable[[], bool]) -> None:
        """Let the calling actor stand still here until the world says so, or nobody else can move."""
        if self.actor is not None:
            self._frozen[self.actor] = until
            self.pause("go on")

    def pause(self, call: str) -> None:
        """Called by an actor before each step: returns when it is its turn. Outside of actors it returns at once."""
        name = self.actor
        if name is None:
            return
        self._waiting[name] = call
        if self._hand_on() != name:
            self._turns[name].acquire()
        if len(self.trace) > self._max_steps:
            raise _Endless
        self._steps[name] += 1
        fate = self._fates.get(name)
        if fate is not None and self._steps[name] >= fate.at_step and not fate.after:
            fate.befall()

    def made(self) -> None:
        """Called by an actor after each step."""
        fate = self._fates.get(self.actor or "")
        if fate is not None and self._steps[self.actor or ""] >= fate.at_step and fate.after:
            fate.befall()

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """What the calling actor does in here is no step: it looks at the world without being part of it."""
        before = getattr(self._names, "unseen", False)
        self._names.unseen = True
        try:
            yield
        finally:
            self._names.unseen = before

    def _destine(self, in_steps: int, befall: Callable[[], None], *, after: bool) -> None:
        if self.actor is not None:
            self._fates[self.actor] = _Fate(self._steps[self.actor] + in_steps, after, befall)

    def _die(self) -> None:
        # The dead make no further call, whatever they would do on their way out.
        self._destine(0, self._die, after=False)
        raise Killed

    def _hand_on(self) -> str:
        """Choose who makes the next step, and wake it unless it is who asks."""
        movable = self._waiting.keys() - self._frozen.keys()
        if self._frozen:
            with self.unseen():
                thawed = {name for name, until in self._frozen.items() if until()}
            if not movable and not thawed:
                thawed = {self._random.choice(sorted(self._frozen))}
            for name in thawed:
                del self._frozen[name]
            movable |= thawed
        if self._last not in movable or self._random.random() >= self._stickiness:
            self._last = self._random.choice(sorted(movable))
        assert self._last is not None
        name = self._last
        self.trace.append((name, self._waiting.pop(name)))
        if name != getattr(self._names, "name", None):
            self._turns[name].release()
        return name

    def _live(self, name: str, turn: threading.Lock, actor: Callable[[], None]) -> None:
        self._names.name = name
        try:
            turn.acquire()
            actor()
        except (Killed, _Endless):
            pass
        except BaseException as error:  # noqa: BLE001 - the test looks at what an actor ended with
            self.errors[name] = error
        self._fates.pop(name, None)
        del self._turns[name]
        self._names.name = None
        if self._waiting:
            self._hand_on()
        else:
            self._over.set()


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
            try:
                return call(*args, **kwargs)
            finally:
                self._scheduler.made()

        return step

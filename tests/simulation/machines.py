"""State machines that run: each execution is an actor, and what may befall it is what Lambda and people do.

Workers die and are invoked again, come twice at once, or are given up and go on late. An execution is stopped with its
workers, or declared over while one of them goes on.
"""

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Final

from tests.driving import Invoke, run_capture, run_restore, run_transfer
from tests.fakes import MemoryWorkflows, Started
from tests.simulation.fates import Died, Fates, Stand
from tests.simulation.scheduler import Scheduler
from tidemark.errors import AwsFailure, TidemarkError, Unavailable
from tidemark.ports import Ports

_TRIES: Final = 3
_PHASE_STEPS: Final = 14
_EXECUTION_STEPS: Final = 100
_RUNS_BESIDE: Final = 0.3


class StateMachines(MemoryWorkflows):
    """Starts an actor for each execution. `moved_on` makes the condition that the lease, or the record of a transfer,
    has passed on since it was made; `requested` says whether the request that an execution is to wait for may still be
    alive.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        fates: Fates,
        ports: Callable[[], Ports],
        moved_on: Callable[[Started], Stand],
        requested: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._fates = fates
        self._ports = ports
        self._moved_on = moved_on
        self._requested = requested
        self._twins = count(1)

    def _start(self, execution: Started) -> bool:
        before = len(self.started)
        runs = super()._start(execution)
        if len(self.started) > before:
            self._scheduler.spawn(f"{_short(execution.subject)}/{len(self.started)}", lambda: self._execute(execution))
        return runs

    def _execute(self, execution: Started) -> None:
        if execution.delay_s:
            self._scheduler.wait(lambda: not self._requested())
        try:
            if self._fates.chance(0.5):
                self._fates.draw(_EXECUTION_STEPS, lambda: self._stop(execution))
                self._fates.mortal(lambda: self._run(execution, self._invoke_plainly))
            else:
                self._run(execution, self._invoking(execution))
        except (Died, TidemarkError):
            # One that fails, or is stopped, leaves its lease, for whoever meets it to start the next attempt.
            pass
        self.end(execution.tenant, execution.subject, attempt=execution.attempt)

    def _run(self, execution: Started, invoke: Invoke) -> None:
        ports, subject, attempt = self._ports(), execution.subject, execution.attempt
        if execution.capture_id is not None:
            run_capture(ports, subject, execution.capture_id, attempt=attempt, invoke=invoke)
            return
        if execution.snapshot_id is not None:
            run_transfer(ports, execution, invoke=invoke)
            return
        while True:
            rolled_back = run_restore(ports, subject, attempt=attempt, invoke=invoke, budget_s=0)
            if rolled_back is None or rolled_back.resume_at is None:
                return

    def _stop(self, execution: Started) -> Callable[[], bool]:
        self.end(execution.tenant, execution.subject, attempt=execution.attempt)
        return self._moved_on(execution)()

    def _invoke_plainly[T](self, phase: Callable[[], T]) -> T:
        for _ in range(_TRIES - 1):
            with suppress(Unavailable):
                return phase()
        return phase()

    def _invoking(self, execution: Started) -> Invoke:
        stand = self._moved_on(execution)

        def invoke[T](phase: Callable[[], T]) -> T:
            for _ in range(_TRIES):
                if self._fates.chance(_RUNS_BESIDE):
                    self._fates.befell["ran twice at once"] += 1
                    self._scheduler.spawn(
                        f"{self._scheduler.actor}+{next(self._twins)}", lambda: self._twin(phase, stand)
                    )
                with suppress(Died, Unavailable):
                    return self._fates.process(phase, _PHASE_STEPS, stand)
            raise AwsFailure("no worker came to the end of a phase")

        return invoke

    def _twin(self, phase: Callable[[], object], stand: Stand) -> None:
        if self._fates.pick(2):
            self._fates.freeze(_PHASE_STEPS, stand)
        with suppress(TidemarkError):
            phase()


def _short(subject: str) -> str:
    kind, _, moment = subject.partition("_")
    return f"{kind}{moment[20:]}"

"""Lambda as its callers see it: limits, retries of asynchronous calls, log groups and what an invocation answers.

How code is run is a `Runner`'s matter: worker processes (`workers.py`) or this very process (`inprocess.py`).
Source: AWS Lambda Developer Guide, "Lambda quotas", "Understanding retry behavior" and "Using CloudWatch Logs".
"""

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from tests.local.logs import LogStore
from tests.local.spec import FunctionSpec

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
_ASYNC_ATTEMPTS = 3
_ASYNC_PAUSE_S = 0.2  # AWS waits one minute, then two
_MAX_CONCURRENT = 64  # processes here are not free; AWS would run 1000


class Throttled(Exception):
    """The function runs as often at once as it may."""


class PayloadTooLarge(Exception):
    """The event is over Lambda's 6 MB."""


class UnknownFunction(Exception):
    """There is no such function."""


@dataclass(frozen=True)
class Outcome:
    """What a runner saw of one invocation."""

    payload: bytes
    error: str | None
    """`Unhandled` if the function failed; then the payload is the error document."""
    lines: list[str]
    duration_ms: float
    init_ms: float | None = None
    max_memory_mb: int | None = None


@dataclass(frozen=True)
class Invocation:
    """What Lambda answers to a caller."""

    payload: bytes
    error: str | None
    request_id: str
    log: str


class Runner(Protocol):
    """Runs function code."""

    def run(self, spec: FunctionSpec, event: bytes, request_id: str) -> Outcome:
        """Run the function once. Never raises: what goes wrong in the function is in the outcome."""

    def close(self) -> None:
        """End everything that was started."""


class Functions:
    """All functions of a stack."""

    def __init__(self, specs: Iterable[FunctionSpec], runner: Runner, logs: LogStore) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._runner = runner
        self._logs = logs
        self._running: Counter[str] = Counter()
        self._free = threading.Condition()
        self._later: set[threading.Thread] = set()

    def spec(self, name_or_arn: str) -> FunctionSpec:
        """The function behind a name, an ARN, or either with a version or alias.

        Raises:
            UnknownFunction: there is none.
        """
        name = name_or_arn.split(":function:", 1)[-1].split(":", 1)[0]
        try:
            return self._specs[name]
        except KeyError:
            raise UnknownFunction(f"there is no function {name}; there are {', '.join(sorted(self._specs))}") from None

    def invoke(self, name_or_arn: str, event: bytes) -> Invocation:
        """Run a function and wait for its answer.

        Raises:
            Throttled: as many instances run as the function reserves.
            PayloadTooLarge: the event is over 6 MB.
            UnknownFunction: there is none.
        """
        spec = self.spec(name_or_arn)
        if len(event) > MAX_PAYLOAD_BYTES:
            raise PayloadTooLarge(
                f"{len(event)} byte payload is too large for {spec.name} (limit {MAX_PAYLOAD_BYTES} bytes)"
            )
        self._enter(spec)
        request_id = str(uuid.uuid4())
        try:
            outcome = self._runner.run(spec, event, request_id)
        finally:
            with self._free:
                self._running[spec.name] -= 1
                self._free.notify_all()
        if len(outcome.payload) > MAX_PAYLOAD_BYTES:
            message = f"Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)."
            document = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}
            outcome = Outcome(json.dumps(document).encode(), "Unhandled", outcome.lines, outcome.duration_ms)
        log = [
            f"START RequestId: {request_id} Version: $LATEST",
            *outcome.lines,
            f"END RequestId: {request_id}",
            _report(spec, request_id, outcome),
        ]
        self._logs.store(spec, log)
        return Invocation(outcome.payload, outcome.error, request_id, "\n".join(log))

    def invoke_later(self, name_or_arn: str, event: bytes) -> None:
        """Run a function without waiting; if it fails it is tried twice more, as for InvocationType Event."""
        self.spec(name_or_arn)

        def attempts() -> None:
            for attempt in range(_ASYNC_ATTEMPTS):
                try:
                    if self.invoke(name_or_arn, event).error is None:
                        break
                except Throttled:
                    pass
                time.sleep(_ASYNC_PAUSE_S * 2**attempt)
            self._later.discard(threading.current_thread())

        thread = threading.Thread(target=attempts, name="invoke-later", daemon=True)
        self._later.add(thread)
        thread.start()

    def wait_for_later(self, timeout_s: float) -> None:
        """Wait until what runs without anybody waiting has been tried often enough.

        Raises:
            TimeoutError: it still runs.
        """
        deadline = time.monotonic() + timeout_s
        for thread in list(self._later):
            thread.join(max(deadline - time.monotonic(), 0))
            if thread.is_alive():
                raise TimeoutError(f"a function that was invoked asynchronously still runs after {timeout_s} s")

    def close(self) -> None:
        """End what runs."""
        self._runner.close()
        for thread in list(self._later):
            thread.join()

    def _enter(self, spec: FunctionSpec) -> None:
        with self._free:
            if spec.reserved_concurrency is not None and self._running[spec.name] >= spec.reserved_concurrency:
                raise Throttled(
                    f"{spec.name} reserves {spec.reserved_concurrency} concurrent executions and all are in use"
                )
            self._free.wait_for(lambda: self._running.total() < _MAX_CONCURRENT)
            self._running[spec.name] += 1


def _report(spec: FunctionSpec, request_id: str, outcome: Outcome) -> str:
    parts = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {outcome.duration_ms:.2f} ms",
        f"Memory Size: {spec.memory_mb} MB",
    ]
    if outcome.max_memory_mb is not None:
        parts.append(f"Max Memory Used: {outcome.max_memory_mb} MB")
    if outcome.init_ms is not None:
        parts.append(f"Init Duration: {outcome.init_ms:.2f} ms")
    return "\t".join(parts)

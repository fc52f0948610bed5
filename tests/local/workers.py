"""Runs functions in worker processes, kept warm between invocations and killed on a timeout, as Lambda does.

Each worker has the environment that the template gives its function, Lambda's own variables and the way to the
pretended AWS: nothing else of this machine. It runs AWS's own runtime for Python (`worker_main.py`).
"""

import datetime as dt
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.local.functions import Outcome
from tests.local.local_clock import LocalClock
from tests.local.logs import LogStore
from tests.local.spec import FunctionSpec
from tests.local.worker_main import send_frame

_REPOSITORY = Path(__file__).resolve().parents[2]
_LENGTHS = struct.Struct("!II")
_INIT_TIMEOUT_S = 10.0
_IDLE_TIMEOUT_S = 5.0
_WATCH_INTERVAL_S = 0.05
_LOG_SETTLE_S = 0.5
_MEMORY_HEADROOM_BYTES = 512 * 1024 * 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class _Ended(Exception):
    """The process is gone, or had to go."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.document = {"errorType": kind, "errorMessage": message}


class _Zygote:
    """This side of `zygote.py`."""

    def __init__(self) -> None:
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lock = threading.Lock()
        with other:
            environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.local.zygote", str(other.fileno())],
                cwd=_REPOSITORY,
                env=environment,
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in a terminal is for the stack, which then ends this
            )

    def fork(self, environment: Mapping[str, str], descriptors: list[int]) -> int:
        with self._lock:
            socket.send_fds(self._control, [json.dumps(dict(environment)).encode()], descriptors)
            answer = self._control.recv(32)
        if not answer:
            raise _Ended("Runtime.ExitError", "The parent of the worker processes ended; see its output above")
        return int(answer)

    def close(self) -> None:
        self._control.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Worker:
    """One process with one function loaded."""

    def __init__(
        self,
        spec: FunctionSpec,
        zygote: _Zygote,
        environment: Mapping[str, str],
        on_line: Callable[[FunctionSpec, str], None],
        clock: LocalClock,
    ) -> None:
        self.spec = spec
        self._clock = clock
        self._on_line = on_line
        self._lines: list[str] = []
        self._lines_lock = threading.Lock()
        self.max_memory_mb = 0
        self._started = time.perf_counter()
        self._connection, other = socket.socketpair()
        read_end, write_end = os.pipe()
        try:
            self._process_id = zygote.fork(environment, [other.fileno(), write_end])
        finally:
            other.close()
            os.close(write_end)
        self._pump = threading.Thread(
            target=self._read_log, args=(read_end,), name=f"log-{spec.logical_id}", daemon=True
        )
        self._pump.start()

    def initialise(self) -> float:
        """Wait until the function is loaded; gives the milliseconds that it took."""
        header, body = self._receive(time.monotonic() + _INIT_TIMEOUT_S, "init")
        if header["kind"] == "init_error":
            error = json.loads(body)
            ended = _Ended(error["errorType"], error["errorMessage"])
            ended.document = error
            raise ended
        return (time.perf_counter() - self._started) * 1000

    def invoke(self, event: bytes, request_id: str) -> tuple[bytes, str | None]:
        deadline = time.monotonic() + self.spec.timeout_s
        # Looked at once: the deadline has to be by the clock that the function sees, also if it is moved just now.
        offset = self._clock.offset
        ends_at_s = self._clock.machine_time_s() + offset.total_seconds() + self.spec.timeout_s
        trace = f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0"
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": int(ends_at_s * 1000),
            "Lambda-Runtime-Invoked-Function-Arn": self.spec.arn,
            "Lambda-Runtime-Trace-Id": trace,
            "Content-Type": "application/json",
        }
        try:
            send_frame(self._connection, {"headers": headers, "clock_offset_us": _microseconds(offset)}, event)
        except OSError:
            raise self._exited(request_id) from None
        header, body = self._receive(deadline, request_id)
        self._receive(time.monotonic() + _IDLE_TIMEOUT_S, request_id)  # it waits again, so it can be used again
        return body, None if header["kind"] == "result" else "Unhandled"

    def take_lines(self) -> list[str]:
        """The lines written since the last time."""
        with self._lines_lock:
            lines, self._lines = self._lines, []
        return lines

    def kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process_id, signal.SIGKILL)
        self._connection.close()
        self._pump.join(_LOG_SETTLE_S)

    def _read_log(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "r", encoding="utf-8", errors="replace") as log:
            for line in log:
                # The runtime joins the lines of one error by carriage returns.
                text = line.rstrip("\n").replace("\r", "\n").replace("\u00a0", " ")
                with self._lines_lock:
                    self._lines.append(text)
                self._on_line(self.spec, text)

    def _receive(self, deadline: float, request_id: str) -> tuple[dict[str, Any], bytes]:
        head_bytes, body_bytes = _LENGTHS.unpack(self._receive_exactly(_LENGTHS.size, deadline, request_id))
        header: dict[str, Any] = json.loads(self._receive_exactly(head_bytes, deadline, request_id))
        return header, self._receive_exactly(body_bytes, deadline, request_id)

    def _receive_exactly(self, count: int, deadline: float, request_id: str) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                seconds = _INIT_TIMEOUT_S if request_id == "init" else float(self.spec.timeout_s)
                raise _Ended(
                    "Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
                )
            try:
                answered = select.select([self._connection], [], [], min(left_s, _WATCH_INTERVAL_S))[0]
                part = self._connection.recv(min(1 << 20, count - len(parts))) if answered else None
            except (OSError, ValueError):  # it was killed in the meantime, which closed the connection
                raise self._exited(request_id) from None
            if part is not None:
                if not part:
                    raise self._exited(request_id)
                parts += part
            else:
                self._watch_memory(request_id)
        return bytes(parts)

    def _watch_memory(self, request_id: str) -> None:
        try:
            resident_pages = int(Path(f"/proc/{self._process_id}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            return
        used_mb = resident_pages * _PAGE_BYTES // (1024 * 1024)
        self.max_memory_mb = max(self.max_memory_mb, used_mb)
        if used_mb > self.spec.memory_mb:
            used = f"{used_mb} MB used of {self.spec.memory_mb}"
            reason = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed ({used})"
            raise _Ended("Runtime.ExitError", reason)

    def _exited(self, request_id: str) -> _Ended:
        return _Ended("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited without providing a reason")


class WorkerPool:
    """Worker processes of all functions of a stack."""

    def __init__(self, aws_environment: Mapping[str, str], logs: LogStore, clock: LocalClock) -> None:
        self._aws_environment = dict(aws_environment)
        self._logs = logs
        self._clock = clock
        self._zygote = _Zygote()
        self._idle: dict[str, list[_Worker]] = defaultdict(list)
        self._all: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, spec: FunctionSpec, event: bytes, request_id: str) -> Outcome:
        """Run the function in an idle worker, or in a new one."""
        with self._lock:
            worker = self._idle[spec.name].pop() if self._idle[spec.name] else None
        started, init_ms = time.perf_counter(), None
        try:
            if worker is None:
                worker = self._start(spec)
                init_ms, started = worker.initialise(), time.perf_counter()
            payload, error = worker.invoke(event, request_id)
        except _Ended as ended:
            if worker is not None:
                self._discard(worker)
            lines = worker.take_lines() if worker is not None else []
            self._logs.show(spec, str(ended))
            document = json.dumps(ended.document).encode()
            return Outcome(document, "Unhandled", [*lines, str(ended)], (time.perf_counter() - started) * 1000, init_ms)
        outcome = Outcome(
            payload,
            error,
            worker.take_lines(),
            (time.perf_counter() - started) * 1000,
            init_ms,
            worker.max_memory_mb or None,
        )
        with self._lock:
            if not self._closed:
                self._idle[spec.name].append(worker)
                return outcome
        self._discard(worker)
        return outcome

    def close(self) -> None:
        """Kill every worker and their parent."""
        with self._lock:
            self._closed = True
            workers = list(self._all)
        for worker in workers:
            self._discard(worker)
        self._zygote.close()

    def _start(self, spec: FunctionSpec) -> _Worker:
        if self._closed:
            raise _Ended("Runtime.ExitError", "The local stack is stopping")
        worker = _Worker(spec, self._zygote, self._environment(spec), self._logs.show, self._clock)
        with self._lock:
            self._all.add(worker)
        return worker

    def _discard(self, worker: _Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.kill()

    def _environment(self, spec: FunctionSpec) -> dict[str, str]:
        return {
            **runtime_environment(spec),
            **self._aws_environment,
            **spec.environment,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "HOME": "/tmp",
            "PYTHONPATH": os.pathsep.join(str(path) for path in spec.layer_directories),
            "_LOCAL_CLOCK_OFFSET_US": str(_microseconds(self._clock.offset)),
            "_LOCAL_MEMORY_LIMIT_BYTES": str(spec.memory_mb * 1024 * 1024 + _MEMORY_HEADROOM_BYTES),
        }


def _microseconds(offset: dt.timedelta) -> int:
    return offset // dt.timedelta(microseconds=1)


def runtime_environment(spec: FunctionSpec) -> dict[str, str]:
    """The variables that Lambda itself sets for a function."""
    day = dt.datetime.now(dt.UTC).strftime("%Y/%m/%d")
    return {
        "_HANDLER": spec.handler,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{day}/[$LATEST]{uuid.uuid4().hex}",
        "LAMBDA_TASK_ROOT": str(spec.code_directory),
        **spec.log_settings,
    }

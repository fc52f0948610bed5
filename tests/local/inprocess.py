"""Runs functions in this very process, for tests: nothing to start, and a debugger and coverage see everything.

Lambda gives each function a process; here each gets its own copy of the layers' packages instead, loaded with its own
environment, so that what a module keeps (settings, clients, metrics) is never shared between functions or between
stacks; what it imports when it is called comes from its own copy too (see `own_modules`). One copy serves one
invocation at a time; more copies are loaded when a function runs several times at once. What keeps nothing, all have in
common.
"""

import contextlib
import functools
import importlib.util
import io
import json
import os
import sys
import threading
import time
import traceback
import types
import typing
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from awslambdaric.lambda_context import LambdaContext
from awslambdaric.lambda_runtime_marshaller import to_json

from tests.local.functions import Outcome
from tests.local.logs import LogStore
from tests.local.own_modules import CommonModules, Importing, OwnModules, loading
from tests.local.product import STATELESS
from tests.local.service_models import keep_service_models
from tests.local.spec import FunctionSpec
from tests.local.workers import runtime_environment

# Powertools keeps its metrics in a class, that is, one set a process. The package itself names that class.
_COPIED_MODULES = frozenset({"aws_lambda_powertools"})
_COPIED_PACKAGES = ("aws_lambda_powertools.metrics",)


@dataclass
class _Call:
    """One invocation under way."""

    spec: FunctionSpec
    environment: dict[str, str]
    logs: LogStore
    lines: list[str] = field(default_factory=list)

    def write(self, text: str) -> None:
        for line in text.splitlines():
            if line.strip():
                self.lines.append(line)
                self.logs.show(self.spec, line)


class _Context(LambdaContext):  # type: ignore[misc]
    """Knows how long is left by a clock that nobody moves: all functions here share the clock of this process."""

    def __init__(self, request_id: str, spec: FunctionSpec) -> None:
        self._ends_s = time.monotonic() + spec.timeout_s
        super().__init__(request_id, None, None, int((time.time() + spec.timeout_s) * 1000), spec.arn, None)

    def get_remaining_time_in_millis(self) -> int:
        return max(int((self._ends_s - time.monotonic()) * 1000), 0)


_current: ContextVar[_Call | None] = ContextVar("current_call", default=None)


class _Environ(MutableMapping[str, str]):
    """Takes the place of `os.environ`: a function sees its own variables, everybody else the real ones."""

    def __init__(self, real: MutableMapping[str, str]) -> None:
        self.real = real

    def _variables(self) -> MutableMapping[str, str]:
        call = _current.get()
        return self.real if call is None else call.environment

    def __getitem__(self, name: str) -> str:
        return self._variables()[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._variables()[name] = value

    def __delitem__(self, name: str) -> None:
        del self._variables()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables())

    def __len__(self) -> int:
        return len(self._variables())

    def __or__(self, other: Mapping[str, str]) -> dict[str, str]:
        return {**self._variables(), **other}

    def __ror__(self, other: Mapping[str, str]) -> dict[str, str]:
        return {**other, **self._variables()}

    def copy(self) -> dict[str, str]:
        return dict(self._variables())


class _Output(io.TextIOBase):
    """Takes the place of standard output: what a function prints goes to its log, all else where it went before.

    Loggers live as long as the process and keep the stream that they found, so one of these may outlive its stack.
    """

    def __init__(self, before: TextIO) -> None:
        self.before = before

    def write(self, text: str) -> int:
        call = _current.get()
        if call is not None:
            call.write(text)
            return len(text)
        with contextlib.suppress(ValueError):  # closed meanwhile, as pytest does with each test's output
            self.before.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(ValueError):
            self.before.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False


def _capture_output() -> None:
    # Looked at before each call, since test runners replace it between tests.
    if not isinstance(sys.stdout, _Output):
        sys.stdout = _Output(sys.stdout)


@dataclass
class _Copy:
    """A function loaded once."""

    handler: Callable[[Any, Any], Any]
    environment: dict[str, str]


class InProcess:
    """Runs the functions of a stack in this process."""

    def __init__(self, aws_environment: Mapping[str, str], logs: LogStore) -> None:
        self._aws_environment = dict(aws_environment)
        self._logs = logs
        self._idle: dict[str, list[_Copy]] = defaultdict(list)
        self._lock = threading.Lock()
        self._importing = Importing()
        keep_service_models()
        self._real_environ = os.environ
        os.environ = _Environ(os.environ)  # type: ignore[assignment] # noqa: B003 - replaced on purpose, and put back in close

    def run(self, spec: FunctionSpec, event: bytes, request_id: str) -> Outcome:
        """Run the function in an idle copy, or in a new one."""
        started = time.monotonic()
        with self._lock:
            copy = self._idle[spec.name].pop() if self._idle[spec.name] else None
        call = _Call(spec, {}, self._logs)
        _capture_output()
        init_ms = None
        with _calling(call):
            try:
                if copy is None:
                    copy = self._load(spec, call)
                    init_ms, started = (time.monotonic() - started) * 1000, time.monotonic()
                call.environment = copy.environment
                context = _Context(request_id, spec)
                payload, error = to_json(copy.handler(json.loads(event), context)).encode(), None
            except Exception as raised:  # noqa: BLE001 - a function's error is its answer
                payload, error = _error_document(raised, request_id), "Unhandled"
                call.write(f"[ERROR] {type(raised).__name__}: {raised}")
        duration_s = time.monotonic() - started
        if duration_s > spec.timeout_s:
            # A thread cannot be killed as a process can; its late answer counts as none.
            message = f"RequestId: {request_id} Error: Task timed out after {spec.timeout_s:.2f} seconds"
            payload, error = (
                json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": message}).encode(),
                "Unhandled",
            )
        elif copy is not None:
            with self._lock:
                self._idle[spec.name].append(copy)
        return Outcome(payload, error, call.lines, duration_s * 1000, init_ms)

    def close(self) -> None:
        """Put the real environment, output and import back."""
        self._importing.close()
        os.environ = self._real_environ  # noqa: B003 - see __init__
        if isinstance(sys.stdout, _Output):
            sys.stdout = sys.stdout.before
        _forget_types()

    def _environment(self, spec: FunctionSpec) -> dict[str, str]:
        return {**runtime_environment(spec), **self._aws_environment, **spec.environment}

    def _load(self, spec: FunctionSpec, call: _Call) -> _Copy:
        environment = call.environment = self._environment(spec)
        module_name, function_name = spec.handler.rsplit(".", 1)
        with _importable(spec.layer_directories):
            packages, common = _packages(spec.layer_directories), _common(*spec.layer_directories)
            own = OwnModules((*_COPIED_PACKAGES, *packages), _COPIED_MODULES, common)
            with own.in_place():
                module = _execute(f"{spec.name}-{module_name}", spec.code_directory / f"{module_name}.py")
        own.claim(module)
        return _Copy(getattr(module, function_name), environment)


class Shared(InProcess):
    """Runs functions without copies: all of them share the layers' packages of this process, and what those keep."""

    def _load(self, spec: FunctionSpec, call: _Call) -> _Copy:
        call.environment = self._environment(spec)
        module_name, function_name = spec.handler.rsplit(".", 1)
        with loading:
            module = _execute(f"{spec.name}-{module_name}", spec.code_directory / f"{module_name}.py")
        return _Copy(getattr(module, function_name), call.environment)


def _forget_types() -> None:
    """Let go of the copies: `typing` keeps the types that it was last asked for, and each leads to a whole copy."""
    for clear in typing._cleanups:  # type: ignore[attr-defined]  # noqa: SLF001 - where Python's own tests clear them
        clear()


@contextlib.contextmanager
def _calling(call: _Call) -> Iterator[None]:
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)


@contextlib.contextmanager
def _importable(directories: Iterable[Path]) -> Iterator[None]:
    """Until the block ends, Python finds what is in the directories."""
    with loading:
        paths = [str(path) for path in directories if str(path) not in sys.path]
        sys.path[:0] = paths
        try:
            yield
        finally:
            del sys.path[: len(paths)]


@functools.cache
def _common(*layer_directories: Path) -> CommonModules | None:
    """What all functions with these layers share: they are those of the product, or there is nothing to share."""
    packages = _packages(layer_directories)
    if not {name.partition(".")[0] for name in STATELESS} <= set(packages):
        return None
    return CommonModules(packages, STATELESS)


def _packages(layer_directories: Iterable[Path]) -> list[str]:
    return [
        path.stem
        for directory in layer_directories
        for path in directory.iterdir()
        if not path.name.startswith((".", "_"))
    ]


def _execute(name: str, path: Any) -> types.ModuleType:
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ImportError(f"Unable to import module '{path}'")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _error_document(raised: Exception, request_id: str) -> bytes:
    frames = traceback.format_list(traceback.extract_tb(raised.__traceback__)[1:])
    return json.dumps(
        {"errorMessage": str(raised), "errorType": type(raised).__name__, "requestId": request_id, "stackTrace": frames}
    ).encode()

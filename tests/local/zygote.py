"""The warm parent of all worker processes: it has the third-party packages loaded, and forks once for each cold start.

A fork takes some milliseconds where starting Python and importing boto3 and Powertools takes most of a second. It is
told what to do over the socket whose number is its argument: one message is the environment of a function, with the
worker's socket and the write end of its log pipe attached; the answer is the process id.
"""

import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
from pathlib import Path
from typing import Any

_PRELOADED = (
    "aws_lambda_powertools",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "awslambdaric.lambda_context",
    "boto3",
    "botocore.session",
    "decimal",
    "msgspec",
    "orjson",
    "pydantic",
    "simplejson",
    "zstandard",
)
_PRELOADED_SERVICES = ("dynamodb", "s3", "stepfunctions")
_MAX_MESSAGE_BYTES = 1 << 20


def _preload() -> None:
    for name in _PRELOADED:
        importlib.import_module(name)
    _keep_service_models()
    gc.collect()
    gc.freeze()  # so that a collection in a worker does not copy every page


def _keep_service_models() -> None:
    """Read botocore's descriptions of services once for all workers: they are megabytes of JSON."""
    from botocore import session  # noqa: PLC0415 - costly to import: it is paid here, once

    from tests.local.service_models import keep_service_models  # noqa: PLC0415 - as above

    keep_service_models()
    for service in _PRELOADED_SERVICES:
        session.get_session().create_client(
            service, region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none"
        )


def _become_worker(environment: dict[str, str], connection_fd: int, log_fd: int) -> None:
    os.setsid()  # a group of its own, so that it is killed with all that it started
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    _limit_memory(int(environment.pop("_LOCAL_MEMORY_LIMIT_BYTES", "0")))
    clock_offset_us = int(environment.pop("_LOCAL_CLOCK_OFFSET_US", "0"))
    os.environ.clear()
    os.environ.update(environment)
    task_root = environment["LAMBDA_TASK_ROOT"]
    os.chdir(task_root)
    repository = str(Path(__file__).resolve().parents[2])
    layers = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [path for path in layers if path] + [path for path in sys.path if path not in {"", repository}]
    random.seed()
    from tests.local import worker_main  # noqa: PLC0415 - loaded already, see the end

    worker_main.follow_clock(clock_offset_us)
    worker_main.serve(socket.socket(fileno=connection_fd))


def _limit_memory(limit_bytes: int) -> None:
    """A hard stop for what grows faster than the pool looks."""
    if limit_bytes and sys.platform == "linux":
        import resource  # noqa: PLC0415 - not on every system

        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


def main() -> None:
    """Preload, then fork on demand until the other end closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _preload()
    # time-machine brings a plugin along for pytest, where that can be imported: no worker needs to carry it.
    blocked: dict[str, Any] = {"pytest": None}
    sys.modules.update(blocked)
    importlib.import_module("tests.local.worker_main")
    del sys.modules["pytest"]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the workers: let the system reap them
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, _MAX_MESSAGE_BYTES, 2)
        if not message:
            return
        process_id = os.fork()
        if process_id == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                _become_worker(json.loads(message), *descriptors)
            finally:
                os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(str(process_id).encode())


if __name__ == "__main__":
    main()

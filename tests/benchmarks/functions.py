"""What a function costs before its first answer, and what an answer costs after that."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import msgspec

from tests.benchmarks.aws_stub import answer
from tests.benchmarks.running import ENVIRONMENT
from tests.fakes import memory_ports
from tests.repo.sources import EVENTS, FUNCTIONS, ROOT, function_folders
from tidemark import bootstrap
from tidemark.adapters import clients
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.adapters.s3_payloads import S3Payloads
from tidemark.domain.live import FencingToken
from tidemark.domain.snapshot import CaptureId, Snapshot, SnapshotStatus, snapshot_id
from tidemark.domain.tenant import Tenant
from tidemark.errors import ObjectNotFound
from tidemark.ports import Ports

_LAYER: Final = ROOT / "layers" / "tidemark" / "python"
_SETTINGS: Final = {
    "TIDEMARK_CATALOG_TABLE": "catalog",
    "TIDEMARK_ENTITIES_TABLE": "entities",
    "TIDEMARK_BUCKET": "bucket",
    "TIDEMARK_CAPTURE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:capture",
    "TIDEMARK_RESTORE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:restore",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "POWERTOOLS_SERVICE_NAME": "tidemark",
}
_IMPORT: Final = """
import json, time
wall, core = time.perf_counter(), time.process_time()
import handler
print(json.dumps([time.perf_counter() - wall, time.process_time() - core]))
"""
_SNAPSHOTS: Final = 20
_CALLS: Final = 200


class ColdStart(NamedTuple):
    """Import and initialisation of a function, in milliseconds beyond a bare interpreter: of its fastest round."""

    function: str
    elapsed_ms: float
    core_ms: float


def cold_starts(runs: int, folders: list[Path] | None = None) -> Iterator[ColdStart]:
    """Each function's module imported as AWS Lambda does in its init phase, with the compiled modules that `make build`
    puts into the layers: here the first round makes them.

    In rounds, so that a time in which the machine is slow does not meet all runs of one function.
    """
    chosen = list(folders or function_folders())
    with TemporaryDirectory() as compiled:
        rounds = [[_imported(folder, compiled) for folder in chosen] for _ in range(runs + 1)][1:]
    for folder, seconds in zip(chosen, zip(*rounds, strict=True), strict=True):
        elapsed_s, core_s = min(seconds)
        yield ColdStart(folder.relative_to(FUNCTIONS).as_posix(), elapsed_s * 1000, core_s * 1000)


def _imported(folder: Path, compiled: str) -> list[float]:
    """The seconds that the import of a function's module takes, by the clock and of a core. `compiled` is the folder of
    compiled modules.
    """
    environment = {**os.environ, **ENVIRONMENT, **_SETTINGS, "PYTHONPATH": f"{folder}{os.pathsep}{_LAYER}"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = compiled
    command = [sys.executable, "-c", _IMPORT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


class _OneTable:
    """A table that stores and finds records, behind the client's `before-send` event."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def client(self) -> Any:
        client = clients.make("dynamodb")
        client.meta.events.register("before-send.dynamodb", self._answer)
        return client

    def _answer(self, request: Any, **_: Any) -> Any:
        asked = json.loads(request.body)
        if "Item" in asked:
            self.rows[asked["Item"]["sk"]["S"]] = asked["Item"]
            found: dict[str, Any] = {}
        elif "Key" in asked:
            found = {"Item": self.rows[asked["Key"]["sk"]["S"]]}
        else:
            items = [row for sk, row in sorted(self.rows.items(), reverse=True) if sk.startswith("SNAPSHOT#")]
            found = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
        return answer(request.url, 200, {"Content-Type": "application/x-amz-json-1.0"}, msgspec.json.encode(found))


class _EmptyBucket:
    """A bucket that has nothing, behind the client's `before-send` event; it counts who asks."""

    def __init__(self) -> None:
        self.requests = 0

    def client(self) -> Any:
        client = clients.make("s3")
        client.meta.events.register("before-send.s3", self._answer)
        return client

    def _answer(self, request: Any, **_: Any) -> Any:
        self.requests += 1
        return answer(request.url, 404, {}, b"<Error><Code>NoSuchKey</Code></Error>")


class Answers(NamedTuple):
    """Milliseconds of a core that one answer takes, by function, and the requests to S3 that all of them made."""

    core_ms: dict[str, float]
    s3_requests: int


def answers() -> Answers:
    """A list of 20 snapshots, and one snapshot, from a process that is warm."""
    os.environ.update(_SETTINGS | ENVIRONMENT)
    from functions.ngsi.get_snapshot.handler import handler as get_one  # noqa: PLC0415 - needs the environment
    from functions.ngsi.list_snapshots.handler import handler as list_all  # noqa: PLC0415 - needs the environment

    bucket, ports = _EmptyBucket(), memory_ports()
    payloads = S3Payloads(bucket.client(), "bucket", clock=ports.clock, entropy=ports.entropy)
    ports = replace(ports, catalog=DynamoCatalog(_OneTable().client(), "catalog"), payloads=payloads)
    with suppress(ObjectNotFound):
        payloads.get("anything")
    assert bucket.requests == 1, "the bucket does not see who asks"
    _add_snapshots(ports)
    core_ms = {}
    with bootstrap.use(ports):
        for name, handler in (("list_snapshots", list_all), ("get_snapshot", get_one)):
            event = json.loads((EVENTS / "ngsi" / f"{name}.json").read_text(encoding="utf-8"))
            assert handler(event, _Context())["statusCode"] == 200
            started_s = time.process_time()
            for _ in range(_CALLS):
                handler(event, _Context())
            core_ms[name] = (time.process_time() - started_s) / _CALLS * 1000
    return Answers(core_ms, bucket.requests - 1)


def _add_snapshots(ports: Ports) -> None:
    first_at = datetime(2026, 1, 15, 10, tzinfo=UTC)
    for number in range(_SNAPSHOTS):
        created_at = first_at + timedelta(hours=number)
        ports.catalog.add_snapshot(
            Snapshot(
                tenant=Tenant("smartcity"),
                id=snapshot_id(created_at),
                created_at=created_at,
                capture_id=CaptureId("c" * 32),
                token=FencingToken(1),
                status=SnapshotStatus.COMPLETED,
                entity_count=1250,
            )
        )


class _Context:
    """What Lambda tells about the invocation."""

    function_name = "tidemark"
    aws_request_id = "b0d4e3a2-6f1c-4a77-9a51-0c8f7e2d9b11"


if __name__ == "__main__":
    # The functions log on standard output: what is measured goes into a file.
    Path(sys.argv[1]).write_text(json.dumps(answers()), encoding="utf-8")

"""The data plane alone: one worker's share of a capture or of a restore, in a process of its own.

Usage: python -m tests.benchmarks.worker STEP DATASET ENTITIES SHARDS STORE WORKER WORKERS. Steps: `first` and `second`
copy shards into packs, `seal` ends the first, `restore` stages them, `check` stages them and compares every entity with
the data set. Prints JSON: seconds (elapsed, and of one core) and requests. Engine and adapters are the product's own,
on `aws_stub`.
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.benchmarks.aws_stub import StubbedDynamo, StubbedS3
from tests.benchmarks.dataset import TENANT, Dataset, sort_key_of
from tests.fakes import memory_ports
from tidemark.adapters.dynamo_entities import DynamoEntityTable
from tidemark.adapters.s3_payloads import S3Payloads
from tidemark.adapters.system import SystemClock, SystemEntropy, Threads
from tidemark.domain.digest import SetDigest
from tidemark.domain.live import Cut, Generation
from tidemark.domain.manifest import Manifest, ShardManifest
from tidemark.domain.snapshot import CaptureId, SnapshotId
from tidemark.domain.tenant import Tenant
from tidemark.engine import copying, manifests, staging
from tidemark.ports import Ports

_TENANT: Final = Tenant(TENANT)
_FIRST: Final = CaptureId("capture-1")
_SECOND: Final = CaptureId("capture-2")


class Share(NamedTuple):
    """The shards of one worker, and how many there are in all."""

    shards: range
    total: int


def wired(dynamo: StubbedDynamo, store: Path) -> Ports:
    """The ports with the real adapters of the table and of the objects."""
    clock, entropy, parallel = SystemClock(), SystemEntropy(), Threads()
    table = DynamoEntityTable(dynamo.client(), "entities", clock=clock, entropy=entropy, parallel=parallel)
    payloads = S3Payloads(StubbedS3(store).client(), "bucket", clock=clock, entropy=entropy)
    return replace(memory_ports(), table=table, payloads=payloads, clock=clock, entropy=entropy, parallel=parallel)


def first(ports: Ports, share: Share) -> int:
    """A full copy of the shards."""
    jobs = [copying.ShardCut(_TENANT, _FIRST, Generation(1), Cut(1), shard) for shard in share.shards]
    return _copied(ports, jobs)


def second(ports: Ports, share: Share) -> int:
    """What changed since, on top of the first, and the seal: all in one worker, as a request does it in line."""
    jobs = [
        copying.ShardCut(_TENANT, _SECOND, Generation(1), Cut(2), shard, _noted(ports, _FIRST, shard), Cut(1))
        for shard in share.shards
    ]
    count = _copied(ports, jobs)
    seal(ports, _SECOND, share.total)
    return count


def restore(ports: Ports, share: Share) -> int:
    """All parts of the second snapshot, written as a new generation."""
    manifest = _manifest(ports, _SECOND, share.total)
    parts = [part for part in staging.parts_of(ports, manifest) if part.shard in share.shards]
    return sum(
        step.records
        for part in parts
        for step in staging.stage(
            ports, _TENANT, Generation(2), share.total, manifest.shards[part.shard], part, lambda: None
        )
    )


def seal(ports: Ports, capture_id: CaptureId, shards: int) -> int:
    """Manifest, read-back and the check of every pack; the bytes that the capture stored."""
    manifest = _manifest(ports, capture_id, shards)
    reference, body = manifests.encode(manifest)
    ports.payloads.put(reference.key, body)
    assert manifests.read(ports.payloads, reference) == manifest
    ports.parallel.map(lambda pack: copying.check_pack(ports.payloads, pack), manifest.packs)
    layers = [layer for shard in manifest.shards for layer in shard.layers if layer.capture_id == capture_id]
    return len(body) + sum(layer.stored_bytes for layer in layers)


def check(dataset: Dataset, store: Path) -> int:
    """Restore the second snapshot and compare it with the data set, document by document."""
    found: Counter[str] = Counter()
    written = SetDigest()

    one_at_a_time = threading.Lock()

    def note(body: bytes) -> None:
        with one_at_a_time:
            for statement in json.loads(body)["Statements"]:
                sort_key, doc = _inserted(statement)
                assert sort_key_of(doc) == sort_key
                found[sort_key] += 1
                written.add(doc)

    dynamo = StubbedDynamo(dataset, note)
    restore(wired(dynamo, store), Share(range(dataset.shards), dataset.shards))
    expected = SetDigest()
    with dataset.second.open("rb") as lines:
        for line in lines:
            expected.add(line.rstrip(b"\n"))
    assert (written.count, written.hex) == (expected.count, expected.hex), "the restore differs from the data set"
    assert len(found) == expected.count, "an entity was staged twice"
    return expected.count


def _inserted(statement: dict[str, Any]) -> tuple[str, bytes]:
    names = [part.split("'")[1] for part in statement["Statement"].split(", ")]
    row = dict(zip(names, statement["Parameters"], strict=True))
    return row["sk"]["S"], row["doc"]["S"].encode()


def _copied(ports: Ports, jobs: list[copying.ShardCut]) -> int:
    return sum(copying.copy_shard(ports, job, lambda: None).records for job in jobs)


def _noted(ports: Ports, capture_id: CaptureId, shard: int) -> ShardManifest:
    return copying.read_note(ports.payloads, _TENANT, capture_id, shard)


def _manifest(ports: Ports, capture_id: CaptureId, shards: int) -> Manifest:
    return Manifest(
        tenant=_TENANT,
        snapshot_id=SnapshotId("snapshot_" + capture_id),
        capture_id=capture_id,
        created_at=datetime(2026, 1, 15, tzinfo=UTC),
        generation=Generation(1),
        cut=Cut(1 if capture_id == _FIRST else 2),
        shards=tuple(_noted(ports, capture_id, shard) for shard in range(shards)),
    )


STEPS: Final[dict[str, Callable[[Ports, Share], int]]] = {"first": first, "second": second, "restore": restore}


def main(step: str, folder: str, entities: str, shards: str, store: str, worker: str, workers: str) -> None:
    dataset = Dataset(Path(folder), int(entities), int(shards))
    dynamo = StubbedDynamo(dataset)
    ports = wired(dynamo, Path(store))
    begin, end = (number * dataset.shards // int(workers) for number in (int(worker), int(worker) + 1))
    share = Share(range(begin, end), dataset.shards)
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    if step == "check":
        count = check(dataset, Path(store))
    elif step == "seal":
        count = seal(ports, _FIRST, dataset.shards)
    else:
        count = STEPS[step](ports, share)
    result = {
        "count": count,
        "elapsed_s": time.perf_counter() - started_s,
        "core_s": time.process_time() - started_cpu_s,
        "requests": dynamo.requests,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])

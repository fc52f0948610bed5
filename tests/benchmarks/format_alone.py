"""Engine and format without AWS on either side: a file of NDJSON in, packs in a folder, a file of NDJSON out.

Usage: python -m tests.benchmarks.format_alone STEP DATASET ENTITIES STORE WORKER WORKERS, with the steps of
`worker`. A worker has one run of the keys, as one shard. Other tools start from the same file.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.benchmarks.dataset import Dataset, sort_key_of
from tests.unit.engine.bounded_memory import DiskPayloads
from tidemark.domain.live import Cut
from tidemark.domain.manifest import Layer, LayerKind, PackRef, ShardManifest
from tidemark.domain.snapshot import CaptureId
from tidemark.engine import manifests
from tidemark.engine.copying import check_pack
from tidemark.engine.merge import read_shard
from tidemark.engine.packs import build_pack, describe
from tidemark.engine.records import Record, record
from tidemark.errors import ObjectExists

_BUFFER_BYTES: Final = 1 << 20


def _first(dataset: Dataset, worker: int, workers: int) -> Iterator[Record]:
    """The worker's part of the file: the lines that begin in its share of the bytes."""
    size_bytes = dataset.first.stat().st_size
    start, stop = size_bytes * worker // workers, size_bytes * (worker + 1) // workers
    with dataset.first.open("rb", buffering=_BUFFER_BYTES) as file:
        if start:
            file.seek(start - 1)
            file.readline()
        offset = file.tell()
        while offset < stop and (line := file.readline()):
            offset += len(line)
            doc = line[:-1]
            yield record(sort_key_of(doc), doc)


def _second(dataset: Dataset, first_key: str, last_key: str) -> Iterator[Record]:
    items = dataset.changed_items.read_bytes()
    index = sorted(
        (sort_key, offset, length) for _, sort_key, offset, length in json.loads(dataset.changed_index.read_bytes())
    )
    for sort_key, offset, length in index:
        if first_key <= sort_key <= last_key:
            item = json.loads(items[offset : offset + length])
            yield record(sort_key, item["doc"]["S"], was=item["anchors"]["S"].partition(":")[2])


def _stored(payloads: DiskPayloads, kind: LayerKind, name: str, records: Iterator[Record]) -> Layer:
    packs: list[PackRef] = []
    while (built := build_pack(records)) is not None:
        key = f"{name}-{kind}-{len(packs):05d}.pack"
        payloads.put(key, built.body)
        stored = payloads.get(key)
        assert stored == built.body
        packs.append(describe(key, stored))
    raw_bytes = sum(pack.raw_bytes for pack in packs)
    return Layer(kind, CaptureId(name), Cut(1), sum(pack.records for pack in packs), raw_bytes, tuple(packs))


def _noted(payloads: DiskPayloads, version: int, worker: int) -> ShardManifest:
    return manifests.decode_shard(payloads.get(f"{version}-{worker}.shard.json"))


def main(step: str, folder: str, entities: str, store: str, worker_text: str, workers_text: str) -> None:
    dataset, payloads = Dataset(Path(folder), int(entities)), DiskPayloads(Path(store))
    worker, workers = int(worker_text), int(workers_text)
    if step == "restore":
        shard = _noted(payloads, 2, worker)
        with (Path(store) / f"restored-{worker}.ndjson").open("wb", buffering=_BUFFER_BYTES) as file:
            for found in read_shard(payloads, shard):
                file.write((found.value or b"") + b"\n")
    else:
        if step == "first":
            layers: tuple[Layer, ...] = (
                _stored(payloads, LayerKind.BASE, f"1-{worker}", _first(dataset, worker, workers)),
            )
        else:
            base = _noted(payloads, 1, worker).layers[0]
            records = _second(dataset, base.packs[0].first_key, base.packs[-1].last_key)
            layers = (base, _stored(payloads, LayerKind.DELTA, f"2-{worker}", records))
        for pack in layers[-1].packs:
            check_pack(payloads, pack)
        shard = ShardManifest(worker, layers[0].records, None, layers)
        with suppress(ObjectExists):
            payloads.put(f"{1 if step == 'first' else 2}-{worker}.shard.json", manifests.encode_shard(shard))
    sys.stdout.write(json.dumps({"count": shard.records}))


if __name__ == "__main__":
    main(*sys.argv[1:])

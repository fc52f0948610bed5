"""Building one shard of an imported snapshot: its sorted runs are merged into one layer, and duplicates refused.

At most `FAN_IN` runs are merged at once, so memory is bounded by their packs; more are merged in several rounds.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import batched, groupby
from typing import Final, NamedTuple

from tidemark.domain.keys import SEPARATOR
from tidemark.domain.live import Cut
from tidemark.domain.manifest import LayerKind, PackRef, ShardManifest
from tidemark.domain.snapshot import CaptureId
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.copying import layer_of, note_key, noted, pack_prefix, read_note
from tidemark.engine.packs import RECORDS, describe, read_pack
from tidemark.engine.records import Record, record
from tidemark.engine.storing import store_run
from tidemark.engine.transfer.plans import ImportPlan
from tidemark.engine.transfer.sorting import found_at, run_prefix
from tidemark.errors import ImportRefused, ObjectExists
from tidemark.ports import PayloadStore

FAN_IN: Final = 32

type _Run = Sequence[PackRef]


class BuildJob(NamedTuple):
    """One shard of an import."""

    tenant: Tenant
    capture_id: CaptureId
    plan: ImportPlan
    shard: int


def build_shard(payloads: PayloadStore, job: BuildJob, proceed: Callable[[], None]) -> ShardManifest:
    """Store the shard as one layer, and a note of it, which is returned. Can be repeated.

    `proceed` is called before each pack and may raise to stop. Raises ImportRefused for an entity that is there twice.
    """
    key = note_key(job.tenant, job.capture_id, job.shard)
    found = noted(payloads, key)
    if found is not None:
        return found
    runs = _merged_down(payloads, job, proceed)

    def source(after: str | None) -> Iterator[Record]:
        whole = _single(job.plan, _merged(payloads, runs, after))
        return (one for one in whole if one.key != after)

    prefix = f"{pack_prefix(job.tenant, job.capture_id, job.shard)}-{LayerKind.BASE}"
    packs, digest = store_run(payloads, prefix, source, proceed, RECORDS)
    layers = (layer_of(LayerKind.BASE, job.capture_id, Cut(0), packs),) if packs else ()
    with suppress(ObjectExists):
        payloads.put(key, manifests.encode_note(key, ShardManifest(job.shard, digest.count, digest.hex, layers)))
    return read_note(payloads, job.tenant, job.capture_id, job.shard)


def _merged_down(payloads: PayloadStore, job: BuildJob, proceed: Callable[[], None]) -> list[_Run]:
    """The shard's runs, merged until they are few enough to be read at once."""
    level = 0
    runs = _stored_runs(payloads, run_prefix(job.tenant, job.capture_id, level, job.shard))
    while len(runs) > FAN_IN:
        level += 1
        prefix = run_prefix(job.tenant, job.capture_id, level, job.shard)
        fewer: list[_Run] = []
        for number, some in enumerate(batched(runs, FAN_IN, strict=False)):

            def source(after: str | None, some: Sequence[_Run] = some) -> Iterator[Record]:
                return (one for one in _merged(payloads, some, after) if one.key != after)

            fewer.append(store_run(payloads, f"{prefix}{number:06d}", source, proceed, RECORDS)[0])
        runs = fewer
    return runs


def _stored_runs(payloads: PayloadStore, prefix: str) -> list[_Run]:
    keys = [stored.key for stored in payloads.list(prefix)]
    return [
        [describe(key, payloads.get(key)) for key in own]
        for _, own in groupby(keys, key=lambda key: key.rpartition("-")[0])
    ]


def _merged(payloads: PayloadStore, runs: Sequence[_Run], from_key: str | None) -> Iterator[Record]:
    return heapq.merge(*(_read(payloads, run, from_key) for run in runs), key=lambda one: one.key)


def _read(payloads: PayloadStore, run: _Run, from_key: str | None) -> Iterator[Record]:
    for pack in run:
        yield from read_pack(payloads, pack, from_key=from_key)


def _single(plan: ImportPlan, found: Iterator[Record]) -> Iterator[Record]:
    """The records without the place where each was found. Raises ImportRefused when two have one key."""
    previous, previous_place = None, ""
    for one in found:
        key, _, place = one.key.rpartition(SEPARATOR)
        if key == previous:
            type_, entity_id, path = key.split(SEPARATOR)
            raise ImportRefused(
                f"{found_at(plan, place)}: entity {entity_id!r} of type {type_!r} in {path} is there already, "
                f"in {found_at(plan, previous_place)}"
            )
        previous, previous_place = key, place
        yield record(key, one.value or b"")

"""What a restore would do, counted shard by shard, whoever counts: a request, or the workers of an execution.

It costs what differs, where all of a snapshot is restored that live data builds on in part; otherwise both are read.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from tidemark.domain.change import Change, change_of
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Cut, Generation, TenantState
from tidemark.domain.manifest import Manifest
from tidemark.domain.restore import Changes, Mode
from tidemark.domain.restore_plan import NAMED, Counted, DryRun
from tidemark.domain.tenant import Tenant
from tidemark.engine import overlaying
from tidemark.engine.differences import differences, sides
from tidemark.engine.joining import Pair
from tidemark.engine.lookup import Proceed
from tidemark.engine.overlay import Overlay, stamp_of
from tidemark.engine.overlaying import Job
from tidemark.errors import ManifestCorrupt, PackCorrupt
from tidemark.ports import Ports
from tidemark.usecases.live_layers import base_of, on_base

# `proceed` is called after so many entities.
_STRIDE: Final = 500


class Counting(NamedTuple):
    """What is counted: the shards of `job`, as of its baseline. `base` is what live data of that `state` builds on;
    None where that is of no use.
    """

    job: Job
    state: TenantState | None
    base: Manifest | None


def counting_of(ports: Ports, dry_run: DryRun, manifest: Manifest, state: TenantState | None) -> Counting:
    """A dry run at work; `state` is the tenant's, under the lease, None where it has no data."""
    overlay = Overlay(dry_run.mode, None if dry_run.selection is None else ports.select(dry_run.selection))
    job = job_of(dry_run.tenant, manifest, overlay, state, dry_run.shards, dry_run.cut or Cut(0))
    base = None
    if state is not None and overlay.selection is None and len(manifest.shards) == dry_run.shards:
        try:
            base = base_of(ports, state)
        except ManifestCorrupt:
            # No restore needs what live data builds on.
            base = None
    return Counting(job, state, base)


def job_of(
    tenant: Tenant, manifest: Manifest, overlay: Overlay, state: TenantState | None, shards: int, cut: Cut
) -> Job:
    """Looking at what a restore would lay over live data as of `cut`."""
    live = state.generation if state else Generation(0)
    stamp = stamp_of(tenant, live, cut, state.base if state else None)
    return Job(tenant, manifest, overlay, stamp, live, live, shards, cut)


def count_shard(ports: Ports, counting: Counting, shard: int, proceed: Proceed) -> Counted:
    """What the restore would do to one shard. `proceed` is called now and then, and may raise to stop.

    Raises PackCorrupt.
    """
    proceed()
    try:
        found = _told_by_layers(ports, counting, shard, proceed)
    except PackCorrupt:
        # Of what is read there, a restore needs a part only. If it is that part, it is met again.
        found = None
    return found or _compared(ports, counting.job, shard, proceed)


def _told_by_layers(ports: Ports, counting: Counting, shard: int, proceed: Proceed) -> Counted | None:
    """Told from the layers by which the snapshot and live data differ; None where they have none in common."""
    job, state, base = counting
    if state is None or base is None:
        return None
    held = job.manifest.shards[shard]
    live = on_base(ports, state, base, shard, proceed, job.baseline)
    found = sides(live, held.layers)
    if not found.common and (held.layers or base.shards[shard].layers):
        return None
    counts, named = Counter[Change | None](), _nobody()
    for one in differences(ports.payloads, found, proceed=proceed):
        _count(one.key, one.change, counts, named)
    counts[None] = held.records - counts[Change.CREATED] - counts[Change.UPDATED]
    if job.overlay.mode is Mode.MERGE:
        counts[None] += counts.pop(Change.DELETED, 0)
        named[Change.DELETED] = []
    return Counted(Changes.of(counts), named)


def _compared(ports: Ports, job: Job, shard: int, proceed: Proceed) -> Counted:
    counts, named = Counter[Change | None](), _nobody()
    selection = job.overlay.selection
    selected = selection is None
    pairs: Iterator[Pair] = overlaying.pairs(ports, job, shard)
    while some := list(islice(pairs, _STRIDE)):
        proceed()
        for pair in some:
            was, now = overlaying.text_of(pair.was), pair.now.doc if pair.now else None
            # Only until one is: of most filters that is soon.
            selected = selected or (selection is not None and selection.picks(EntityKey.parse(pair.key), was, now))
            result = job.overlay.result(pair.key, was, now)
            if now is not None or result is not None:
                _count(pair.key, change_of(now, result), counts, named)
    return Counted(Changes.of(counts), named, selected)


def _nobody() -> dict[Change, list[str]]:
    return {kind: [] for kind in Change}


def _count(key: str, change: Change | None, counts: Counter[Change | None], named: dict[Change, list[str]]) -> None:
    counts[change] += 1
    if change is not None and len(named[change]) < NAMED:
        named[change].append(key)

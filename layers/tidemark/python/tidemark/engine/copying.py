"""Copying one shard of a cut into packs. A pack is the unit of resume: whoever starts again goes on after the last pack
that is stored.

Workers that run twice write the same keys; whichever stored a pack first has written it, the other adopts it and goes
on behind it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple

from tidemark.domain.digest import SetDigest
from tidemark.domain.live import Cut, Generation
from tidemark.domain.manifest import Layer, LayerKind, PackRef, ShardManifest
from tidemark.domain.snapshot import CaptureId
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.changes import MAX_CHANGED_KEYS, all_records, changed_keys, changed_records
from tidemark.engine.merge import read_changes, read_shard
from tidemark.engine.packs import RECORDS
from tidemark.engine.records import Record
from tidemark.engine.storing import store_run
from tidemark.errors import ManifestCorrupt, ObjectExists, ObjectNotFound, PackCorrupt
from tidemark.ports import PayloadStore, Ports

# A shard with more deltas has its newest ones merged into one.
MAX_DELTAS: Final = 8
# An older delta is merged with the newer ones unless it is larger than all of them together by more than this.
MERGE_RATIO: Final = 2
# A shard whose deltas' text passes this share of its base's gets a new base.
COMPACT_SHARE: Final = 0.5
# The object names of a layer's packs have this after the shard; a delta that was merged is told from the capture's own.
_MERGED: Final = "merged"


class ShardCut(NamedTuple):
    """What is to be copied: one shard of a generation as it was at the end of `cut`.

    `base` is the shard as an earlier snapshot has it, and `base_cut` the cut since when the live data may differ from
    it; both None for a full copy.
    """

    tenant: Tenant
    capture_id: CaptureId
    generation: Generation
    cut: Cut
    shard: int
    base: ShardManifest | None = None
    base_cut: Cut | None = None


def copy_shard(ports: Ports, job: ShardCut, proceed: Callable[[], None]) -> ShardManifest:
    """Store what the shard needs beyond its base, and a note of the whole, which is returned. Can be repeated.

    `proceed` is called before each pack and may raise to stop: the packs stored so far are kept.
    """
    key = note_key(job.tenant, job.capture_id, job.shard)
    found = noted(ports.payloads, key)
    if found is not None:
        return found
    copied = _copy(ports, job, proceed)
    with suppress(ObjectExists):
        ports.payloads.put(key, manifests.encode_note(key, copied))
    return read_note(ports.payloads, job.tenant, job.capture_id, job.shard)


def _copy(ports: Ports, job: ShardCut, proceed: Callable[[], None]) -> ShardManifest:
    if job.base is None or job.base_cut is None:
        return _copy_all(ports, job, proceed)
    limit = min(MAX_CHANGED_KEYS, int(job.base.records * COMPACT_SHARE))
    found: set[str] = set()
    for one in changed_keys(ports, job.tenant, job.generation, job.shard, job.base_cut):
        # An entity that is written while its shard is listed is listed twice: a layer may have it once only.
        found.add(one.sort_key)
        if len(found) > limit:
            return _copy_all(ports, job, proceed)
    sort_keys, base_cut = sorted(found), job.base_cut

    def source(after: str | None) -> Iterator[Record]:
        return changed_records(ports, job.tenant, job.generation, job.shard, job.cut, base_cut, sort_keys, after)

    delta, _ = _store_layer(ports, job, LayerKind.DELTA, source, proceed)
    if delta is None:
        return job.base
    grown = replace(job.base, records=job.base.records + delta.net, digest=None, layers=(*job.base.layers, delta))
    base, *deltas = grown.layers
    sizes_bytes = [one.raw_bytes for one in deltas]
    if sum(sizes_bytes) > COMPACT_SHARE * base.raw_bytes:
        return _rebase(ports, job, grown, proceed)
    count = deltas_to_merge(sizes_bytes)
    return _merge_deltas(ports, job, grown, count, proceed) if count else grown


def _copy_all(ports: Ports, job: ShardCut, proceed: Callable[[], None]) -> ShardManifest:
    def source(after: str | None) -> Iterator[Record]:
        return all_records(ports, job.tenant, job.generation, job.shard, job.cut, after)

    layer, digest = _store_layer(ports, job, LayerKind.BASE, source, proceed)
    return ShardManifest(job.shard, digest.count, digest.hex, (layer,) if layer else ())


def deltas_to_merge(sizes_bytes: Sequence[float]) -> int:
    """How many of the newest deltas, given the text of each, oldest first, are merged into one: none while there are
    few.

    One that is much larger than all newer ones together is left as it is, so that a record is written anew a few times
    in all, not each time that deltas are merged.
    """
    if len(sizes_bytes) <= MAX_DELTAS:
        return 0
    count, total = 2, sum(sizes_bytes[-2:])
    for size in reversed(sizes_bytes[:-2]):
        if size > MERGE_RATIO * total:
            break
        count, total = count + 1, total + size
    return count


def _merge_deltas(
    ports: Ports, job: ShardCut, grown: ShardManifest, count: int, proceed: Callable[[], None]
) -> ShardManifest:
    """The same records with the newest deltas in one, by a streaming merge of what is stored."""
    below, newest = grown.layers[:-count], grown.layers[-count:]

    def source(after: str | None) -> Iterator[Record]:
        changes = read_changes(ports.payloads, newest, from_key=after)
        return (found for found in changes if found.key != after)

    layer, _ = _store_layer(ports, job, LayerKind.DELTA, source, proceed, name=_MERGED)
    net, said = layer.net if layer else 0, sum(one.net for one in newest)
    if net != said:
        raise PackCorrupt(f"shard {job.shard}: merged deltas should add {said} to its records, their lines add {net}")
    return replace(grown, layers=(*below, layer) if layer else below)


def _rebase(ports: Ports, job: ShardCut, grown: ShardManifest, proceed: Callable[[], None]) -> ShardManifest:
    """The same records in one new base, by a streaming merge of what is stored."""

    def source(after: str | None) -> Iterator[Record]:
        merged = read_shard(ports.payloads, grown, from_key=after)
        return (found for found in merged if found.key != after)

    layer, digest = _store_layer(ports, job, LayerKind.BASE, source, proceed)
    if digest.count != grown.records:
        raise PackCorrupt(f"shard {job.shard} should hold {grown.records} records, its layers hold {digest.count}")
    return ShardManifest(job.shard, digest.count, digest.hex, (layer,) if layer else ())


def _store_layer(
    ports: Ports,
    job: ShardCut,
    kind: LayerKind,
    source: Callable[[str | None], Iterator[Record]],
    proceed: Callable[[], None],
    *,
    name: str | None = None,
) -> tuple[Layer | None, SetDigest]:
    """Store the records that `source` gives after a key, pack by pack; None when there are none.

    `name`, in the objects' names, is that of the kind unless it is given.
    """
    prefix = f"{pack_prefix(job.tenant, job.capture_id, job.shard)}-{name or kind}"
    packs, digest = store_run(ports.payloads, prefix, source, proceed, RECORDS)
    if not packs:
        return None, digest
    return layer_of(kind, job.capture_id, job.cut, packs), digest


def layer_of(kind: LayerKind, capture_id: CaptureId, cut: Cut, packs: Sequence[PackRef]) -> Layer:
    """The layer that some packs make."""
    records, raw_bytes = sum(pack.records for pack in packs), sum(pack.raw_bytes for pack in packs)
    return Layer(kind, capture_id, cut, records, raw_bytes, tuple(packs))


def read_note(payloads: PayloadStore, tenant: Tenant, capture_id: CaptureId, shard: int) -> ShardManifest:
    """What a worker noted of a shard that it copied. Raises ManifestCorrupt when there is no note."""
    key = note_key(tenant, capture_id, shard)
    found = noted(payloads, key)
    if found is None:
        raise ManifestCorrupt(f"shard {shard} was not copied: {key} is missing")
    return found


def check_pack(payloads: PayloadStore, pack: PackRef) -> None:
    """Ask the store for the pack's length and checksum. Raises PackCorrupt, naming the object."""
    try:
        stored = payloads.head(pack.key)
    except ObjectNotFound as error:
        raise PackCorrupt(f"pack {pack.key} is missing") from error
    if stored.size_bytes != pack.size_bytes or stored.sha256 != pack.sha256:
        raise PackCorrupt(f"pack {pack.key} is damaged: the store reports another length or checksum")


def pack_prefix(tenant: Tenant, capture_id: CaptureId, shard: int) -> str:
    """What the keys of all that a capture stores of a shard begin with."""
    return f"{tenant}/packs/{capture_id}/{shard:03d}"


def note_key(tenant: Tenant, capture_id: CaptureId, shard: int) -> str:
    """Where the note of a finished shard is stored."""
    return f"{pack_prefix(tenant, capture_id, shard)}.shard.json"


def noted(payloads: PayloadStore, key: str) -> ShardManifest | None:
    """The note under a key; None when there is none. Raises ManifestCorrupt."""
    try:
        return manifests.decode_note(key, payloads.get(key))
    except ObjectNotFound:
        return None

"""Copying the packs of one shard of a snapshot to another capture, which may be another tenant's.

The store copies by itself, so no byte passes through here; its own checksum of the copy is held against the manifest's.
Whoever starts again copies what is missing.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from tidemark.domain.manifest import Layer, LayerKind, PackRef, ShardManifest
from tidemark.domain.snapshot import CaptureId
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.copying import check_pack, note_key, noted, pack_prefix, read_note
from tidemark.errors import ObjectExists, ObjectNotFound, PackCorrupt
from tidemark.ports import PayloadStore


class ShardCopy(NamedTuple):
    """What is to be copied, and to whose packs."""

    source: ShardManifest
    tenant: Tenant
    capture_id: CaptureId


def copy_packs(payloads: PayloadStore, job: ShardCopy, proceed: Callable[[], None]) -> ShardManifest:
    """Copy every pack of the shard, and note the whole as that of the new capture, which is returned. Can be repeated.

    `proceed` is called before each pack and may raise to stop. Raises PackCorrupt where a pack is missing or its copy
    has another length or checksum.
    """
    key = note_key(job.tenant, job.capture_id, job.source.shard)
    found = noted(payloads, key)
    if found is not None:
        return found
    copied = renamed(job)
    for before, after in zip(_packs(job.source), _packs(copied), strict=True):
        proceed()
        try:
            with suppress(ObjectExists):
                payloads.copy(before.key, after.key)
        except ObjectNotFound as error:
            raise PackCorrupt(f"pack {before.key} is missing") from error
        check_pack(payloads, after)
    with suppress(ObjectExists):
        payloads.put(key, manifests.encode_note(key, copied))
    return read_note(payloads, job.tenant, job.capture_id, job.source.shard)


def renamed(job: ShardCopy) -> ShardManifest:
    """The shard as its copy has it: packs of one kind are counted through, since they come from several captures."""
    prefix = pack_prefix(job.tenant, job.capture_id, job.source.shard)
    counts = dict.fromkeys(LayerKind, 0)
    layers: list[Layer] = []
    for layer in job.source.layers:
        packs: list[PackRef] = []
        for pack in layer.packs:
            packs.append(replace(pack, key=f"{prefix}-{layer.kind}-{counts[layer.kind]:05d}.pack"))
            counts[layer.kind] += 1
        layers.append(replace(layer, capture_id=job.capture_id, packs=tuple(packs)))
    return replace(job.source, layers=tuple(layers))


def _packs(shard: ShardManifest) -> list[PackRef]:
    return [pack for layer in shard.layers for pack in layer.packs]

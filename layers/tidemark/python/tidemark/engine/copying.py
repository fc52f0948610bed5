"""Copying one shard of a cut into packs. A pack is the unit of resume: whoever starts again goes on after the last pack
that is stored.

Workers that run twice write the same keys; whichever stored a pack first has written it, the other adopts it and goes
on behind it.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress

from tidemark.domain.digest import SetDigest
from tidemark.domain.live import Cut, Generation
from tidemark.domain.manifest import Layer, LayerKind, PackRef, ShardManifest
from tidemark.domain.snapshot import CaptureId
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.live import generations
from tidemark.engine.live.versions import doc_at
from tidemark.engine.packs import build_pack, describe, lines_of
from tidemark.engine.records import Record, record
from tidemark.errors import ManifestCorrupt, ObjectExists, ObjectNotFound, PackCorrupt
from tidemark.ports import PayloadStore, Ports


def copy_shard(
    ports: Ports,
    tenant: Tenant,
    capture_id: CaptureId,
    *,
    generation: Generation,
    cut: Cut,
    shard: int,
    proceed: Callable[[], None],
) -> ShardManifest:
    """Store the shard as it was at the end of `cut`, as one base layer, and a note of it, which is returned. Can be
    repeated.

    `proceed` is called before each pack and may raise to stop: the packs stored so far are kept.
    """
    note_key = f"{_prefix(tenant, capture_id, shard)}.shard.json"
    noted = _noted(ports.payloads, note_key)
    if noted is not None:
        return noted
    digest = SetDigest()
    packs: list[PackRef] = []
    while True:
        proceed()
        after = packs[-1].last_key if packs else None
        key = f"{_prefix(tenant, capture_id, shard)}-{len(packs):05d}.pack"
        body = _store_next(ports.payloads, key, _records_at(ports, tenant, generation, shard, cut, after))
        if body is None:
            break
        packs.append(describe(key, body))
        for line in lines_of(key, body):
            digest.add(line)
    layers: tuple[Layer, ...] = ()
    if packs:
        raw_bytes = sum(pack.raw_bytes for pack in packs)
        layers = (Layer(LayerKind.BASE, capture_id, cut, digest.count, raw_bytes, tuple(packs)),)
    copied = ShardManifest(shard=shard, records=digest.count, digest=digest.hex, layers=layers)
    with suppress(ObjectExists):
        ports.payloads.put(note_key, manifests.encode_shard(copied))
    return read_note(ports.payloads, tenant, capture_id, shard)


def read_note(payloads: PayloadStore, tenant: Tenant, capture_id: CaptureId, shard: int) -> ShardManifest:
    """What a worker noted of a shard that it copied. Raises ManifestCorrupt when there is no note."""
    note_key = f"{_prefix(tenant, capture_id, shard)}.shard.json"
    noted = _noted(payloads, note_key)
    if noted is None:
        raise ManifestCorrupt(f"shard {shard} was not copied: {note_key} is missing")
    return noted


def check_pack(payloads: PayloadStore, pack: PackRef) -> None:
    """Ask the store for the pack's length and checksum. Raises PackCorrupt, naming the object."""
    try:
        stored = payloads.head(pack.key)
    except ObjectNotFound as error:
        raise PackCorrupt(f"pack {pack.key} is missing") from error
    if stored.size_bytes != pack.size_bytes or stored.sha256 != pack.sha256:
        raise PackCorrupt(f"pack {pack.key} is damaged: the store reports another length or checksum")


def _prefix(tenant: Tenant, capture_id: CaptureId, shard: int) -> str:
    return f"{tenant}/packs/{capture_id}/{shard:03d}"


def _noted(payloads: PayloadStore, note_key: str) -> ShardManifest | None:
    try:
        return manifests.decode_shard(payloads.get(note_key))
    except ObjectNotFound:
        return None
    except ValueError as error:
        raise ManifestCorrupt(f"{note_key} cannot be read") from error


def _store_next(payloads: PayloadStore, key: str, records: Iterator[Record]) -> bytes | None:
    """Store a pack of the next records under `key`, or adopt the one that is there; its bytes as read back, None when
    no records are left.
    """
    try:
        return payloads.get(key)
    except ObjectNotFound:
        built = build_pack(records)
    if built is None:
        return None
    try:
        payloads.put(key, built.body)
    except ObjectExists:
        return payloads.get(key)
    stored = payloads.get(key)
    if hashlib.sha256(stored).digest() != hashlib.sha256(built.body).digest():
        raise PackCorrupt(f"pack {key} does not read back as it was written")
    return stored


def _records_at(
    ports: Ports, tenant: Tenant, generation: Generation, shard: int, cut: Cut, after: str | None
) -> Iterator[Record]:
    for item in generations.items(ports, tenant, generation, shard, after):
        doc = doc_at(item, cut)
        if doc is not None:
            yield record(item.key.sort_key, doc)

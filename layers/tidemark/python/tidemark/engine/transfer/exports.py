"""What an export consists of: the packs of a shard as they are where it has one layer, else its layers merged into new
ones under `transfer-exports/`, which expire.

No tenant is called so: their names have no hyphen.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Final, NamedTuple

from tidemark.domain.live import Cut
from tidemark.domain.manifest import LayerKind, Manifest, ShardManifest
from tidemark.domain.snapshot import CaptureId
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.copying import layer_of, noted
from tidemark.engine.merge import read_shard
from tidemark.engine.packs import RECORDS
from tidemark.engine.records import Record
from tidemark.engine.storing import store_run
from tidemark.errors import ManifestCorrupt, ObjectExists, PackCorrupt
from tidemark.ports import PayloadStore

FORMAT: Final = "tidemark-export"
FORMAT_VERSION: Final = 1
EXPORTS: Final = "transfer-exports"
# The bucket deletes them after seven days; an address that is given out on the last day must still outlive its time.
GOOD_FOR: Final = timedelta(days=6)


class ExportPart(NamedTuple):
    """One plain file: zstd of record lines."""

    name: str
    key: str
    size_bytes: int
    sha256: str
    records: int


def to_merge(manifest: Manifest) -> list[int]:
    """The shards that have several layers."""
    return [shard.shard for shard in manifest.shards if len(shard.layers) > 1]


def merge_shard(
    payloads: PayloadStore, tenant: Tenant, export_id: str, shard: ShardManifest, proceed: Callable[[], None]
) -> ShardManifest:
    """Store the shard's records as one layer, and a note of it, which is returned. Can be repeated.

    `proceed` is called before each object and may raise to stop. Raises PackCorrupt.
    """
    key = _note_key(tenant, export_id, shard.shard)
    found = noted(payloads, key)
    if found is not None:
        return found

    def source(after: str | None) -> Iterator[Record]:
        return (one for one in read_shard(payloads, shard, from_key=after) if one.key != after)

    packs, digest = store_run(payloads, _prefix(tenant, export_id, shard.shard), source, proceed, RECORDS)
    if digest.count != shard.records:
        raise PackCorrupt(f"shard {shard.shard} should hold {shard.records} records, its layers hold {digest.count}")
    layers = (layer_of(LayerKind.BASE, CaptureId(export_id), Cut(0), packs),) if packs else ()
    with suppress(ObjectExists):
        payloads.put(key, manifests.encode_note(key, ShardManifest(shard.shard, digest.count, digest.hex, layers)))
    return merged_shard(payloads, tenant, export_id, shard.shard)


def merged_shard(payloads: PayloadStore, tenant: Tenant, export_id: str, shard: int) -> ShardManifest:
    """The shard as it was merged. Raises ManifestCorrupt when it was not."""
    key = _note_key(tenant, export_id, shard)
    found = noted(payloads, key)
    if found is None:
        raise ManifestCorrupt(f"shard {shard} was not merged: {key} is missing")
    return found


def parts_of(snapshot_id: str, shards: list[ShardManifest]) -> list[ExportPart]:
    """The files of shards of one layer each, in the order of the shards."""
    return [
        ExportPart(
            name=f"{snapshot_id}-{shard.shard:03d}-{number:05d}.ndjson.zst",
            key=pack.key,
            size_bytes=pack.size_bytes,
            sha256=pack.sha256,
            records=pack.records,
        )
        for shard in shards
        for number, pack in enumerate(pack for layer in shard.layers for pack in layer.packs)
    ]


def _prefix(tenant: Tenant, export_id: str, shard: int) -> str:
    return f"{EXPORTS}/{tenant}/{export_id}/{shard:03d}"


def _note_key(tenant: Tenant, export_id: str, shard: int) -> str:
    return f"{_prefix(tenant, export_id, shard)}.shard.json"

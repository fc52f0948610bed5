"""Reading back every byte that a snapshot needs, and holding it against what the records, manifests and tables say.

A shard is read once, in a merge of its layers, so memory is bounded by one pack a layer. Whatever does not fit is a
ManifestCorrupt or PackCorrupt that names the object.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tidemark.domain.digest import SetDigest
from tidemark.domain.keys import SEPARATOR
from tidemark.domain.manifest import Layer, LayerKind, Manifest, PackRef, ShardManifest
from tidemark.domain.snapshot import Snapshot
from tidemark.engine import manifests
from tidemark.engine.framing import read_whole
from tidemark.engine.merge import agree, merged
from tidemark.engine.packs import check_whole, describe
from tidemark.engine.records import Record, net_of
from tidemark.errors import ManifestCorrupt, PackCorrupt
from tidemark.ports import PayloadStore


class Checked(NamedTuple):
    """How much was read back and found good."""

    packs: int = 0
    size_bytes: int = 0


def check_manifest(payloads: PayloadStore, snapshot: Snapshot) -> Manifest:
    """The manifest of a completed snapshot, checked byte for byte and against the snapshot's record.

    Raises ManifestCorrupt.
    """
    if snapshot.manifest is None:
        raise ManifestCorrupt(f"the record of snapshot {snapshot.id} names no manifest")
    manifest = manifests.read(payloads, snapshot.manifest)
    stated = (snapshot.tenant, snapshot.id, snapshot.capture_id, snapshot.generation, snapshot.cut)
    named = (manifest.tenant, manifest.snapshot_id, manifest.capture_id, manifest.generation, manifest.cut)
    if named != stated:
        raise ManifestCorrupt(f"manifest {snapshot.manifest.key} is of another snapshot than {snapshot.id}")
    if (manifest.records, manifest.stored_bytes) != (snapshot.entity_count, snapshot.stored_bytes):
        raise ManifestCorrupt(
            f"manifest {snapshot.manifest.key} has {manifest.records} entities in {manifest.stored_bytes} bytes, "
            f"the record of {snapshot.id} says {snapshot.entity_count} in {snapshot.stored_bytes}"
        )
    return manifest


def check_shard(
    payloads: PayloadStore, manifest_key: str, shard: ShardManifest, proceed: Callable[[], None]
) -> Checked:
    """Read all packs of a shard and merge its layers; what was read.

    `proceed` is called before each pack and may raise to stop. Raises PackCorrupt, or ManifestCorrupt where all packs
    are what they were and the manifest's line of the shard does not say so.
    """
    where = f"manifest {manifest_key}, shard {shard.shard},"
    check_sums(where, shard)
    digest = SetDigest()

    def check(lines: Sequence[Record]) -> None:
        # Below the first line there is nothing. Where this holds of all keys, so do the numbers of entities.
        if lines[0].was is not None or not agree(lines):
            named = lines[0].key.replace(SEPARATOR, " ")
            raise ManifestCorrupt(f"{where} has a delta that says of {named!r} that something else lies below it")

    for found in merged([_check_layer(payloads, layer, proceed) for layer in shard.layers], check=check):
        digest.add(found.line)
    if shard.digest not in {None, digest.hex}:
        raise ManifestCorrupt(f"{where} has the digest of other entities than its layers together hold")
    packs = [pack for layer in shard.layers for pack in layer.packs]
    return Checked(len(packs), sum(pack.size_bytes for pack in packs))


def check_pack(payloads: PayloadStore, pack: PackRef) -> Iterator[Record]:
    """The records of a whole pack after checking every byte: its length and SHA-256, then its table of contents, each
    frame and record, and that the reference says the same. Raises PackCorrupt.
    """
    body = read_whole(payloads, pack)
    if describe(pack.key, body) != pack:
        raise PackCorrupt(f"pack {pack.key} is not the one that the manifest describes")
    yield from check_whole(pack.key, body)


def check_sums(where: str, shard: ShardManifest) -> None:
    """Raise ManifestCorrupt where the line of a shard contradicts itself."""
    kinds = [layer.kind for layer in shard.layers]
    if kinds and kinds != [LayerKind.BASE] + [LayerKind.DELTA] * (len(kinds) - 1):
        raise ManifestCorrupt(f"{where} has not one base below its deltas")
    if sum(layer.net for layer in shard.layers) != shard.records:
        raise ManifestCorrupt(f"{where} says {shard.records} records; its layers add up to another number")
    for layer in shard.layers:
        said = (sum(pack.records for pack in layer.packs), sum(pack.raw_bytes for pack in layer.packs))
        if said != (layer.records, layer.raw_bytes):
            raise ManifestCorrupt(f"{where} has a layer of cut {layer.cut} that is not the sum of its packs")
        if layer.kind is LayerKind.BASE and layer.net != layer.records:
            raise ManifestCorrupt(f"{where} has a base with records that only deltas have")
        for earlier, later in pairwise(layer.packs):
            if later.first_key <= earlier.last_key:
                raise ManifestCorrupt(f"{where} has pack {later.key} out of order")


def _check_layer(payloads: PayloadStore, layer: Layer, proceed: Callable[[], None]) -> Iterator[Record]:
    for pack in layer.packs:
        proceed()
        net = 0
        for found in check_pack(payloads, pack):
            net += net_of(found)
            yield found
        if net != pack.net:
            raise PackCorrupt(f"pack {pack.key} says that it adds {pack.net} entities, its records add {net}")

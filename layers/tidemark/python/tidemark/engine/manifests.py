"""Manifests as stored: zstd of a header line and one line a shard (NDJSON, members sorted).

Names and meaning are those of `domain.manifest`, in camelCase.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Final

import msgspec
import zstandard

from tidemark.domain.blocks import Image
from tidemark.domain.live import Cut, Generation
from tidemark.domain.manifest import Layer, LayerKind, Manifest, PackRef, ShardManifest
from tidemark.domain.snapshot import CaptureId, ManifestRef, SnapshotId
from tidemark.domain.tenant import Tenant
from tidemark.engine.packs import COMPRESSION_LEVEL
from tidemark.errors import ManifestCorrupt, ObjectExists, ObjectNotFound
from tidemark.ports import ObjectReads, PayloadStore

FORMAT: Final = "tidemark-manifest"
FORMAT_VERSION: Final = 1
_MAX_RAW_BYTES: Final = 512 * 1024 * 1024


class _Image(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    size_bytes: int
    block_bytes: int


class _Header(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    format: str
    version: int
    tenant: str
    snapshot_id: str
    capture_id: str
    created_at: datetime
    generation: int
    cut: int
    shards: int
    records: int
    image: _Image | msgspec.UnsetType = msgspec.UNSET


class _Pack(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    key: str
    size_bytes: int
    sha256: str
    toc_offset: int
    toc_sha256: str
    frames: int
    records: int
    net: int
    raw_bytes: int
    first_key: str
    last_key: str


class _Layer(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    kind: LayerKind
    capture_id: str
    cut: int
    records: int
    raw_bytes: int
    packs: tuple[_Pack, ...]


class _Shard(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    shard: int
    records: int
    digest: str | None
    layers: tuple[_Layer, ...]


# Made once, while the module is imported: threads that first meet a type at the same moment can crash in msgspec.
_HEADER: Final = msgspec.json.Decoder(_Header)
_SHARD: Final = msgspec.json.Decoder(_Shard)
_PACK_REF: Final = msgspec.json.Decoder(PackRef)


def manifest_key(tenant: Tenant, snapshot_id: SnapshotId) -> str:
    """Where the manifest of a snapshot is stored."""
    return f"{tenant}/manifests/{snapshot_id}.json.zst"


def encode_shard(shard: ShardManifest) -> bytes:
    """One shard's line, without a line feed."""
    return msgspec.json.encode(msgspec.convert(shard, _Shard, from_attributes=True), order="sorted")


def decode_shard(line: bytes) -> ShardManifest:
    """The shard of a line. Raises ValueError (msgspec's) when it is not one."""
    wire = _SHARD.decode(line)
    return ShardManifest(
        shard=wire.shard,
        records=wire.records,
        digest=wire.digest,
        layers=tuple(
            Layer(
                kind=layer.kind,
                capture_id=CaptureId(layer.capture_id),
                cut=Cut(layer.cut),
                records=layer.records,
                raw_bytes=layer.raw_bytes,
                packs=tuple(msgspec.convert(pack, PackRef, from_attributes=True) for pack in layer.packs),
            )
            for layer in wire.layers
        ),
    )


def encode_note(note_key: str, shard: ShardManifest) -> bytes:
    """What is stored of a finished shard: its line, and a line that is the SHA-256 of the key and the line."""
    line = encode_shard(shard)
    return line + b"\n" + _note_checksum(note_key, line) + b"\n"


def decode_note(note_key: str, body: bytes) -> ShardManifest:
    """The shard of a note. Raises ManifestCorrupt, naming the object, when it is not what was stored under the key."""
    line, *rest = body.split(b"\n")
    if rest != [_note_checksum(note_key, line), b""]:
        raise ManifestCorrupt(f"shard note {note_key} is damaged: it has the wrong checksum")
    try:
        return decode_shard(line)
    except ValueError as error:
        raise ManifestCorrupt(f"shard note {note_key} cannot be read") from error


def _note_checksum(note_key: str, line: bytes) -> bytes:
    return hashlib.sha256(note_key.encode() + b"\n" + line).hexdigest().encode()


def encode(manifest: Manifest) -> tuple[ManifestRef, bytes]:
    """The manifest's bytes and their reference. The same manifest gives the same bytes."""
    header = _Header(
        format=FORMAT,
        version=FORMAT_VERSION,
        tenant=manifest.tenant,
        snapshot_id=manifest.snapshot_id,
        capture_id=manifest.capture_id,
        created_at=manifest.created_at,
        generation=manifest.generation,
        cut=manifest.cut,
        shards=len(manifest.shards),
        records=manifest.records,
    )
    if manifest.image is not None:
        header.image = _Image(manifest.image.size_bytes, manifest.image.block_bytes)
    lines = [msgspec.json.encode(header, order="sorted"), *map(encode_shard, manifest.shards)]
    body = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True).compress(b"\n".join(lines) + b"\n")
    reference = ManifestRef(
        manifest_key(manifest.tenant, manifest.snapshot_id), len(body), hashlib.sha256(body).hexdigest()
    )
    return reference, body


def store(payloads: PayloadStore, manifest: Manifest) -> ManifestRef:
    """Store the manifest, or find it stored by an earlier run, and read it back. Raises ManifestCorrupt."""
    reference, body = encode(manifest)
    with suppress(ObjectExists):
        payloads.put(reference.key, body)
    if read(payloads, reference) != manifest:
        raise ManifestCorrupt(f"manifest {reference.key} does not read back as it was written")
    return reference


def read(payloads: ObjectReads, reference: ManifestRef) -> Manifest:
    """The manifest behind a reference, checked byte for byte. Raises ManifestCorrupt, naming the object."""
    try:
        body = payloads.get(reference.key)
    except ObjectNotFound as error:
        raise ManifestCorrupt(f"manifest {reference.key} is missing") from error
    if len(body) != reference.size_bytes or hashlib.sha256(body).hexdigest() != reference.sha256:
        raise ManifestCorrupt(f"manifest {reference.key} is damaged: it has the wrong length or checksum")
    try:
        return _decode(_lines(body))
    except (zstandard.ZstdError, ValueError, StopIteration) as error:
        raise ManifestCorrupt(f"manifest {reference.key} cannot be read") from error


def _lines(body: bytes) -> Iterator[bytes]:
    raw_bytes = zstandard.get_frame_parameters(body).content_size
    if raw_bytes > _MAX_RAW_BYTES:
        raise ValueError(f"a manifest of {raw_bytes} bytes is above {_MAX_RAW_BYTES}")
    return iter(zstandard.ZstdDecompressor().decompress(body).splitlines())


def _decode(lines: Iterator[bytes]) -> Manifest:
    header = _HEADER.decode(next(lines))
    if header.format != FORMAT or header.version != FORMAT_VERSION:
        raise ValueError(f"format {header.format} version {header.version} is not {FORMAT} version {FORMAT_VERSION}")
    shards = tuple(decode_shard(line) for line in lines)
    manifest = Manifest(
        tenant=Tenant(header.tenant),
        snapshot_id=SnapshotId(header.snapshot_id),
        capture_id=CaptureId(header.capture_id),
        created_at=header.created_at,
        generation=Generation(header.generation),
        cut=Cut(header.cut),
        shards=shards,
        image=None if header.image is msgspec.UNSET else Image(header.image.size_bytes, header.image.block_bytes),
    )
    if [shard.shard for shard in shards] != list(range(header.shards)) or manifest.records != header.records:
        raise ValueError("the shards are not those that the header announces")
    return manifest

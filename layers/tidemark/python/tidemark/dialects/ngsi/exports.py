"""Exports as answers: the manifest of plain files with an address each, or that they are being prepared."""

from datetime import timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, UnsetType

from tidemark.dialects.addresses import expiry_s, page
from tidemark.dialects.ngsi.snapshots import Digest, Milliseconds, Seconds, SnapshotName, milliseconds, seconds
from tidemark.dialects.wire import Request, or_unset
from tidemark.engine.transfer.exports import FORMAT, FORMAT_VERSION, ExportPart
from tidemark.ports import Ports
from tidemark.usecases.export_snapshot import Exported

RETRY_AFTER_S: Final = 5
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
_Count = Annotated[int, Meta(ge=0)]


class ExportPartBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One plain file: zstd of lines of JSON, and the address to GET it from."""

    name: str
    size_bytes: _Count
    sha256: Sha256
    records: _Count
    url: str


class ExportBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The manifest of an export: what it is of, and a page of its parts, whose addresses are good until `expiresAt`."""

    format: Literal["tidemark-export"] = FORMAT
    version: Literal[1] = FORMAT_VERSION
    tenant: str
    snapshot_id: SnapshotName
    created_at: Seconds
    records: _Count
    digest: Digest | None
    expires_at: Milliseconds | UnsetType
    part_count: _Count
    parts: list[ExportPartBody]


class ExportPreparing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An export that is being made of several layers."""

    snapshot_id: SnapshotName
    status: Literal["preparing"] = "preparing"
    description: str = "the export is being prepared from several layers; ask again after some seconds"


def render(ports: Ports, request: Request, exported: Exported, parts: list[ExportPart]) -> ExportBody:
    """The manifest of an export. Its parts come in pages of `limit` after the first `offset`."""
    expires_s = expiry_s(request)
    wanted = page(request)
    snapshot = exported.snapshot
    return ExportBody(
        tenant=snapshot.tenant,
        snapshot_id=snapshot.id,
        created_at=seconds(snapshot.created_at),
        records=snapshot.entity_count,
        digest=exported.digest,
        expires_at=or_unset(milliseconds(ports.clock.now() + timedelta(seconds=expires_s))),
        part_count=len(parts),
        parts=[
            ExportPartBody(
                name=part.name,
                size_bytes=part.size_bytes,
                sha256=part.sha256,
                records=part.records,
                url=ports.links.download(part.key, filename=part.name, expires_s=expires_s),
            )
            for part in parts[wanted.start : wanted.stop]
        ],
    )


def preparing(exported: Exported) -> ExportPreparing:
    """The answer while shards are being merged."""
    return ExportPreparing(snapshot_id=exported.snapshot.id)

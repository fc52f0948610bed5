"""Exports as answers: the manifest of plain files with an address each, or that they are being prepared."""

import re
from datetime import timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, UnsetType

from tidemark.dialects.ngsi.snapshots import Digest, Milliseconds, Seconds, SnapshotName, milliseconds, seconds
from tidemark.dialects.wire import Request, or_unset
from tidemark.engine.transfer.exports import FORMAT, FORMAT_VERSION, ExportPart
from tidemark.errors import InvalidRequest
from tidemark.ports import Ports
from tidemark.usecases.export_snapshot import Exported

RETRY_AFTER_S: Final = 5
DEFAULT_EXPIRY_S: Final = 3600
# An address ends with the credentials that signed it, which Lambda renews in good time for this, not for much more.
MAX_EXPIRY_S: Final = 6 * 3600
MIN_EXPIRY_S: Final = 60
# With an address each, this many stay well below what one answer can hold.
MAX_PARTS: Final = 1000
MAX_OFFSET: Final = 999_999_999
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
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


def number(request: Request, name: str, default: int, *, smallest: int, largest: int) -> int:
    """A query parameter that is a whole number. Raises InvalidRequest."""
    text = request.query.get(name, str(default))
    if _NUMBER.fullmatch(text) is None or not smallest <= int(text) <= largest:
        raise InvalidRequest(
            f"the parameter {name} must be a whole number, {smallest} to {largest}; it is {text[:40]!r}"
        )
    return int(text)


def expiry_s(request: Request) -> int:
    """For how long addresses shall be good: the query parameter `expiresIn`, in seconds. Raises InvalidRequest."""
    return number(request, "expiresIn", DEFAULT_EXPIRY_S, smallest=MIN_EXPIRY_S, largest=MAX_EXPIRY_S)


def render(ports: Ports, request: Request, exported: Exported, parts: list[ExportPart]) -> ExportBody:
    """The manifest of an export. Its parts come in pages of `limit` after the first `offset`."""
    expires_s = expiry_s(request)
    limit = number(request, "limit", MAX_PARTS, smallest=1, largest=MAX_PARTS)
    offset = number(request, "offset", 0, smallest=0, largest=MAX_OFFSET)
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
            for part in parts[offset : offset + limit]
        ],
    )


def preparing(exported: Exported) -> ExportPreparing:
    """The answer while shards are being merged."""
    return ExportPreparing(snapshot_id=exported.snapshot.id)

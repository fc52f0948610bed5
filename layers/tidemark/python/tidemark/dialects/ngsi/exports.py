"""Exports as answers: the manifest of plain files with an address each, or that they are being prepared."""

import re
from datetime import timedelta
from typing import Any, Final

from tidemark.dialects.ngsi.snapshots import milliseconds, seconds
from tidemark.dialects.wire import Request
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
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


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


def render(ports: Ports, request: Request, exported: Exported, parts: list[ExportPart]) -> dict[str, Any]:
    """The manifest of an export. Its parts come in pages of `limit` after the first `offset`."""
    expires_s = expiry_s(request)
    limit = number(request, "limit", MAX_PARTS, smallest=1, largest=MAX_PARTS)
    offset = number(request, "offset", 0, smallest=0, largest=999_999_999)
    snapshot = exported.snapshot
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "tenant": snapshot.tenant,
        "snapshotId": snapshot.id,
        "createdAt": seconds(snapshot.created_at),
        "records": snapshot.entity_count,
        "digest": exported.digest,
        "expiresAt": milliseconds(ports.clock.now() + timedelta(seconds=expires_s)),
        "partCount": len(parts),
        "parts": [
            {
                "name": part.name,
                "sizeBytes": part.size_bytes,
                "sha256": part.sha256,
                "records": part.records,
                "url": ports.links.download(part.key, filename=part.name, expires_s=expires_s),
            }
            for part in parts[offset : offset + limit]
        ],
    }


def preparing(exported: Exported) -> dict[str, Any]:
    """The answer while shards are being merged."""
    return {
        "snapshotId": exported.snapshot.id,
        "status": "preparing",
        "description": "the export is being prepared from several layers; ask again after some seconds",
    }

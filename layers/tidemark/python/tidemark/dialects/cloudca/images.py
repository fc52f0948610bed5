"""Images of snapshots that leave and arrive: the parts that are stored of one, and the addresses that parts go to.

The documentation of cloud.ca knows neither; envelopes and members are in its manner.
"""

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from tidemark.dialects.addresses import expiry_s, page
from tidemark.dialects.cloudca.answers import (
    Moment,
    One,
    SnapshotBody,
    TaskAnswer,
    Uuid,
    moment,
    pending,
    snapshot_body,
)
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.domain.upload import PART_BYTES
from tidemark.engine.blocks import uploads
from tidemark.ports import Ports

if TYPE_CHECKING:
    # What sends images and what takes them in have no use for each other.
    from tidemark.usecases.export_volume_image import ImageExport
    from tidemark.usecases.import_volume_image import Begun, Opened

FORMAT: Final = "tidemark-image"
FORMAT_VERSION: Final = 1
_Count = Annotated[int, Meta(ge=0)]
_Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class StoredPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An object as it is stored, and the address to GET it or a range of it from."""

    key: Annotated[str, Meta(description="What the manifest calls it.")]
    size_bytes: _Count
    sha256: _Sha256
    url: str


class ImageBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an image is put together from: its manifest, and a page of the packs that this names, in their order."""

    format: Literal["tidemark-image"] = FORMAT
    version: Literal[1] = FORMAT_VERSION
    snapshot_id: Uuid
    volume_id: Uuid
    created: Moment
    size_bytes: _Count
    block_bytes: _Count
    blocks: Annotated[int, Meta(ge=0, description="How many are not zeros.")]
    digest: Annotated[_Sha256, Meta(description="Of the image, however it is stored.")]
    expires: Annotated[Moment, Meta(description="Until when the addresses are good.")]
    manifest: StoredPart
    pack_count: _Count
    packs: list[StoredPart]


class PartBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an image that is imported, and the address to PUT it to."""

    number: _Count
    size_bytes: _Count
    arrived: Annotated[bool, Meta(description="Whether it is there, as long as it must be.")]
    url: str


class UploadsBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where an image that is imported is to be sent: a page of its parts, and the list of those that were sent."""

    snapshot_id: Uuid
    size_bytes: _Count
    part_bytes: _Count
    part_count: _Count
    expires: Annotated[Moment, Meta(description="Until when the addresses are good.")]
    awaited_until: Annotated[Moment, Meta(description="When the import is given up.")]
    index_url: Annotated[str, Meta(description="Where the list of the parts that were sent is PUT.")]
    parts: list[PartBody]


class ImportAnswer(TaskAnswer, frozen=True, kw_only=True, rename="camel"):
    """The task of an import, and the snapshot that waits for its parts."""

    snapshot: SnapshotBody
    part_bytes: _Count
    part_count: _Count


def one_image(ports: Ports, request: Request, export: "ImageExport") -> Response:
    """The answer that is an image. Its packs come in pages of `limit` after the first `offset`."""
    expires_s, wanted, snapshot = expiry_s(request), page(request), export.snapshot

    def stored(key: str, size_bytes: int, sha256: str) -> StoredPart:
        filename = f"{snapshot.id}-{key.rpartition('/')[2]}"
        url = ports.links.download(key, filename=filename, expires_s=expires_s)
        return StoredPart(key=key, size_bytes=size_bytes, sha256=sha256, url=url)

    body = ImageBody(
        snapshot_id=snapshot.id,
        volume_id=snapshot.volume_id,
        created=moment(snapshot.created_at),
        size_bytes=export.image.size_bytes,
        block_bytes=export.image.block_bytes,
        blocks=export.blocks,
        digest=export.digest,
        expires=moment(ports.clock.now() + timedelta(seconds=expires_s)),
        manifest=stored(export.manifest.key, export.manifest.size_bytes, export.manifest.sha256),
        pack_count=len(export.packs),
        packs=[stored(one.key, one.size_bytes, one.sha256) for one in export.packs[wanted.start : wanted.stop]],
    )
    return json_response(HTTPStatus.OK, One(body))


def one_upload(ports: Ports, request: Request, opened: "Opened") -> Response:
    """The answer that says where the parts of an import go, in pages of `limit` after the first `offset`."""
    expires_s, wanted, (snapshot, upload) = expiry_s(request), page(request), opened
    parts = range(min(wanted.start, upload.parts), min(wanted.stop, upload.parts))
    there = uploads.arrived(ports, snapshot, parts)
    body = UploadsBody(
        snapshot_id=snapshot.id,
        size_bytes=upload.size_bytes,
        part_bytes=PART_BYTES,
        part_count=upload.parts,
        expires=moment(ports.clock.now() + timedelta(seconds=expires_s)),
        awaited_until=moment(upload.until),
        index_url=ports.links.put(uploads.index_key(snapshot), None, expires_s=expires_s),
        parts=[
            PartBody(
                number=part,
                size_bytes=upload.bytes_of(part),
                arrived=there.get(part) == upload.bytes_of(part),
                url=ports.links.put(uploads.part_key(snapshot, part), upload.bytes_of(part), expires_s=expires_s),
            )
            for part in parts
        ],
    )
    return json_response(HTTPStatus.OK, One(body))


def accepted_import(begun: "Begun") -> Response:
    """The answer to a request that has begun an import. As every task that is begun, it says `PENDING`."""
    task = msgspec.structs.asdict(pending(begun.task))
    parts = begun.snapshot.uploaded.parts if begun.snapshot.uploaded is not None else 0
    body = ImportAnswer(**task, snapshot=snapshot_body(begun.snapshot), part_bytes=PART_BYTES, part_count=parts)
    return json_response(HTTPStatus.ACCEPTED, body)

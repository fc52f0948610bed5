"""Models of requests' bodies, with the limits that the parsers hold them to."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.cloudca.answers import Uuid
from tidemark.dialects.cloudca.words import SNAPSHOT_VOLUME_TYPES
from tidemark.domain.upload import MAX_IMAGE_BYTES
from tidemark.domain.volume_names import MAX_NAME_CHARS


class CreateVolumeSnapshot(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Of which volume a snapshot is to be taken."""

    volume_id: Uuid
    name: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=MAX_NAME_CHARS,
                description="Unique in the environment; made of the instance, the volume and the moment unless given.",
                examples=["before-upgrade"],
            ),
        ]
        | UnsetType
    ) = UNSET
    rapid: (
        Annotated[bool, Meta(description="Whether the cloud's own snapshot is kept beside what is stored.")] | UnsetType
    ) = UNSET


class ImportVolumeImage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The image that is to be imported; `volume` and `volumeType` are of a new volume alone."""

    size_bytes: Annotated[
        int, Meta(ge=1, le=MAX_IMAGE_BYTES, description="Of the file; the volume has whole GiB.", examples=[10485760])
    ]
    volume_id: (
        Annotated[Uuid, Meta(description="The volume that it is of, which may be gone; a new one unless given.")]
        | UnsetType
    ) = UNSET
    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARS)] | UnsetType = UNSET
    volume: (
        Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARS, description="What it is to be called.")]
        | UnsetType
    ) = UNSET
    volume_type: Annotated[str, Meta(extra_json_schema={"enum": list(SNAPSHOT_VOLUME_TYPES.values())})] | UnsetType = (
        UNSET
    )


class CompleteUpload(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is known of the image that was sent."""

    digest: (
        Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="What it must have, as an export tells it.")]
        | UnsetType
    ) = UNSET

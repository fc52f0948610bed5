"""Models of requests' bodies, with the limits that the parsers hold them to."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.cloudca.answers import Uuid
from tidemark.dialects.cloudca.requests import MAX_DESCRIPTION_CHARS
from tidemark.domain.retention import MAX_COUNT
from tidemark.domain.upload import MAX_IMAGE_BYTES
from tidemark.domain.volume_names import MAX_NAME_CHARS

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARS, examples=["before-upgrade"])]


class _Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A body whose members are all known."""


class CreateVolumeSnapshot(_Request, frozen=True):
    """Of which volume a snapshot is to be taken. Its name is unique in the environment, and made of the instance, the
    volume and the moment unless given. `rapid` keeps the cloud's own snapshot beside what is stored.
    """

    volume_id: Uuid
    name: Name | UnsetType = UNSET
    rapid: bool | UnsetType = UNSET


class RestoreVolumeSnapshot(_Request, frozen=True):
    """What the volume that is made is to be called, and in which zone it is to be: as the snapshot's unless given."""

    name: Name | UnsetType = UNSET
    zone: Annotated[str, Meta(examples=["ca-central-1a"])] | UnsetType = UNSET


class CreateTemplate(_Request, frozen=True):
    """What the template that is made is to be called: as the snapshot unless given."""

    name: Name | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=MAX_DESCRIPTION_CHARS, pattern="^[ -~]*$")] | UnsetType = UNSET


class CreateVolumeSchedule(_Request, frozen=True):
    """Of which volume snapshots are to be taken, how often and when, and how many of them stay. An hourly one has a
    `minute`; others have a `time`, and weekly ones a `day` of the week (1 is Sunday), monthly ones one of the month.
    With `paused` it takes none until it is asked for again without.
    """

    volume_id: Uuid
    interval_type: Literal["HOURLY", "DAILY", "WEEKLY", "MONTHLY"]
    keep: Annotated[int, Meta(ge=1, le=MAX_COUNT)]
    minute: Annotated[int, Meta(ge=0, le=59)] | UnsetType = UNSET
    time: Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["02:30"])] | UnsetType = UNSET
    day: Annotated[int, Meta(ge=1, le=28)] | UnsetType = UNSET
    timezone: (
        Annotated[str, Meta(examples=["America/Toronto"], extra_json_schema={"format": "timezone"})] | UnsetType
    ) = UNSET
    paused: bool | UnsetType = UNSET


class ImportVolumeImage(_Request, frozen=True):
    """The image that is to be imported: its size, and of which volume it is, which may be gone. Without one there
    is a new volume, of that name and type.
    """

    size_bytes: Annotated[int, Meta(ge=1, le=MAX_IMAGE_BYTES, examples=[10485760])]
    volume_id: Uuid | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    volume: Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARS, examples=["disk.raw"])] | UnsetType = UNSET
    volume_type: Literal["ROOT", "DATADISK"] | UnsetType = UNSET


class CompleteUpload(_Request, frozen=True):
    """The digest that the image must have, as an export tells it."""

    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | UnsetType = UNSET

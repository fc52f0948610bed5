"""Models of requests' bodies, with the limits that the parsers hold them to."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.cloudca.answers import Uuid
from tidemark.dialects.cloudca.requests import MAX_DESCRIPTION_CHARS
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
    description: Annotated[str, Meta(max_length=MAX_DESCRIPTION_CHARS)] | UnsetType = UNSET

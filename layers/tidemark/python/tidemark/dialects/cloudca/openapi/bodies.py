"""Models of requests' bodies, with the limits that the parsers hold them to."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.cloudca.answers import Uuid
from tidemark.dialects.cloudca.schedules import Day, IntervalWord, Keep, Minute, Time
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


class CreateVolumeSchedule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Of which volume snapshots are to be taken, when, and how many stay. An hourly schedule has a `minute`, others a
    `time`; weekly and monthly ones need a `day`.
    """

    volume_id: Uuid
    interval_type: IntervalWord
    keep: Keep
    minute: Minute | UnsetType = UNSET
    time: Time | UnsetType = UNSET
    day: Day | UnsetType = UNSET
    timezone: Annotated[str, Meta(description="UTC unless given.", examples=["America/Toronto"])] | UnsetType = UNSET

"""Models of requests' bodies, with the limits that the parsers beside the renderers hold them to.

The parsers do not use them: a sentence that names the wrong member says more than a decoder's. Tests hold both
against each other.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.ngsi.batch import ACTIONS, MAX_ENTITIES
from tidemark.dialects.ngsi.imports import FILE_NAME, SHA256
from tidemark.dialects.ngsi.openapi.forms import ATTRIBUTE_NAME, ref
from tidemark.dialects.ngsi.openapi.operation import Schema
from tidemark.dialects.ngsi.openapi.parameters import IDENTIFIER, IDENTIFIERS, MOMENT, PATH, PATTERN, QUERY
from tidemark.dialects.ngsi.restore_filter import MAX_ATTRIBUTES
from tidemark.dialects.ngsi.retention import RetentionBody
from tidemark.dialects.ngsi.selection import MAX_DESCRIPTIONS
from tidemark.dialects.ngsi.snapshot_metadata import CONTROL_CHARS, LABEL_KEY
from tidemark.dialects.ngsi.times import DURATION_PATTERN
from tidemark.domain.restore import Mode
from tidemark.domain.schedule import MAX_WINDOW_MINUTES, MIN_WINDOW_MINUTES, Overlap
from tidemark.domain.schedule_expression import MAX_EXPRESSION_CHARS
from tidemark.domain.snapshot import MAX_DESCRIPTION_CHARS, MAX_LABEL_VALUE_CHARS, MAX_LABELS
from tidemark.engine.transfer.plans import MAX_FILE_BYTES, MAX_FILES

_PRINTABLE: Final = f"^[^{CONTROL_CHARS}]*$"

Description = Annotated[
    str, Meta(max_length=MAX_DESCRIPTION_CHARS, pattern=_PRINTABLE, examples=["Pre-deployment backup"])
]
LabelKey = Annotated[str, Meta(pattern=f"^{LABEL_KEY}$")]
LabelValue = Annotated[str, Meta(max_length=MAX_LABEL_VALUE_CHARS, pattern=_PRINTABLE)]
Labels = Annotated[dict[LabelKey, LabelValue], Meta(max_length=MAX_LABELS, examples=[{"env": "staging"}])]
Lifetime = Annotated[
    str,
    Meta(
        description="An ISO 8601 duration in weeks, days, hours, minutes and seconds: a minute to 3650 days.",
        pattern=f"^{DURATION_PATTERN}$",
        examples=["P30D"],
        extra_json_schema={"format": "lifetime"},
    ),
]
ScheduleExpression = Annotated[
    str,
    Meta(
        description="As EventBridge Scheduler has it: `rate(...)`, `cron(...)` or `at(...)`.",
        max_length=MAX_EXPRESSION_CHARS,
        pattern="^(rate|cron|at)[(].+[)]$",
        examples=["cron(0 2 * * ? *)"],
        extra_json_schema={"format": "schedule-expression"},
    ),
]
Timezone = Annotated[
    str,
    Meta(description="An IANA name.", examples=["Europe/Paris"], extra_json_schema={"format": "timezone"}),
]
WindowMinutes = Annotated[
    int,
    Meta(description="Within which a backup begins.", ge=MIN_WINDOW_MINUTES, le=MAX_WINDOW_MINUTES),
]
DescriptionTemplate = Annotated[
    str,
    Meta(
        description="What snapshots are called. Placeholders are `{tenant}`, `{date}` and `{interval}`.",
        max_length=MAX_DESCRIPTION_CHARS,
        pattern=f"^([^{{}}{CONTROL_CHARS}]|[{{](tenant|date|interval)[}}])*$",
        examples=["{interval} backup of {date}"],
    ),
]
IntervalWanted = Annotated[
    Literal["hourly", "daily", "weekly", "monthly"],
    Meta(description="The type of the snapshots. What the expression says, unless given."),
]
OverlapWanted = Annotated[
    Overlap, Meta(description="What becomes of a backup that is due while the last one goes on: `skip` unless given.")
]
Identifier = Annotated[str, Meta(extra_json_schema=IDENTIFIER)]
Pattern = Annotated[str, Meta(extra_json_schema=PATTERN)]
Query = Annotated[str, Meta(extra_json_schema=QUERY)]
AnyEntity = Annotated[dict[str, Any], Meta(extra_json_schema={"anyOf": [ref("Entity"), ref("EntityValues")]})]
TenantName = Annotated[str, Meta(pattern="^[A-Za-z0-9_]{1,50}$", examples=["staging"])]
Number = Annotated[int, Meta(ge=0)]
FileBytes = Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)]
Sha256 = Annotated[str, Meta(pattern=f"^{SHA256}$")]
AttributeName = Annotated[str, Meta(extra_json_schema=ATTRIBUTE_NAME)]


class _Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A body whose members are all known and may be left out."""


class _Answered(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of a body that may be what an answer held, so members that are not needed do no harm."""


class CreateSnapshot(_Request, frozen=True):
    """What a new snapshot is to be called, and how long it is wanted."""

    description: Description | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    expires_in: Lifetime | UnsetType = UNSET


class UpdateSnapshot(_Request, frozen=True):
    """What to change of a snapshot; null takes away."""

    description: Description | UnsetType | None = UNSET
    labels: Labels | UnsetType | None = UNSET
    expires_in: Lifetime | UnsetType | None = UNSET
    expires_at: Annotated[str, Meta(extra_json_schema=MOMENT)] | UnsetType | None = UNSET
    pinned: Annotated[bool, Meta(description="Neither deleted nor expired while it is.")] | UnsetType | None = UNSET
    legal_hold: (
        Annotated[bool, Meta(description="Places or lifts a legal hold. Comes alone; the key must be made for `hold`.")]
        | UnsetType
        | None
    ) = UNSET


class NoMembers(_Request, frozen=True):
    """A body without members, which may as well be left out."""


class CopySnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which tenant is to have the copy, and what it is to be called: as its source unless said."""

    service: TenantName
    description: Description | UnsetType = UNSET


class FileToImport(_Answered, frozen=True):
    """A file of zstd, gzip or plain text: lines of entities or of an export, or a JSON array of entities."""

    size_bytes: FileBytes
    name: Annotated[str, Meta(pattern=f"^{FILE_NAME}$")] | UnsetType = UNSET
    sha256: Sha256 | UnsetType | None = UNSET
    records: Number | UnsetType | None = UNSET


class ExportManifest(_Answered, frozen=True):
    """What an export answered, with all of its parts. Their numbers of records add up to `records`."""

    format: Literal["tidemark-export"]
    version: Literal[1]
    records: Number
    digest: Sha256
    parts: Annotated[list[FileToImport], Meta(max_length=MAX_FILES)]
    part_count: Number | UnsetType = UNSET


class OpenImport(_Request, frozen=True):
    """What is to be imported: one file of so many bytes, several files, or the files of an export."""

    size_bytes: FileBytes | UnsetType = UNSET
    files: Annotated[list[FileToImport], Meta(min_length=1, max_length=MAX_FILES)] | UnsetType = UNSET
    manifest: ExportManifest | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    service_path: Annotated[str, Meta(extra_json_schema=PATH)] | UnsetType = UNSET


class RestoreTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tenant that a restore goes into."""

    service: TenantName


class RestoreFilter(_Request, frozen=True):
    """Which entities, or attributes of entities, become as they were. All that is given must hold."""

    id: Annotated[str, Meta(extra_json_schema=IDENTIFIERS)] | UnsetType = UNSET
    id_pattern: Pattern | UnsetType = UNSET
    type: Annotated[str, Meta(extra_json_schema=IDENTIFIERS)] | UnsetType = UNSET
    type_pattern: Pattern | UnsetType = UNSET
    q: Query | UnsetType = UNSET
    attrs: Annotated[list[AttributeName], Meta(min_length=1, max_length=MAX_ATTRIBUTES)] | UnsetType = UNSET


class RestoreSnapshot(_Request, frozen=True):
    """How to restore. A plan, which a dry run gave, says what is to be restored, so the others are left out then."""

    mode: Mode | UnsetType = UNSET
    target: RestoreTarget | UnsetType = UNSET
    filter: RestoreFilter | UnsetType = UNSET
    dry_run: bool | UnsetType = UNSET
    plan: Annotated[str, Meta(examples=["plan_0123456789abcdef0123456789abcdef"])] | UnsetType = UNSET
    safety_snapshot: (
        Annotated[bool, Meta(description="Whether to keep what is replaced. True unless said.")] | UnsetType
    ) = UNSET


class _Schedule(_Request, frozen=True):
    """What can be said of a schedule, whether it is made or changed."""

    expression: ScheduleExpression | UnsetType = UNSET
    timezone: Timezone | UnsetType = UNSET
    window_minutes: WindowMinutes | UnsetType | None = UNSET
    description: DescriptionTemplate | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    interval: IntervalWanted | UnsetType | None = UNSET
    retention: RetentionBody | UnsetType | None = UNSET
    overlap: OverlapWanted | UnsetType = UNSET
    paused: bool | UnsetType = UNSET


class CreateSchedule(_Schedule, frozen=True):
    """When backups are made, what they are called, and what is kept of them."""

    expression: ScheduleExpression


class UpdateSchedule(_Schedule, frozen=True):
    """What to change of a schedule; null takes away."""


class PreviewRetention(_Request, frozen=True):
    """Another policy to try than the schedule's own."""

    retention: RetentionBody | UnsetType = UNSET


class BatchUpdate(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One action on many entities."""

    action_type: Annotated[str, Meta(extra_json_schema={"enum": list(ACTIONS)})]
    entities: Annotated[list[AnyEntity], Meta(min_length=1, max_length=MAX_ENTITIES)]


class EntitiesWanted(_Request, frozen=True):
    """Entities by their names: an id or a pattern of ids, and perhaps a type or a pattern of types."""

    id: Identifier | UnsetType = UNSET
    id_pattern: Pattern | UnsetType = UNSET
    type: Identifier | UnsetType = UNSET
    type_pattern: Pattern | UnsetType = UNSET


class Expression(_Request, frozen=True):
    """Conditions on attributes and metadata. Geographical ones are not supported."""

    q: Query | UnsetType = UNSET
    mq: Query | UnsetType = UNSET


class BatchQuery(_Request, frozen=True):
    """A query in a body."""

    entities: Annotated[list[EntitiesWanted], Meta(max_length=MAX_DESCRIPTIONS)] | UnsetType = UNSET
    attrs: list[Annotated[str, Meta(min_length=1)]] | UnsetType = UNSET
    expression: Expression | UnsetType = UNSET
    metadata: list[Annotated[str, Meta(min_length=1)]] | UnsetType = UNSET


_NOT_BOTH_NAMES: Final[list[Schema]] = [
    {"not": {"required": ["id", "idPattern"]}},
    {"not": {"required": ["type", "typePattern"]}},
]
# What models can't say of members that concern each other.
RULES: Final[dict[str, Schema]] = {
    "UpdateSnapshot": {
        "minProperties": 1,
        "not": {"required": ["expiresAt", "expiresIn"]},
        "anyOf": [{"not": {"required": ["legalHold"]}}, {"maxProperties": 1}],
    },
    "UpdateSchedule": {"minProperties": 1},
    "RetentionBody": {"minProperties": 1},
    "OpenImport": {"oneOf": [{"required": [name]} for name in ("sizeBytes", "files", "manifest")]},
    "RestoreFilter": {"minProperties": 1, "allOf": _NOT_BOTH_NAMES},
    "EntitiesWanted": {"anyOf": [{"required": ["id"]}, {"required": ["idPattern"]}], "allOf": _NOT_BOTH_NAMES},
    "RestoreSnapshot": {
        "anyOf": [
            {"not": {"required": ["plan"]}},
            {
                "properties": {"dryRun": {"const": False}},
                "not": {"anyOf": [{"required": [name]} for name in ("filter", "mode", "target")]},
            },
        ]
    },
}

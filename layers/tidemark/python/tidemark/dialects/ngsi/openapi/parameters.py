"""The parameters and headers that routes share, with the limits that the parsers have."""

from typing import Final

from tidemark.dialects.idempotency import HEADER as IDEMPOTENCY_KEY
from tidemark.dialects.idempotency import MAX_KEY_CHARS
from tidemark.dialects.ngsi import parameters as paging
from tidemark.dialects.ngsi.openapi.operation import Parameter, Schema
from tidemark.dialects.ngsi.patterns import MAX_PATTERN_CHARS
from tidemark.dialects.ngsi.query_language import MAX_QUERY_CHARS
from tidemark.dialects.ngsi.service_path import HEADER as SERVICE_PATH
from tidemark.dialects.ngsi.service_path import MAX_SCOPES
from tidemark.dialects.ngsi.syntax import MAX_IDENTIFIER_CHARS
from tidemark.dialects.ngsi.times import INSTANT_PATTERN

_IDENTIFIER_CHARS: Final = r"!$%*+\-.0-9:@A-Z\[\\\]^_`a-z{|}~"
_STEP: Final = "(/[A-Za-z0-9_]{1,50}){1,10}/?"
_PATH: Final = f"(/|{_STEP})"
_SCOPE: Final = f"({_PATH}|({_STEP})?/#)"
_PATHS: Final = f"{_SCOPE}( *, *{_SCOPE}){{0,{MAX_SCOPES - 1}}}"
_STAMP: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}Z(-[1-9][0-9]{0,5})?"
SNAPSHOT, _RESTORE, _PLAN = f"snapshot_{_STAMP}", f"restore_{_STAMP}", "plan_[0-9a-f]{32}"
SCHEDULE: Final = "schedule_[0-9a-f]{16}"
_FREE: Final = "^[^<>\"'=;()]+$"


def text(pattern: str | None = None, **limits: object) -> Schema:
    """A string that the whole pattern fits, within limits of JSON Schema."""
    return {"type": "string"} | ({} if pattern is None else {"pattern": f"^{pattern}$"}) | limits


def words(*known: str) -> Schema:
    """A list of known words."""
    return {"type": "array", "items": {"type": "string", "enum": list(known)}}


IDENTIFIER: Final = text(f"[{_IDENTIFIER_CHARS},]{{1,{MAX_IDENTIFIER_CHARS}}}")
IDENTIFIERS: Final = text(
    rf"[{_IDENTIFIER_CHARS}]{{1,{MAX_IDENTIFIER_CHARS}}}(,[{_IDENTIFIER_CHARS}]{{1,{MAX_IDENTIFIER_CHARS}}})*"
)
PATTERN: Final = text(minLength=1, maxLength=MAX_PATTERN_CHARS, format="re2")
QUERY: Final = text(minLength=1, maxLength=MAX_QUERY_CHARS, format="ngsi-query")
MOMENT: Final = text(f"({INSTANT_PATTERN})")

PATH: Final = text(_PATH)

TENANT: Final = Parameter(
    "FiwareService",
    "Fiware-Service",
    "header",
    text("[A-Za-z0-9_]{1,50}", default="default"),
    "The tenant. Capitals are lowered.",
    "smartcity",
)
CORRELATOR: Final = Parameter(
    "FiwareCorrelator",
    "Fiware-Correlator",
    "header",
    text(),
    "Stands in every log line of the request and is echoed; one is made if it is left out or can't be one.",
    "7c1f6a52-5f0a-4d0e-9b7e-2f7a3c9d1e60",
)
READ_PATHS: Final = Parameter(
    "ServicePathsRead",
    SERVICE_PATH,
    "header",
    text(_PATHS),
    f"Up to {MAX_SCOPES} service paths, separated by commas; one that ends in /# means everything below, too. "
    "All of them if it is left out.",
    "/city/#",
)
WRITTEN_PATH: Final = Parameter(
    "ServicePathWritten", SERVICE_PATH, "header", PATH | {"default": "/"}, "The service path written to.", "/city"
)
IDEMPOTENCY: Final = Parameter(
    "IdempotencyKey",
    IDEMPOTENCY_KEY,
    "header",
    text(f"[!-~]([ -~]{{0,{MAX_KEY_CHARS - 2}}}[!-~])?"),
    "The same key with the same body within 24 hours gets the same answer, and nothing is done twice.",
    "0d9f2c3e-6a41-4c7e-9a34-3f5f9f0a7d11",
)
TYPES: Final = Parameter("Types", "type", "query", IDENTIFIERS, "Types, separated by commas.", "Room")
LIMIT: Final = Parameter(
    "Limit",
    "limit",
    "query",
    {"type": "integer", "minimum": 0, "maximum": paging.MAX_LIMIT, "default": paging.DEFAULT_LIMIT},
    "How many at most; 0 with `options=count` alone, for the count and nothing else.",
)
OFFSET: Final = Parameter(
    "Offset",
    "offset",
    "query",
    {"type": "integer", "minimum": 0, "maximum": paging.MAX_OFFSET, "default": 0},
    "How many of the first to leave out.",
)
COUNT: Final = Parameter(
    "Count", "options", "query", text(), "`count` asks for the header Fiware-Total-Count.", "count"
)
PAGE: Final = (LIMIT, OFFSET)
SINCE: Final = Parameter("From", "from", "query", MOMENT, "The first moment, or date.", "2026-01-15T00:00:00Z")
BEFORE: Final = Parameter("To", "to", "query", MOMENT, "The moment, or date, before which.", "2026-02-15T00:00:00Z")
TYPE: Final = Parameter(
    "Type", "type", "query", IDENTIFIER, "The entity's type, where the same id is there under several.", "Room"
)
ATTRS: Final = Parameter(
    "Attrs", "attrs", "query", text(_FREE[1:-1]), "The attributes to show, in that order; `*` is all.", "temperature"
)
METADATA: Final = Parameter(
    "Metadata", "metadata", "query", text(_FREE[1:-1]), "The metadata to show, in that order; `*` is all.", "accuracy"
)
FORMS: Final = ("normalized", "keyValues", "values", "unique")
SHOWN: Final = Parameter(
    "EntityOptions",
    "options",
    "query",
    words("count", *FORMS),
    "The representation (one of normalized, keyValues, values, unique), and `count` in lists.",
    "keyValues",
)
SELECTION: Final = (
    Parameter("Ids", "id", "query", IDENTIFIERS, "Ids, separated by commas.", "Room1"),
    TYPES,
    Parameter("IdPattern", "idPattern", "query", PATTERN, "A regular expression (RE2) for ids; excludes id.", "^Room"),
    Parameter(
        "TypePattern", "typePattern", "query", PATTERN, "A regular expression (RE2) for types; excludes type.", "^R"
    ),
    Parameter("Q", "q", "query", QUERY, "A query in NGSIv2's Simple Query Language.", "temperature>20"),
    Parameter("Mq", "mq", "query", QUERY, "The same for metadata.", "temperature.accuracy<1"),
    Parameter(
        "OrderBy",
        "orderBy",
        "query",
        text(_FREE[1:-1]),
        "What to sort by; `!` before one that descends.",
        "!temperature",
    ),
)
IN_PATH: Final = {
    one.name: one
    for one in (
        Parameter("SnapshotId", "snapshotId", "path", text(SNAPSHOT), "A snapshot.", "snapshot_2026-01-15T10-00-00Z"),
        Parameter("RestoreId", "restoreId", "path", text(_RESTORE), "A restore.", "restore_2026-01-15T10-05-00Z"),
        Parameter("PlanId", "planId", "path", text(_PLAN), "A plan.", "plan_0123456789abcdef0123456789abcdef"),
        Parameter("ScheduleId", "scheduleId", "path", text(SCHEDULE), "A schedule.", "schedule_9f86d081884c7d65"),
        Parameter("EntityId", "entityId", "path", IDENTIFIER, "An entity's id, percent-encoded.", "Room1"),
        Parameter("AttrName", "attrName", "path", IDENTIFIER, "An attribute's name.", "temperature"),
        Parameter("TypeName", "typeName", "path", IDENTIFIER, "An entity type.", "Room"),
    )
}
"""By the name in the path. A path with a new variable needs it here."""

HEADERS: Final[dict[str, Schema]] = {
    "Fiware-Correlator": {"description": "What was sent, or what was made.", "schema": {"type": "string"}},
    "Fiware-Total-Count": {
        "description": "How many there are in all, if `options=count` asked.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "Location": {"description": "Where the thing is that this is about.", "schema": {"type": "string"}},
    "Retry-After": {"description": "After how many seconds to try again.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "How to send a key.", "schema": {"type": "string", "const": "Bearer"}},
    "ETag": {"description": "The version of the document.", "schema": {"type": "string"}},
    "Cache-Control": {"description": "How long it may be kept.", "schema": {"type": "string"}},
    "Content-Security-Policy": {"description": "What the page may load: nothing.", "schema": {"type": "string"}},
}

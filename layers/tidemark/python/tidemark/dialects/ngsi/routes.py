"""Which methods the NGSIv2 paths have, and what a key needs for each. A test holds the table against template.yaml."""

from typing import Final

from tidemark.domain.api_key import Action
from tidemark.errors import MethodNotAllowed, RouteNotFound, TidemarkError

METHODS: Final[dict[str, tuple[str, ...]]] = {
    "/health": ("GET",),
    "/openapi.json": ("GET",),
    "/docs": ("GET",),
    "/version": ("GET",),
    "/v2": ("GET",),
    "/v2/entities": ("GET", "POST"),
    "/v2/entities/{entityId}": ("GET", "DELETE"),
    "/v2/entities/{entityId}/attrs": ("GET", "POST", "PATCH", "PUT"),
    "/v2/entities/{entityId}/attrs/{attrName}": ("GET", "PUT", "DELETE"),
    "/v2/entities/{entityId}/attrs/{attrName}/value": ("GET", "PUT"),
    "/v2/entities/{entityId}/history": ("GET",),
    "/v2/op/update": ("POST",),
    "/v2/op/query": ("POST",),
    "/v2/types": ("GET",),
    "/v2/types/{typeName}": ("GET",),
    "/v2/subscriptions": ("GET", "POST"),
    "/v2/registrations": ("GET", "POST"),
    "/v2/snapshots": ("GET", "POST"),
    "/v2/snapshots/import": ("POST",),
    "/v2/snapshots/{snapshotId}": ("GET", "PATCH", "DELETE"),
    "/v2/snapshots/{snapshotId}/restore": ("POST",),
    "/v2/snapshots/{snapshotId}/verify": ("POST",),
    "/v2/snapshots/{snapshotId}/undelete": ("POST",),
    "/v2/snapshots/{snapshotId}/copy": ("POST",),
    "/v2/snapshots/{snapshotId}/export": ("GET", "DELETE"),
    "/v2/snapshots/{snapshotId}/import": ("GET", "POST"),
    "/v2/plans/{planId}": ("GET",),
    "/v2/snapshots/{snapshotId}/entities": ("GET",),
    "/v2/snapshots/{snapshotId}/entities/{entityId}": ("GET",),
    "/v2/snapshots/{snapshotId}/diff": ("GET",),
    "/v2/restores": ("GET",),
    "/v2/restores/{restoreId}": ("GET", "DELETE"),
    "/v2/schedules": ("GET", "POST"),
    "/v2/schedules/{scheduleId}": ("GET", "PATCH", "DELETE"),
    "/v2/schedules/{scheduleId}/retention/preview": ("POST",),
}

OPEN: Final = frozenset({"GET /health", "GET /openapi.json", "GET /docs"})
"""What takes no key and knows no tenant."""
READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_READING_ROUTES: Final = frozenset({"/v2/op/query", "/v2/schedules/{scheduleId}/retention/preview"})
"""What only reads, though its method does not say so."""


def refusal(method: str, route: str) -> TidemarkError:
    """Why a request that no function serves is refused: its path does not exist, or not with this method."""
    allowed = METHODS.get(route)
    if allowed is None:
        return RouteNotFound(
            "no such path; begin with /v2/entities, /v2/types, /v2/op, /v2/snapshots, /v2/restores or /v2/schedules"
        )
    return MethodNotAllowed(f"{route} does not accept {method}; it accepts {', '.join(allowed)}", allow=allowed)


def action(method: str, route: str) -> Action:
    """What a key must be made for to call a route. A path that does not exist needs what reading needs."""
    if route.endswith("/import"):
        # Its GET gives out addresses under which files of a snapshot are stored.
        return Action.SNAPSHOT
    if method in READING_METHODS or route in _READING_ROUTES or route not in METHODS:
        return Action.READ
    if route.endswith("/restore") or route.startswith("/v2/restores"):
        return Action.RESTORE
    return Action.SNAPSHOT if route.startswith(("/v2/snapshots", "/v2/schedules")) else Action.WRITE

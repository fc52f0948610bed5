"""The body of a restore request in the NGSIv2 vocabulary; apart from the answers, which most functions need alone."""

from typing import Any, Final, NamedTuple

from tidemark.dialects.ngsi import restore_filter
from tidemark.dialects.ngsi.parameters import json_type, members
from tidemark.domain.restore import Mode
from tidemark.domain.tenant import Tenant, parse_tenant
from tidemark.errors import InvalidRequest
from tidemark.usecases.restore_snapshot import Wish

_MODES: Final = frozenset(Mode)
_PLANNED_MEMBERS: Final = ("filter", "mode", "target")
_MEMBERS: Final = (*_PLANNED_MEMBERS, "dryRun", "plan", "safetySnapshot")


class RestoreWanted(NamedTuple):
    """What a restore request asks for: to carry out `wish`, or with `dry_run` only to say what that would do. `plan` is
    the id of what a dry run said; then the wish is that one's.
    """

    wish: Wish
    dry_run: bool = False
    plan: str | None = None


def parse_restore(document: object) -> RestoreWanted:
    """The body of a restore request. Raises InvalidRequest naming the member that is wrong."""
    wanted = members(document, _MEMBERS)
    mode, plan = wanted.get("mode", "replace"), wanted.get("plan")
    safety, dry_run = _flag(wanted, "safetySnapshot", default=True), _flag(wanted, "dryRun", default=False)
    if not isinstance(mode, str) or mode not in _MODES:
        raise InvalidRequest(
            f"the member 'mode' must be 'replace' or 'merge'; it is {json_type(mode)}"
            + (f", {mode[:40]!r}" if isinstance(mode, str) else "")
        )
    if "plan" in wanted and (not isinstance(plan, str) or dry_run):
        raise InvalidRequest("the member 'plan' must be the id that a dry run gave, a string, and excludes 'dryRun'")
    if plan is not None and (said := [name for name in _PLANNED_MEMBERS if name in wanted]):
        raise InvalidRequest(f"the plan says what is to be restored; leave out {', '.join(map(repr, said))}")
    wish = Wish(
        target=_target(wanted["target"]) if "target" in wanted else None,
        mode=Mode(mode),
        selection=restore_filter.accept(wanted["filter"]) if "filter" in wanted else None,
        safety_snapshot=safety,
    )
    return RestoreWanted(wish, dry_run=dry_run, plan=plan)


def _flag(wanted: dict[str, Any], name: str, *, default: bool) -> bool:
    given = wanted.get(name, default)
    if not isinstance(given, bool):
        raise InvalidRequest(f"the member {name!r} must be true or false; it is {json_type(given)}")
    return given


def _target(given: object) -> Tenant:
    # An empty name would mean the default tenant, which nobody restores into by leaving a name out.
    if not isinstance(given, dict) or list(given) != ["service"] or not given["service"]:
        raise InvalidRequest("the member 'target' must be an object with the member 'service', the name of a tenant")
    if not isinstance(given["service"], str):
        raise InvalidRequest(f"the member 'service' must be the name of a tenant; it is {json_type(given['service'])}")
    return parse_tenant(given["service"])

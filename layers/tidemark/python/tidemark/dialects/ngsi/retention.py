"""Retention in the NGSIv2 vocabulary: policies and time zones in the bodies of requests, and decisions in answers.

Source: ISO 8601 for durations, IANA for time zones; `domain.retention` says what the rules mean.
"""

import re
from typing import Any, Final
from zoneinfo import ZoneInfo

from tidemark.dialects.ngsi.parameters import json_type
from tidemark.dialects.ngsi.snapshots import seconds
from tidemark.dialects.ngsi.times import parse_lifetime
from tidemark.domain.periods import Period
from tidemark.domain.retention import MAX_COUNT, Decision, RetentionPolicy, Rule, duration_text
from tidemark.errors import InvalidRequest

_EXAMPLE: Final = '{"daily": 7}'
_WITHIN: Final = "keepWithin"
# The member that holds each count, and the field of the policy that it is.
_COUNTS: Final = {"keepLast": "last", **{period.value: period.value for period in Period}}
MEMBERS: Final = ("keepLast", _WITHIN, *(period.value for period in Period))
_RULES: Final = {
    Rule.LAST: "keepLast",
    Rule.WITHIN: _WITHIN,
    Rule.EXPIRY: "expiresAt",
    Rule.PIN: "pinned",
    Rule.HOLD: "legalHold",
    Rule.USE: "inUse",
    Rule.LAST_COMPLETED: "lastCompleted",
}
# Without what else a machine's database holds beside the zones, such as `posix/...`, `right/...` and `localtime`.
_ZONE: Final = re.compile(r"(?!Factory$)[A-Z][A-Za-z0-9_+-]{1,31}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")


def parse_policy(value: object, name: str = "retention", *, every: Period | None = None) -> RetentionPolicy:
    """A policy such as `{"keepLast": 3, "daily": 7, "keepWithin": "P2D"}`. `name` is the member that holds it.

    `every`: how often the schedule that it is for makes a snapshot; a rule for shorter periods contradicts that. Raises
    InvalidRequest naming what is wrong: no member or an unknown one, a count that is no whole number from 1, a duration
    in months or years.
    """
    if not isinstance(value, dict):
        raise InvalidRequest(f"the member {name!r} must be an object such as {_EXAMPLE}; it is {json_type(value)}")
    for member in value:
        if member not in MEMBERS:
            raise InvalidRequest(f"{name} has the unknown member {member[:100]!r}; known are: {', '.join(MEMBERS)}")
    if not value:
        raise InvalidRequest(
            f"the member {name!r} is empty, which would keep nothing; give it one or more of {', '.join(MEMBERS)}"
        )
    _refuse_shorter(value, name, every)
    counts = {field: _count(value[member], f"{name}.{member}") for member, field in _COUNTS.items() if member in value}
    within = parse_lifetime(value[_WITHIN], f"the member '{name}.{_WITHIN}'") if _WITHIN in value else None
    return RetentionPolicy(within=within, **counts)


def policy_document(policy: RetentionPolicy) -> dict[str, Any]:
    """The policy as requests and answers have it: what `parse_policy` reads."""
    counts = {"keepLast": policy.last, **{period.value: policy.count(period) for period in Period}}
    within = None if policy.within is None else duration_text(policy.within)
    said = {**counts, _WITHIN: within}
    return {member: said[member] for member in MEMBERS if said[member] is not None}


def parse_zone(value: object, name: str = "timezone") -> ZoneInfo:
    """An IANA time zone such as `Europe/Paris` or `UTC`. `name` is the member that holds it. Raises InvalidRequest."""
    if not isinstance(value, str):
        raise InvalidRequest(f"the member {name!r} must be a string such as 'Europe/Paris'; it is {json_type(value)}")
    if _ZONE.fullmatch(value) is not None:
        try:
            return ZoneInfo(value)
        except (KeyError, OSError, ValueError):
            # No such file; a folder, such as Europe; a file that is no zone.
            pass
    raise InvalidRequest(
        f"the member {name!r} must be an IANA time zone such as 'Europe/Paris' or 'UTC', in exactly these letters; "
        f"{value[:64]!r} is none"
    )


def rows(decisions: tuple[Decision, ...]) -> list[dict[str, Any]]:
    """A row for each snapshot, in the given order: `id`, `createdAt`, `decision` (`keep`, `forget` or `leave`) and
    `reasons`, each of these a `rule` for machines and a `text` for people.
    """
    return [
        {
            "id": decision.candidate.id,
            "createdAt": seconds(decision.candidate.created_at),
            "decision": decision.verdict.value,
            "reasons": [
                {"rule": _RULES.get(reason.rule, reason.rule.value), "text": reason.sentence}
                for reason in decision.reasons
            ],
        }
        for decision in decisions
    ]


def _refuse_shorter(policy: dict[str, Any], name: str, every: Period | None) -> None:
    for period in Period:
        if every is not None and period in policy and period.shorter_than(every):
            raise InvalidRequest(
                f"the member '{name}.{period}' contradicts a schedule that makes {every} snapshots: "
                f"there are no {period} ones to keep; use 'keepLast' or '{every}'"
            )


def _count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        shown = "a fraction" if isinstance(value, float) else json_type(value)
        raise InvalidRequest(f"the member {name!r} must be a whole number, 1 to {MAX_COUNT}; it is {shown}")
    if value == 0:
        raise InvalidRequest(f"the member {name!r} is 0, which keeps nothing; leave it out, or give it 1 at least")
    if not 1 <= value <= MAX_COUNT:
        than = "negative" if value < 0 else "larger"
        raise InvalidRequest(f"the member {name!r} must be a whole number, 1 to {MAX_COUNT}; it is {than}")
    return value

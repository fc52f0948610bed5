"""Retention in the NGSIv2 vocabulary: policies in the bodies of requests, and decisions in answers.

`domain.retention` says what the rules mean.
"""

from typing import Any, Final

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

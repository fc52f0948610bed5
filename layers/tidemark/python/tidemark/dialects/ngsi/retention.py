"""Retention in the NGSIv2 vocabulary: policies in the bodies of requests, and decisions in answers.

`domain.retention` says what the rules mean.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.ngsi.parameters import json_type
from tidemark.dialects.ngsi.snapshots import Seconds, SnapshotName, seconds
from tidemark.dialects.ngsi.times import DURATION_PATTERN, parse_lifetime
from tidemark.dialects.wire import or_unset
from tidemark.domain.interval import IntervalType
from tidemark.domain.periods import Period
from tidemark.domain.retention import MAX_COUNT, Decision, RetentionPolicy, Rule, Verdict, duration_text
from tidemark.domain.snapshot import SnapshotId
from tidemark.errors import InvalidRequest
from tidemark.usecases.preview_retention import Shown

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
_Kept = Annotated[int, Meta(ge=1, le=MAX_COUNT)]


class RetentionBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What to keep of a schedule's snapshots: the last so many, those of so long before the newest, and the newest of
    so many hours, days, weeks, months and years. Rules add up; a policy has one at least.
    """

    keep_last: _Kept | UnsetType = UNSET
    keep_within: (
        Annotated[
            str,
            Meta(
                description="An ISO 8601 duration in weeks, days, hours, minutes and seconds: a minute to 3650 days.",
                pattern=f"^{DURATION_PATTERN}$",
                examples=["P2D"],
                extra_json_schema={"format": "lifetime"},
            ),
        ]
        | UnsetType
    ) = UNSET
    hourly: _Kept | UnsetType = UNSET
    daily: _Kept | UnsetType = UNSET
    weekly: _Kept | UnsetType = UNSET
    monthly: _Kept | UnsetType = UNSET
    yearly: _Kept | UnsetType = UNSET


class ReasonBody(msgspec.Struct, frozen=True):
    """Why: a word for programs and a sentence for people."""

    rule: Annotated[str, Meta(extra_json_schema={"enum": sorted(_RULES.get(rule, rule.value) for rule in Rule)})]
    text: str


class DecisionBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What becomes of a snapshot. `leave`: the policy does not concern it."""

    id: SnapshotName
    created_at: Seconds
    description: str
    interval: IntervalType
    decision: Verdict
    reasons: list[ReasonBody]


def parse_policy(value: object, name: str = "retention") -> RetentionPolicy:
    """A policy such as `{"keepLast": 3, "daily": 7, "keepWithin": "P2D"}`. `name` is the member that holds it.

    Whether it contradicts a schedule, `domain.schedule` knows. Raises InvalidRequest naming what is wrong: no member or
    an unknown one, a count that is no whole number from 1, a duration in months or years.
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
    counts = {field: _count(value[member], f"{name}.{member}") for member, field in _COUNTS.items() if member in value}
    within = parse_lifetime(value[_WITHIN], f"the member '{name}.{_WITHIN}'") if _WITHIN in value else None
    return RetentionPolicy(within=within, **counts)


def policy_body(policy: RetentionPolicy) -> RetentionBody:
    """The policy as requests and answers have it: what `parse_policy` reads."""
    return RetentionBody(
        keep_last=or_unset(policy.last),
        keep_within=UNSET if policy.within is None else duration_text(policy.within),
        hourly=or_unset(policy.hourly),
        daily=or_unset(policy.daily),
        weekly=or_unset(policy.weekly),
        monthly=or_unset(policy.monthly),
        yearly=or_unset(policy.yearly),
    )


def rows(decisions: Iterable[Decision], shown: Mapping[SnapshotId, Shown]) -> list[DecisionBody]:
    """A row for each snapshot, in the given order. `shown` says what each is called."""
    return [
        DecisionBody(
            id=decision.candidate.id,
            created_at=seconds(decision.candidate.created_at),
            description=shown[decision.candidate.id].description,
            interval=shown[decision.candidate.id].interval,
            decision=decision.verdict,
            reasons=[
                ReasonBody(_RULES.get(reason.rule, reason.rule.value), reason.sentence) for reason in decision.reasons
            ],
        )
        for decision in decisions
    ]


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

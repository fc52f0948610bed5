"""Retention policies are read, or refused with what to do instead; decisions are rows for answers."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemark.dialects.ngsi.retention import MEMBERS, parse_policy, policy_body, rows
from tidemark.domain.interval import IntervalType
from tidemark.domain.retention import MAX_COUNT, Candidate, Decision, RetentionPolicy, Rule, decide, made_by
from tidemark.domain.snapshot import SnapshotStatus, snapshot_id
from tidemark.errors import InvalidRequest
from tidemark.usecases.preview_retention import Shown

NOW = datetime(2026, 3, 10, tzinfo=UTC)
KNOWN = "keepLast, keepWithin, hourly, daily, weekly, monthly, yearly"
DURATION = (
    "an ISO 8601 duration in whole weeks, days, hours, minutes and seconds, such as P30D or PT12H "
    "(a month or a year has no fixed length)"
)


def test_policy_has_a_member_for_each_rule() -> None:
    said = {
        "keepLast": 1,
        "keepWithin": "P1DT12H",
        "hourly": 2,
        "daily": 3,
        "weekly": 4,
        "monthly": 5,
        "yearly": MAX_COUNT,
    }
    assert tuple(said) == MEMBERS
    assert parse_policy(said) == RetentionPolicy(
        last=1, within=timedelta(hours=36), hourly=2, daily=3, weekly=4, monthly=5, yearly=MAX_COUNT
    )


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (None, "the member 'retention' must be an object such as {\"daily\": 7}; it is null"),
        ([], "the member 'retention' must be an object such as {\"daily\": 7}; it is an array"),
        ("7d", "the member 'retention' must be an object such as {\"daily\": 7}; it is a string"),
        (
            {},
            f"the member 'retention' is empty, which would keep nothing; give it one or more of {KNOWN}",
        ),
        (
            {"daily": 7, "keep-last": 3},
            f"retention has the unknown member 'keep-last'; known are: {KNOWN}",
        ),
        ({"daily": 0}, "the member 'retention.daily' is 0, which keeps nothing; leave it out, or give it 1 at least"),
        ({"daily": -1}, "the member 'retention.daily' must be a whole number, 1 to 100000; it is negative"),
        ({"keepLast": 100_001}, "the member 'retention.keepLast' must be a whole number, 1 to 100000; it is larger"),
        ({"keepLast": 10**5000}, "the member 'retention.keepLast' must be a whole number, 1 to 100000; it is larger"),
        ({"weekly": 1.0}, "the member 'retention.weekly' must be a whole number, 1 to 100000; it is a fraction"),
        ({"weekly": True}, "the member 'retention.weekly' must be a whole number, 1 to 100000; it is a boolean"),
        ({"weekly": "4"}, "the member 'retention.weekly' must be a whole number, 1 to 100000; it is a string"),
        ({"weekly": None}, "the member 'retention.weekly' must be a whole number, 1 to 100000; it is null"),
        ({"keepWithin": 7}, "the member 'retention.keepWithin' must be a string such as 'P30D'; it is a number"),
        (
            {"keepWithin": "P1M"},
            f"the member 'retention.keepWithin' must be {DURATION}; it is 'P1M'",
        ),
        (
            {"keepWithin": "-P1D"},
            f"the member 'retention.keepWithin' must be {DURATION}; it is '-P1D'",
        ),
        (
            {"keepWithin": "PT0S"},
            "the member 'retention.keepWithin' must be a minute at least and 3650 days at most; it is 'PT0S'",
        ),
    ],
)
def test_policy_is_refused_with_what_is_wrong_in_it(said: object, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_policy(said)
    assert refused.value.message == sentence


def test_errors_name_the_member_that_holds_the_policy() -> None:
    with pytest.raises(InvalidRequest, match=r"'policy\.daily' is 0"):
        parse_policy({"daily": 0}, "policy")


@given(
    said=st.dictionaries(
        st.sampled_from([member for member in MEMBERS if member != "keepWithin"]), st.integers(1, MAX_COUNT)
    ),
    within_s=st.none() | st.integers(60, 3650 * 86_400),
)
def test_policy_is_shown_as_it_was_given(said: dict[str, Any], within_s: int | None) -> None:
    if not said and within_s is None:
        return
    within = None if within_s is None else timedelta(seconds=within_s)
    policy = RetentionPolicy(within=within, **{{"keepLast": "last"}.get(name, name): said[name] for name in said})
    shown = msgspec.to_builtins(policy_body(policy))
    assert parse_policy(shown) == policy
    assert shown.keys() == {*said, *(["keepWithin"] if within else [])}


def _rows(decisions: tuple[Decision, ...]) -> list[dict[str, Any]]:
    """The rows as they are sent, of snapshots that are all called the same."""
    shown = {one.candidate.id: Shown("nightly", IntervalType.DAILY) for one in decisions}
    found: list[dict[str, Any]] = json.loads(msgspec.json.encode(rows(decisions, shown)))
    assert all((row.pop("description"), row.pop("interval")) == ("nightly", "daily") for row in found)
    return found


def test_rows_say_of_each_snapshot_what_becomes_of_it_and_why() -> None:
    made = [NOW - timedelta(hours=hours) for hours in (1, 2, 25, 26)]
    candidates = [
        Candidate(snapshot_id(made[0]), made[0], None),
        Candidate(snapshot_id(made[1]), made[1], "nightly"),
        Candidate(snapshot_id(made[2]), made[2], "nightly", pinned=True),
        Candidate(snapshot_id(made[3]), made[3], "nightly"),
    ]
    policy = RetentionPolicy(last=1, daily=1)
    assert _rows(decide(candidates, policy, concerns=made_by("nightly"), zone=ZoneInfo("UTC"), now=NOW)) == [
        {
            "id": "snapshot_2026-03-09T23-00-00Z",
            "createdAt": "2026-03-09T23:00:00Z",
            "decision": "leave",
            "reasons": [{"rule": "origin", "text": "no schedule made it, so no policy concerns it"}],
        },
        {
            "id": "snapshot_2026-03-09T22-00-00Z",
            "createdAt": "2026-03-09T22:00:00Z",
            "decision": "keep",
            "reasons": [
                {"rule": "keepLast", "text": "1st of the last 1"},
                {"rule": "daily", "text": "1st of 1 daily: 2026-03-09 in UTC"},
                {"rule": "lastCompleted", "text": "the last completed snapshot"},
            ],
        },
        {
            "id": "snapshot_2026-03-08T23-00-00Z",
            "createdAt": "2026-03-08T23:00:00Z",
            "decision": "keep",
            "reasons": [{"rule": "pinned", "text": "pinned"}],
        },
        {
            "id": "snapshot_2026-03-08T22-00-00Z",
            "createdAt": "2026-03-08T22:00:00Z",
            "decision": "forget",
            "reasons": [
                {"rule": "keepLast", "text": "older than the last 1"},
                {"rule": "daily", "text": "daily keeps 1, and 2026-03-08 in UTC is the 2nd"},
            ],
        },
    ]


def test_every_rule_has_a_name_of_its_own_in_rows() -> None:
    made = [NOW - timedelta(hours=number) for number in range(-1, 7)]
    said: list[dict[str, Any]] = [
        {},
        {"pinned": True, "held": True, "in_use": True},
        {"expires_at": NOW},
        {"status": SnapshotStatus.FAILED},
        {"damaged": True},
        {"schedule_id": None},
        {},
        {},
    ]
    policy = RetentionPolicy(last=1, within=timedelta(hours=1), hourly=1, daily=1, weekly=1, monthly=1, yearly=1)
    candidates = [
        Candidate(snapshot_id(moment), moment, **{"schedule_id": "nightly", **special})
        for moment, special in zip(made, said, strict=True)
    ]
    decisions = decide(candidates, policy, concerns=made_by("nightly"), zone=ZoneInfo("UTC"), now=NOW)
    names = {
        (reason.rule, shown["rule"])
        for row, decision in zip(_rows(decisions), decisions, strict=True)
        for shown, reason in zip(row["reasons"], decision.reasons, strict=True)
    }
    assert {rule for rule, _ in names} == set(Rule)
    assert len({name for _, name in names}) == len(Rule)
    assert all(name.isidentifier() for _, name in names)

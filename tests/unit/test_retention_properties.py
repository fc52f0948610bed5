"""What retention promises of any snapshots and any policy, tried on many, most of them at awkward times."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tidemark.domain.periods import Period
from tidemark.domain.retention import Candidate, RetentionPolicy, Verdict, decide, made_by
from tidemark.domain.snapshot import SnapshotId, SnapshotStatus, snapshot_id

NOW: Final = datetime(2028, 3, 1, 12, tzinfo=UTC)
OWN: Final = "nightly"
OF_OWN: Final = made_by(OWN)
# Clocks go forward and back, a year ends within a week, February has 29 days, and now.
AWKWARD: Final = (
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2027, 1, 1, tzinfo=UTC),
    datetime(2028, 2, 29, tzinfo=UTC),
    NOW,
)
ZONES: Final = ("UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Kiritimati")
COUNTED: Final = ("last", *(period.value for period in Period))

# A few hours around each, by the hour and in between, and days, weeks and months before it.
PAST: Final = sorted(
    {
        moment
        for awkward in AWKWARD
        for minutes in (*range(-1800, 1800, 60), *range(-100, 100, 7), *range(-500_000, 0, 7001))
        if (moment := awkward + timedelta(minutes=minutes)) <= NOW
    }
)
FUTURE: Final = [NOW + timedelta(minutes=minutes) for minutes in (1, 60, 1440, 50_000, 3_000_000)]
PROTECTIONS: Final = ("pinned", "held", "in_use")
# What a snapshot may be besides one that just counts.
SPECIAL: Final[tuple[dict[str, Any], ...]] = (
    *({name: True} for name in (*PROTECTIONS, "damaged")),
    *({"status": status} for status in SnapshotStatus),
    *({"expires_at": NOW + timedelta(hours=hours)} for hours in (-900, -1, 0, 1, 900)),
    {"schedule_id": "other"},
    {"schedule_id": None},
    {"schedule_id": None, "expires_at": NOW - timedelta(days=1)},
    {"pinned": True, "expires_at": NOW - timedelta(days=1)},
)

zones = st.sampled_from([ZoneInfo(name) for name in ZONES])
counts = st.none() | st.integers(1, 6)
withins = st.none() | st.sampled_from([timedelta(hours=hours) for hours in (1, 23, 24, 25, 168, 2000)])
policies = (
    st.fixed_dictionaries(dict.fromkeys(COUNTED, counts) | {"within": withins})
    .filter(lambda rules: any(rules.values()))
    .map(lambda rules: policy_of(**rules))
)


def policy_of(**rules: Any) -> RetentionPolicy:
    return RetentionPolicy(**rules)


def snapshots(*, plain: bool = False, least: int = 0, most: int = 30) -> st.SearchStrategy[list[Candidate]]:
    """Snapshots of a tenant. Plain ones are completed, of the schedule, made in the past, and nothing protects them."""
    moments = PAST if plain else PAST + FUTURE * 20
    specials = st.just({}) if plain else st.sampled_from([{}] * len(SPECIAL) + [*SPECIAL])
    return st.lists(st.tuples(st.sampled_from(moments), specials), min_size=least, max_size=most).map(numbered)


def numbered(found: list[tuple[datetime, dict[str, Any]]]) -> list[Candidate]:
    numbers: Counter[datetime] = Counter()
    made = []
    for moment, special in found:
        numbers[moment] += 1
        made.append(replace(Candidate(snapshot_id(moment, numbers[moment]), moment, OWN), **special))
    return made


def verdicts(
    candidates: Sequence[Candidate],
    policy: RetentionPolicy,
    zone: ZoneInfo,
    *,
    now: datetime = NOW,
    concerns: Callable[[Candidate], bool] = OF_OWN,
) -> dict[SnapshotId, Verdict]:
    decisions = decide(candidates, policy, concerns=concerns, zone=zone, now=now)
    return {decision.candidate.id: decision.verdict for decision in decisions}


def forgotten(candidates: Sequence[Candidate], policy: RetentionPolicy, zone: ZoneInfo) -> set[SnapshotId]:
    return {one for one, verdict in verdicts(candidates, policy, zone).items() if verdict is Verdict.FORGET}


def left_by(candidates: Sequence[Candidate], policy: RetentionPolicy, zone: ZoneInfo) -> list[Candidate]:
    gone = forgotten(candidates, policy, zone)
    return [one for one in candidates if one.id not in gone]


def counts_in(one: Candidate) -> bool:
    return (
        one.schedule_id == OWN
        and one.status is SnapshotStatus.COMPLETED
        and not one.damaged
        and one.created_at <= NOW
        and not (one.expires_at is not None and one.expires_at <= NOW)
    )


def kept_by_a_rule(one: Candidate, counted: Sequence[Candidate], policy: RetentionPolicy, zone: ZoneInfo) -> bool:
    """The rules as they are stated, each for one snapshot by itself, by looking at all the others."""
    newer = [other for other in counted if _age(other) < _age(one)]
    newest = min(counted, key=_age)
    if policy.last is not None and len(newer) < policy.last:
        return True
    if policy.within is not None and one.created_at >= newest.created_at - policy.within:
        return True
    for period in Period:
        count = policy.count(period)
        if count is None:
            continue
        own = period.name_of(one.created_at, zone)
        later = {period.name_of(other.created_at, zone) for other in newer}
        if own not in later and len(later) < count:
            return True
        everywhere = {period.name_of(other.created_at, zone) for other in counted}
        if len(newer) == len(counted) - 1 and len(everywhere) < count:
            return True
    return False


def _age(one: Candidate) -> tuple[timedelta, int]:
    _, _, sequence = one.id.partition("Z-")
    return NOW - one.created_at, -int(sequence or 1)


@settings(max_examples=400)
@given(candidates=snapshots(), policy=policies, zone=zones)
def test_decisions_are_those_of_the_rules_as_they_are_stated(
    candidates: list[Candidate], policy: RetentionPolicy, zone: ZoneInfo
) -> None:
    found = verdicts(candidates, policy, zone)
    counted = [one for one in candidates if counts_in(one)]
    for one in counted:
        protected = one.pinned or one.held or one.in_use or one.expires_at is not None
        stays = protected or kept_by_a_rule(one, counted, policy, zone)
        last = min((_age(other) for other in candidates if counts_in(replace(other, expires_at=None))), default=None)
        assert (found[one.id] is Verdict.KEEP) == (stays or _age(one) == last)


@given(candidates=snapshots(), policy=policies, zone=zones, shuffled=st.randoms(use_true_random=False))
def test_order_of_the_snapshots_does_not_matter(
    candidates: list[Candidate], policy: RetentionPolicy, zone: ZoneInfo, shuffled: Random
) -> None:
    other = candidates[:]
    shuffled.shuffle(other)
    decisions = decide(candidates, policy, concerns=OF_OWN, zone=zone, now=NOW)
    assert decide(other, policy, concerns=OF_OWN, zone=zone, now=NOW) == decisions


@given(candidates=snapshots(), policy=policies, zone=zones)
def test_forgetting_twice_changes_nothing(candidates: list[Candidate], policy: RetentionPolicy, zone: ZoneInfo) -> None:
    first = verdicts(candidates, policy, zone)
    gone = {one for one, verdict in first.items() if verdict is Verdict.FORGET}
    without = [one for one in candidates if one.id not in gone]
    recycled = [replace(one, status=SnapshotStatus.DELETED) if one.id in gone else one for one in candidates]
    stayed = {one: verdict for one, verdict in first.items() if one not in gone}
    assert verdicts(without, policy, zone) == stayed
    assert verdicts(recycled, policy, zone) == stayed | dict.fromkeys(gone, Verdict.LEAVE)


@given(candidates=snapshots(plain=True), policy=policies, zone=zones)
def test_policy_applied_after_each_snapshot_leaves_what_it_leaves_when_applied_once(
    candidates: list[Candidate], policy: RetentionPolicy, zone: ZoneInfo
) -> None:
    left: list[Candidate] = []
    for one in sorted(candidates, key=_age, reverse=True):
        left = left_by([*left, one], policy, zone)
    assert {one.id for one in left} == {one.id for one in left_by(candidates, policy, zone)}


@given(candidates=snapshots(), added=snapshots(most=1), policy=policies, zone=zones)
def test_one_more_snapshot_pushes_out_no_more_than_one_for_each_rule(
    candidates: list[Candidate], added: list[Candidate], policy: RetentionPolicy, zone: ZoneInfo
) -> None:
    assume(policy.within is None)
    known = {one.id for one in candidates}
    assume(all(one.id not in known for one in added))
    more = forgotten([*candidates, *added], policy, zone) - forgotten(candidates, policy, zone)
    pushed = [one for one in candidates if one.id in more and counts_in(one)]
    rules_that_count = sum(getattr(policy, field) is not None for field in COUNTED)
    assert len(pushed) <= (rules_that_count if any(counts_in(one) for one in added) else 0)


@given(candidates=snapshots(), policy=policies, other=policies, zone=zones)
def test_union_of_two_policies_keeps_at_least_what_each_keeps(
    candidates: list[Candidate], policy: RetentionPolicy, other: RetentionPolicy, zone: ZoneInfo
) -> None:
    def larger[T: (int, timedelta)](one: T | None, two: T | None) -> T | None:
        return max((value for value in (one, two) if value is not None), default=None)

    both = policy_of(
        within=larger(policy.within, other.within),
        **{field: larger(getattr(policy, field), getattr(other, field)) for field in COUNTED},
    )
    least = forgotten(candidates, policy, zone) & forgotten(candidates, other, zone)
    assert forgotten(candidates, both, zone) <= least


@given(candidates=snapshots(plain=True), policy=policies, zone=zones, days=st.integers(1, 5000))
def test_time_alone_forgets_nothing(
    candidates: list[Candidate], policy: RetentionPolicy, zone: ZoneInfo, days: int
) -> None:
    later = NOW + timedelta(days=days)
    assert verdicts(candidates, policy, zone, now=later) == verdicts(candidates, policy, zone)


@given(candidates=snapshots(), policy=policies, zone=zones)
def test_only_completed_snapshots_of_a_schedule_are_forgotten_and_none_that_is_protected(
    candidates: list[Candidate], policy: RetentionPolicy, zone: ZoneInfo
) -> None:
    own = verdicts(candidates, policy, zone)
    any_schedule = verdicts(candidates, policy, zone, concerns=lambda _: True)
    for one in candidates:
        alone = one.status is not SnapshotStatus.COMPLETED or one.damaged or one.schedule_id is None
        assert (any_schedule[one.id] is Verdict.LEAVE) == alone
        assert (own[one.id] is Verdict.LEAVE) == (alone or one.schedule_id != OWN)
        if one.pinned or one.held or one.in_use or one.created_at > NOW:
            assert Verdict.FORGET not in {own[one.id], any_schedule[one.id]}


@given(candidates=snapshots(), policy=policies, zone=zones)
def test_last_completed_snapshot_stays_so_that_never_all_are_forgotten(
    candidates: list[Candidate], policy: RetentionPolicy, zone: ZoneInfo
) -> None:
    completed = [one for one in candidates if counts_in(replace(one, expires_at=None))]
    assume(completed)
    found = verdicts(candidates, policy, zone)
    assert found[min(completed, key=_age).id] is Verdict.KEEP


@given(
    candidates=snapshots(least=1),
    policy=policies,
    zone=zones,
    which=st.integers(0, 29),
    how=st.sampled_from(PROTECTIONS),
)
def test_protecting_a_snapshot_changes_nothing_for_the_others(
    candidates: list[Candidate], policy: RetentionPolicy, zone: ZoneInfo, which: int, how: str
) -> None:
    which %= len(candidates)
    found = verdicts(candidates, policy, zone)
    one = candidates[which]
    protections: dict[str, Any] = {how: True}
    protected = replace(one, **protections)
    changed = verdicts([*candidates[:which], protected, *candidates[which + 1 :]], policy, zone)
    own = Verdict.LEAVE if found[one.id] is Verdict.LEAVE else Verdict.KEEP
    assert changed == found | {one.id: own}


@given(
    candidates=snapshots(plain=True),
    policy=policies,
    zone=zones,
    ahead=st.sets(st.sampled_from(FUTURE)),
    expires=st.sampled_from([None, NOW - timedelta(days=1), NOW + timedelta(days=1)]),
)
def test_snapshot_made_in_the_future_stays_and_forgets_none(
    candidates: list[Candidate],
    policy: RetentionPolicy,
    zone: ZoneInfo,
    ahead: set[datetime],
    expires: datetime | None,
) -> None:
    made = [Candidate(snapshot_id(moment), moment, OWN, expires_at=expires) for moment in ahead]
    found = verdicts([*candidates, *made], policy, zone)
    assert found == verdicts(candidates, policy, zone) | {one.id: Verdict.KEEP for one in made}


@given(
    candidates=snapshots(plain=True, least=1),
    policy=policies,
    zone=zones,
    which=st.integers(0, 29),
    hours=st.integers(-500, 500),
)
def test_expiry_is_exact_and_takes_no_place_from_others(
    candidates: list[Candidate], policy: RetentionPolicy, zone: ZoneInfo, which: int, hours: int
) -> None:
    which %= len(candidates)
    one = replace(candidates[which], expires_at=NOW + timedelta(hours=hours))
    others = [*candidates[:which], *candidates[which + 1 :]]
    found = verdicts([*others, one], policy, zone)
    if hours > 0:
        assert found == verdicts(candidates, policy, zone) | {one.id: Verdict.KEEP}
    else:
        is_last = all(_age(one) < _age(other) for other in others)
        assert found == verdicts(others, policy, zone) | {one.id: Verdict.KEEP if is_last else Verdict.FORGET}


@given(snapshots(plain=True), policies, zones, st.lists(st.integers(0, 600), min_size=30, max_size=30))
def test_being_made_late_changes_nothing_where_the_slot_is_known(
    made: list[Candidate], policy: RetentionPolicy, zone: ZoneInfo, late_by: list[int]
) -> None:
    late = [
        replace(one, slot_at=one.created_at, created_at=min(NOW, one.created_at + timedelta(minutes=minutes)))
        for one, minutes in zip(made, late_by, strict=False)
    ]
    assert verdicts(late, policy, zone) == verdicts(made, policy, zone)

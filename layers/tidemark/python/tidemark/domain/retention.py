"""Retention: which snapshots of a schedule stay, which are forgotten, and why.

`decide` is a pure function of the snapshots, the policy, a time zone and the moment that it is asked for. Its rules:

1. *Whom it concerns*: completed snapshots that the schedule made itself. One that no schedule made (asked for, kept by
   a restore, copied, imported) is left alone whatever the caller says, and so is one that is not completed, or whose
   bytes are known to be damaged. What is left alone fills no place of a rule.
2. *Rules add up*: a snapshot stays if one rule or more keeps it. Each looks, by itself, at all snapshots that count.
3. `last`: the newest n. `within`: those that are no older than that before **the newest**, not before now.
4. `hourly` to `yearly`: the newest snapshot of each of the newest n periods that have any, in the zone. Periods without
   a snapshot don't count. The running period does, and its newest snapshot stands for it until there is a newer one.
5. *Oldest*: as long as such a rule has fewer periods than it may keep, it also keeps the oldest snapshot.
6. *Expiry*: `expires_at` is exact. Until then a snapshot stays; from then on no rule keeps it, and it fills no place.
7. *When*: a snapshot stands for the slot that it was made for, which it may be late for, else for when it was made.
8. *Whatever the rules say*, these stay: what is pinned, under a legal hold, or in use; the last completed snapshot, be
   it expired or not; what was made in the future. A pin, a hold or a use keeps that snapshot and changes nothing for
   others. What was made in the future fills no place, and is neither newest nor last, until its time has come.

From 3 and 4 follows that time alone forgets nothing: where no snapshot comes, none goes, expired ones apart. And a
policy that is applied after each snapshot leaves what it leaves when it is applied once, to all of them.

Sources: restic's `forget` (rules add up; the newest stands for its period; `within` is relative to the newest that is
not in the future; the oldest stays while a rule has places left); borg's `prune` (the oldest, too; its rules, unlike
these, don't count what an earlier one keeps, so that their order matters, and its `within` is relative to now); kopia
(reasons with a rank; what is incomplete fills no place; pins are apart from the rules).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from tidemark.domain.periods import Period
from tidemark.domain.snapshot import Snapshot, SnapshotId, SnapshotStatus, parse_snapshot_id
from tidemark.errors import InvalidRequest

MAX_COUNT: Final = 100_000


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What to keep of a schedule's snapshots. A rule that is None keeps none.

    Raises InvalidRequest where nothing would ever be kept, or a rule is no positive number or duration.
    """

    last: int | None = None
    within: timedelta | None = None
    hourly: int | None = None
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None
    yearly: int | None = None

    def __post_init__(self) -> None:
        """Hold what every policy promises, wherever it comes from."""
        counts = [count for count in (self.last, *(self.count(period) for period in Period)) if count is not None]
        if not counts and self.within is None:
            raise InvalidRequest("a retention policy without a rule would keep nothing; give it at least one")
        if any(not 1 <= count <= MAX_COUNT for count in counts):
            raise InvalidRequest(f"a rule of a retention policy keeps 1 to {MAX_COUNT} snapshots; it can't keep others")
        if self.within is not None and self.within <= timedelta(0):
            raise InvalidRequest("the time within which a retention policy keeps everything must be positive")

    def count(self, period: Period) -> int | None:
        """How many such periods it keeps one snapshot of."""
        match period:
            case Period.HOURLY:
                return self.hourly
            case Period.DAILY:
                return self.daily
            case Period.WEEKLY:
                return self.weekly
            case Period.MONTHLY:
                return self.monthly
            case Period.YEARLY:
                return self.yearly


@dataclass(frozen=True, slots=True)
class Candidate:
    """What retention looks at in a snapshot. `schedule_id` is the schedule that made it; None: none did. `slot_at` is
    the slot that it was made for, where that is known.

    `damaged`: the last reading back of its bytes failed. `in_use`: a capture or restore needs it. `order` tells those
    of one moment apart; None: by what the id says, which is that of a snapshot of entities.
    """

    id: SnapshotId
    created_at: datetime
    schedule_id: str | None
    status: SnapshotStatus = SnapshotStatus.COMPLETED
    expires_at: datetime | None = None
    damaged: bool = False
    pinned: bool = False
    held: bool = False
    in_use: bool = False
    slot_at: datetime | None = None
    order: tuple[str, int] | None = None

    @property
    def stands_for(self) -> datetime:
        """The moment whose state it is to show: one that was made late, past midnight, is still of its slot's day."""
        return self.slot_at or self.created_at

    @property
    def counts(self) -> bool:
        """Whether it is a good snapshot, as far as is known."""
        return self.status is SnapshotStatus.COMPLETED and not self.damaged

    def is_of_the_future(self, now: datetime) -> bool:
        """Whether it can't have been made yet, so that some clock was wrong."""
        return max(self.created_at, self.stands_for) > now


class Verdict(StrEnum):
    """What becomes of a snapshot. `LEAVE`: the policy does not concern it, and says nothing of it."""

    KEEP = "keep"
    FORGET = "forget"
    LEAVE = "leave"


class Rule(StrEnum):
    """What a reason rests on."""

    LAST = "last"
    WITHIN = "within"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"
    EXPIRY = "expiry"
    PIN = "pin"
    HOLD = "hold"
    USE = "use"
    LAST_COMPLETED = "last completed"
    FUTURE = "future"
    STATUS = "status"
    DAMAGE = "damage"
    ORIGIN = "origin"


class Reason(NamedTuple):
    """Why a verdict is what it is, in words that follow it: "keep: 3rd of 7 daily: 2026-03-01 in Europe/Paris"."""

    rule: Rule
    sentence: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on one snapshot. For one that stays `reasons` are all that keep it; for one that goes, what each rule
    of the policy says against it.
    """

    candidate: Candidate
    verdict: Verdict
    reasons: tuple[Reason, ...]


class _Finding(NamedTuple):
    """What one rule says of one snapshot."""

    keeps: bool
    reason: Reason


def candidate_of(snapshot: Snapshot, *, schedule_id: str | None, needed: bool = False) -> Candidate:
    """A snapshot as retention sees it. `needed`: something builds on it or reads it that `used_by` does not name."""
    return Candidate(
        id=snapshot.id,
        created_at=snapshot.created_at,
        schedule_id=schedule_id,
        status=snapshot.status,
        expires_at=snapshot.expires_at,
        damaged=snapshot.verification is not None and not snapshot.verification.ok,
        pinned=snapshot.pinned,
        held=snapshot.hold is not None,
        in_use=needed or bool(snapshot.used_by),
        slot_at=snapshot.slot_at,
    )


def made_by(schedule_id: str) -> Callable[[Candidate], bool]:
    """Concerns the snapshots that this schedule made itself."""
    return lambda candidate: candidate.schedule_id == schedule_id


def last_of_schedules(snapshots: Iterable[Snapshot], now: datetime) -> frozenset[SnapshotId]:
    """The newest good snapshot of each schedule, which stays even if it is expired."""
    newest: dict[str, SnapshotId] = {}
    for one in _newest_first(candidate_of(snapshot, schedule_id=snapshot.schedule_id) for snapshot in snapshots):
        if one.schedule_id is not None and one.counts and not one.is_of_the_future(now):
            newest.setdefault(one.schedule_id, one.id)
    return frozenset(newest.values())


def decide(
    candidates: Iterable[Candidate],
    policy: RetentionPolicy,
    *,
    concerns: Callable[[Candidate], bool],
    zone: ZoneInfo,
    now: datetime,
) -> tuple[Decision, ...]:
    """A decision on each snapshot of a tenant, newest first. The order of the candidates does not matter.

    `concerns` says whose policy it is, usually `made_by` a schedule; what no schedule made is never concerned. Raises
    ValueError for a snapshot that is given twice, since it would fill two places.
    """
    ordered = _newest_first(candidates)
    if len({one.id for one in ordered}) < len(ordered):
        raise ValueError("retention can't decide: a snapshot is given twice")
    left = {one.id: reason for one in ordered if (reason := _not_concerned(one, concerns)) is not None}
    past = [one for one in ordered if one.id not in left and not one.is_of_the_future(now)]
    last = past[0].id if past else None
    findings = _findings([one for one in past if not _expired(one, now)], policy, zone)

    def judged(one: Candidate) -> Decision:
        if one.id in left:
            return Decision(one, Verdict.LEAVE, (left[one.id],))
        found = findings.get(one.id, [])
        keeping = [finding.reason for finding in found if finding.keeps]
        keeping += _protections(one, now, is_last=one.id == last)
        if keeping:
            return Decision(one, Verdict.KEEP, tuple(keeping))
        if one.expires_at is not None and one.expires_at <= now:
            return Decision(one, Verdict.FORGET, (Reason(Rule.EXPIRY, f"expired at {_text(one.expires_at)}"),))
        return Decision(one, Verdict.FORGET, tuple(finding.reason for finding in found))

    return tuple(judged(one) for one in ordered)


def duration_text(duration: timedelta) -> str:
    """A duration in whole seconds as ISO 8601 writes it, in days and less: `P7D`, `PT12H`, `P1DT30M`."""
    hours, rest_s = divmod(duration.seconds, 3600)
    minutes, seconds = divmod(rest_s, 60)
    days = f"{duration.days}D" if duration.days else ""
    clock = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if count)
    return f"P{days}T{clock}" if clock else f"P{days or 'T0S'}"


def _newest_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda one: (one.stands_for, one.order or parse_snapshot_id(one.id)), reverse=True)


def _not_concerned(one: Candidate, concerns: Callable[[Candidate], bool]) -> Reason | None:
    if one.schedule_id is None:
        return Reason(Rule.ORIGIN, "no schedule made it, so no policy concerns it")
    if not concerns(one):
        return Reason(Rule.ORIGIN, f"it is of the schedule {one.schedule_id}, which this policy does not concern")
    if one.status is not SnapshotStatus.COMPLETED:
        return Reason(Rule.STATUS, f"it is {one.status}, so it neither counts nor is forgotten by a policy")
    if one.damaged:
        return Reason(Rule.DAMAGE, "its last verification failed, so it does not count; verify it again, or delete it")
    return None


def _expired(one: Candidate, now: datetime) -> bool:
    return one.expires_at is not None and one.expires_at <= now


def _protections(one: Candidate, now: datetime, *, is_last: bool) -> list[Reason]:
    """What keeps a snapshot whatever the rules say."""
    found: list[Reason] = []
    if one.pinned:
        found.append(Reason(Rule.PIN, "pinned"))
    if one.held:
        found.append(Reason(Rule.HOLD, "under a legal hold"))
    if one.in_use:
        found.append(Reason(Rule.USE, "in use by a capture or restore"))
    if one.expires_at is not None and one.expires_at > now:
        found.append(Reason(Rule.EXPIRY, f"expires at {_text(one.expires_at)}, not before"))
    if is_last:
        found.append(Reason(Rule.LAST_COMPLETED, "the last completed snapshot"))
    if one.is_of_the_future(now):
        found.append(Reason(Rule.FUTURE, f"made in the future: it is {_text(now)}"))
    return found


def _findings(
    counted: Sequence[Candidate], policy: RetentionPolicy, zone: ZoneInfo
) -> dict[SnapshotId, list[_Finding]]:
    """What each rule of the policy says of each snapshot that counts; these come newest first."""
    said: dict[SnapshotId, list[_Finding]] = {one.id: [] for one in counted}
    rules = [] if policy.last is None else [_by_rank(counted, policy.last)]
    if policy.within is not None:
        rules.append(_by_age(counted, policy.within))
    rules += [
        _by_period(counted, period, count, zone) for period in Period if (count := policy.count(period)) is not None
    ]
    for rule in rules:
        for one, finding in zip(counted, rule, strict=True):
            said[one.id].append(finding)
    return said


def _by_rank(counted: Sequence[Candidate], count: int) -> list[_Finding]:
    def finding(rank: int) -> _Finding:
        if rank <= count:
            return _Finding(keeps=True, reason=Reason(Rule.LAST, f"{_ordinal(rank)} of the last {count}"))
        return _Finding(keeps=False, reason=Reason(Rule.LAST, f"older than the last {count}"))

    return [finding(rank) for rank in range(1, len(counted) + 1)]


def _by_age(counted: Sequence[Candidate], within: timedelta) -> list[_Finding]:
    def finding(one: Candidate) -> _Finding:
        keeps = counted[0].stands_for - one.stands_for <= within
        sentence = f"{'no ' if keeps else ''}more than {duration_text(within)} older than the newest, {counted[0].id}"
        return _Finding(keeps, Reason(Rule.WITHIN, sentence))

    return [finding(one) for one in counted]


def _by_period(counted: Sequence[Candidate], period: Period, count: int, zone: ZoneInfo) -> list[_Finding]:
    names = [period.name_of(one.stands_for, zone) for one in counted]
    newest: dict[str, SnapshotId] = {}
    for one, name in zip(counted, names, strict=True):
        newest.setdefault(name, one.id)
    ranks = {name: rank for rank, name in enumerate(newest, 1)}
    rule = Rule(period)

    def finding(one: Candidate, name: str) -> _Finding:
        rank, place = _ordinal(ranks[name]), f"{name} in {zone.key}"
        if newest[name] == one.id and ranks[name] <= count:
            return _Finding(keeps=True, reason=Reason(rule, f"{rank} of {count} {period}: {place}"))
        if one is counted[-1] and len(newest) < count:
            return _Finding(keeps=True, reason=Reason(rule, f"oldest, while {period} has {len(newest)} of {count}"))
        if ranks[name] > count:
            return _Finding(keeps=False, reason=Reason(rule, f"{period} keeps {count}, and {place} is the {rank}"))
        return _Finding(keeps=False, reason=Reason(rule, f"{period} keeps the newest of {place}, {newest[name]}"))

    return [finding(one, name) for one, name in zip(counted, names, strict=True)]


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

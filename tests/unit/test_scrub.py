"""The scrub: each pack once within the days that are set, on a day that its key gives, however often it stops."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.driving import damage, key, packs, put
from tests.fakes import ManualClock, MemoryPayloads, memory_ports
from tests.unit.engine.disturbed import Counter as Calls
from tests.unit.engine.disturbed import Death, numbered
from tidemark.domain.live import Layout
from tidemark.domain.snapshot import Scope, Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import ObjectNotFound, Throttled
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.scrub import Place, Scrubbed, is_due, scrub
from tidemark.usecases.verify_snapshot import verify_snapshot

TENANTS = [Tenant("aalborg"), Tenant("smartcity"), Tenant("zagreb")]
START = datetime(2026, 1, 15, 3, 17, tzinfo=UTC)
TODAY = (START - datetime(1970, 1, 1, tzinfo=UTC)).days


class Counting(MemoryPayloads):
    """Counts how often each object is read whole."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()

    def get(self, key: str) -> bytes:
        self.reads[key] += 1
        return super().get(key)

    def packs_read(self) -> Counter[str]:
        return Counter({key: number for key, number in self.reads.items() if key.endswith(".pack")})


def world(payloads: MemoryPayloads | None = None) -> Ports:
    """Three tenants, each with three snapshots that share packs."""
    ports = replace(
        memory_ports(),
        payloads=payloads or MemoryPayloads(),
        clock=ManualClock(START),
        layout=Layout(shards=16, gates=1),
    )
    for tenant in TENANTS:
        put(ports, {key(number): number for number in range(40)}, tenant)
        for value in range(3):
            put(ports, {key(value): -1 - value}, tenant)
            create_snapshot(ports, tenant)
    return ports


def newest(ports: Ports, tenant: Tenant) -> Snapshot:
    return next(ports.catalog.snapshots(tenant))


def all_packs(ports: Ports) -> list[str]:
    return [pack for tenant in TENANTS for pack in packs(ports, tenant)]


def one_day(ports: Ports, *, days: int, budget_s: float = 1e9) -> list[Scrubbed]:
    """The runs of one day's state machine."""
    runs = [scrub(ports, days=days, budget_s=budget_s)]
    while not runs[-1].done:
        runs.append(scrub(ports, days=days, budget_s=budget_s, place=runs[-1].place))
        assert len(runs) < 1000, "the scrub does not get further"
    return runs


def test_every_pack_is_read_exactly_once_within_the_days() -> None:
    payloads = Counting()
    ports = world(payloads)
    payloads.reads.clear()
    for day in range(7):
        (run,) = one_day(ports, days=7)
        assert run.place.day == TODAY + day
        assert isinstance(ports.clock, ManualClock)
        ports.clock.advance(timedelta(days=1).total_seconds())
    assert payloads.packs_read() == Counter(all_packs(ports))


def test_packs_are_spread_over_the_days() -> None:
    keys = [f"smartcity/packs/{number:032x}/000-base-00000.pack" for number in range(3000)]
    days = Counter(day for one in keys for day in range(30) if is_due(one, TODAY + day, 30))
    assert sum(days.values()) == len(keys)
    assert len(days) == 30
    assert max(days.values()) < 2 * min(days.values())


def test_scrub_reads_the_same_packs_when_it_is_run_again_on_its_day() -> None:
    payloads = Counting()
    ports = world(payloads)
    found = []
    for seconds in (0, 60, 20 * 3600):
        ports.clock.sleep(seconds)
        payloads.reads.clear()
        one_day(ports, days=3)
        found.append(payloads.packs_read())
    assert found[0] == found[1] == found[2]
    assert 0 < len(found[0]) < len(all_packs(ports))


class Slow(ManualClock):
    """Every look at it takes a second."""

    def monotonic_s(self) -> float:
        self.advance(1)
        return super().monotonic_s()


@pytest.mark.parametrize("budget_s", [-1, 0, 2, 5])
def test_scrub_goes_on_where_it_stopped_and_reads_each_pack_once(budget_s: float) -> None:
    payloads = Counting()
    ports = replace(world(payloads), clock=Slow(START))
    payloads.reads.clear()
    runs = one_day(ports, days=1, budget_s=budget_s)
    assert len(runs) > 1
    assert payloads.packs_read() == Counter(all_packs(ports))
    assert sum(run.packs for run in runs) == len(all_packs(ports))
    assert {run.place.day for run in runs} == {TODAY}


def test_scrub_stays_on_its_day_when_midnight_passes() -> None:
    ports = replace(world(), clock=Slow(START))
    first = scrub(ports, days=2, budget_s=-1)
    ports.clock.sleep(24 * 3600)
    second = scrub(ports, days=2, budget_s=-1, place=first.place)
    assert second.place.day == TODAY


def test_scrub_gets_further_when_nothing_is_due_and_time_is_short() -> None:
    ports = replace(world(), clock=Slow(START))
    (due_on,) = {day for day in range(366) if is_due(all_packs(ports)[0], day, 366)}
    runs = one_day(replace(ports, clock=Slow(datetime(1970, 1, 2, tzinfo=UTC))), days=366, budget_s=-1)
    assert len(runs) <= len(TENANTS) + len(all_packs(ports))
    assert due_on >= 0


def test_good_sample_is_recorded_on_the_snapshots_that_were_sampled() -> None:
    ports = world()
    (run,) = one_day(ports, days=1)
    assert run.damage == []
    for tenant in TENANTS:
        for snapshot in ports.catalog.snapshots(tenant):
            found = snapshot.verification
            assert found is not None
            assert (found.ok, found.scope, found.checked_bytes) == (True, Scope.SAMPLE, snapshot.stored_bytes)


def test_damage_is_recorded_on_every_snapshot_that_needs_the_pack_and_on_no_other() -> None:
    ports = world()
    tenant = TENANTS[1]
    by_age = list(ports.catalog.snapshots(tenant))[::-1]
    delta = next(pack for pack in packs(ports, tenant) if by_age[1].capture_id in pack)
    damage(ports, delta, 9)
    (run,) = one_day(ports, days=1)
    assert [one.failure.message for one in run.damage] == [f"pack {delta} is damaged: it has the wrong checksum"]
    found = [snapshot.verification for snapshot in ports.catalog.snapshots(tenant)][::-1]
    assert [one.ok for one in found if one] == [True, False, False]
    assert all(one is None or one.ok or one.failure == run.damage[0].failure for one in found)
    others = [newest(ports, other).verification for other in (TENANTS[0], TENANTS[2])]
    assert all(one is not None and one.ok for one in others)


def test_damage_stays_recorded_until_everything_was_verified_again() -> None:
    ports = world()
    pack = packs(ports, TENANTS[0])[0]
    damage(ports, pack, 9)
    one_day(ports, days=1)
    damage(ports, pack, 9)
    name = newest(ports, TENANTS[0]).id
    one_day(ports, days=1)
    held = newest(ports, TENANTS[0]).verification
    assert held is not None
    assert not held.ok
    assert verify_snapshot(ports, TENANTS[0], name).snapshot.verification.ok  # type: ignore[union-attr]
    one_day(ports, days=1)
    kept = newest(ports, TENANTS[0]).verification
    assert kept is not None
    assert (kept.ok, kept.scope) == (True, Scope.FULL)


@pytest.mark.parametrize("days", [1, 366])
def test_damaged_manifest_is_found_every_day_whatever_is_due_and_told_once(days: int) -> None:
    ports = replace(world(), clock=Slow(START))
    snapshot = newest(ports, TENANTS[1])
    assert snapshot.manifest is not None
    damage(ports, snapshot.manifest.key, 9)
    runs = one_day(ports, days=days, budget_s=-1)
    damages = [one.failure for run in runs for one in run.damage]
    assert [failure.code for failure in damages] == ["ManifestCorrupt"]
    assert snapshot.manifest.key in damages[0].message
    found = newest(ports, TENANTS[1]).verification
    assert found is not None
    assert found.failure == damages[0]


def test_pack_that_went_with_its_last_snapshot_is_no_damage() -> None:
    """The collector may remove a deleted snapshot's packs while a scrub that saw it before is about to read them."""

    class Collected(MemoryPayloads):
        def get(self, key: str) -> bytes:
            if key.endswith(".pack"):
                for snapshot in list(ports.catalog.snapshots(TENANTS[0])):
                    if snapshot.status is SnapshotStatus.COMPLETED:
                        delete_snapshot(ports, TENANTS[0], snapshot.id)
                raise ObjectNotFound(key)
            return super().get(key)

    ports = replace(memory_ports(), payloads=MemoryPayloads(), layout=Layout(shards=2, gates=1))
    put(ports, {key(1): 1}, TENANTS[0])
    create_snapshot(ports, TENANTS[0])
    gone = Collected()
    assert isinstance(ports.payloads, MemoryPayloads)
    gone.objects = ports.payloads.objects
    run = scrub(replace(ports, payloads=gone), days=1, budget_s=60)
    assert run.packs == 1
    assert run.damage == []
    assert newest(ports, TENANTS[0]).verification is None


def test_only_completed_snapshots_are_scrubbed() -> None:
    ports = world()
    for tenant in TENANTS:
        for snapshot in list(ports.catalog.snapshots(tenant)):
            delete_snapshot(ports, tenant, snapshot.id)
    (run,) = one_day(ports, days=1)
    assert (run.packs, run.damage) == (0, [])


def test_scrub_records_nothing_when_aws_does_not_answer() -> None:
    class Busy(MemoryPayloads):
        def get(self, key: str) -> bytes:
            if key.endswith(".pack"):
                raise Throttled(f"reading {key}: slow down")
            return super().get(key)

    ports = world()
    busy = Busy()
    assert isinstance(ports.payloads, MemoryPayloads)
    busy.objects = ports.payloads.objects
    with pytest.raises(Throttled):
        scrub(replace(ports, payloads=busy), days=1, budget_s=60)
    assert all(one.verification is None for tenant in TENANTS for one in ports.catalog.snapshots(tenant))


def test_scrub_finds_the_damage_when_it_is_run_again_after_dying_at_any_call() -> None:
    ports = world()
    bad = packs(ports, TENANTS[1])[0]
    damage(ports, bad, 9)
    counter = Calls()
    scrub(ports, days=1, budget_s=1e9)
    ports.clock.sleep(1)
    scrub(numbered(ports, counter), days=1, budget_s=1e9)
    assert counter.calls > len(all_packs(ports))
    for fatal in range(1, counter.calls + 1):
        for after in (False, True):
            ports.clock.sleep(1)
            with pytest.raises(Death):
                scrub(numbered(ports, Calls(fatal, after=after)), days=1, budget_s=1e9)
            again = scrub(ports, days=1, budget_s=1e9)
            assert again.done
            assert [bad in one.failure.message for one in again.damage] == [True]


def test_tenants_are_noted_before_their_first_snapshot_is() -> None:
    ports = memory_ports()
    put(ports, {key(1): 1})
    calls = Calls()
    create_snapshot(numbered(ports, calls), TENANTS[1])
    for fatal in range(1, calls.calls + 1):
        fresh = memory_ports()
        with pytest.raises(Death):
            create_snapshot(numbered(fresh, Calls(fatal)), TENANTS[1])
        assert list(fresh.catalog.tenants()) == [TENANTS[1]] or not list(fresh.catalog.snapshots(TENANTS[1]))


def test_place_is_after_all_of_a_tenant_when_that_is_done() -> None:
    ports = replace(world(), clock=Slow(START))
    run = scrub(ports, days=366, budget_s=-1)
    assert run.place > Place(TODAY, TENANTS[0], max(packs(ports, TENANTS[0])))

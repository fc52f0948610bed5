"""What `ports.Catalog` promises."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from tests.contract.examples import ACME, OTHER, TEN_O_CLOCK, api_key, restore, schedule, snapshot
from tidemark.domain.restore import ShardDigest, StagedPart
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import RestoreNotFound, ScheduleNotFound, SnapshotNotFound, StaleRecord
from tidemark.ports import Catalog

# --- tenants


def test_tenants_are_listed_by_name_and_once(catalog: Catalog) -> None:
    for name in ("harbour", "acme", "acme_2", "harbour", "acme"):
        catalog.add_tenant(Tenant(name))
    assert list(catalog.tenants()) == ["acme", "acme_2", "harbour"]


def test_tenants_are_those_that_were_noted_alone(catalog: Catalog) -> None:
    catalog.add_snapshot(snapshot())
    catalog.add_restore(restore())
    catalog.add_key(api_key())
    assert list(catalog.tenants()) == []


def test_keys_are_listed_whole_and_nothing_else_is(catalog: Catalog) -> None:
    catalog.add_snapshot(snapshot())
    catalog.add_restore(restore())
    stored = [catalog.add_key(replace(api_key(), id=character * 64)) for character in "ab"]
    assert sorted(catalog.keys(), key=lambda key: key.id) == stored


# --- snapshots


def test_snapshots_are_listed_newest_first_in_every_status(catalog: Catalog) -> None:
    stored = [
        catalog.add_snapshot(snapshot(second, sequence, status=status))
        for second, sequence, status in [
            (5, 1, SnapshotStatus.COMPLETED),
            (0, 2, SnapshotStatus.FAILED),
            (0, 1, SnapshotStatus.DELETED),
            (0, 10, SnapshotStatus.CREATING),
            (86400, 1, SnapshotStatus.COMPLETED),
        ]
    ]
    order = [86400, 5, 0, 0, 0]
    found = list(catalog.snapshots(ACME))
    assert found == [stored[index] for index in (4, 0, 3, 1, 2)]
    assert [each.created_at for each in found] == [TEN_O_CLOCK + timedelta(seconds=second) for second in order]


def test_snapshots_of_one_tenant_only_are_listed(catalog: Catalog) -> None:
    own = catalog.add_snapshot(snapshot())
    catalog.add_snapshot(snapshot(1, tenant=OTHER))
    catalog.add_restore(restore())
    assert list(catalog.snapshots(ACME)) == [own]


def test_snapshots_are_all_listed_when_they_are_more_than_a_page(catalog: Catalog) -> None:
    stored = [catalog.add_snapshot(snapshot(number, description="x" * 20_000)) for number in range(80)]
    assert list(catalog.snapshots(ACME)) == stored[::-1]


@pytest.mark.parametrize(
    ("since_s", "before_s", "seconds"),
    [
        (None, None, [86400, 2, 1, 1, 0]),
        (1, None, [86400, 2, 1, 1]),
        (0.4, None, [86400, 2, 1, 1]),
        (1.000001, None, [86400, 2]),
        (None, 1, [0]),
        (None, 1.000001, [1, 1, 0]),
        (None, 0, []),
        (0, 2, [1, 1, 0]),
        (1, 2, [1, 1]),
        (1, 1, []),
        (2, 1, []),
        (86401, None, []),
        (-(10**9), 10**9, [86400, 2, 1, 1, 0]),
    ],
)
def test_snapshots_are_those_within_bounds_of_their_seconds(
    catalog: Catalog, since_s: float | None, before_s: float | None, seconds: list[int]
) -> None:
    for second, sequence in ((0, 1), (1, 1), (1, 2), (2, 1), (86400, 1)):
        catalog.add_snapshot(snapshot(second, sequence))
    catalog.add_snapshot(snapshot(1, tenant=OTHER))
    catalog.add_restore(restore(1))
    start = TEN_O_CLOCK.replace(microsecond=0)
    since = None if since_s is None else start + timedelta(seconds=since_s)
    before = (
        None if before_s is None else (start + timedelta(seconds=before_s)).astimezone(timezone(timedelta(hours=5)))
    )
    found = [each.created_at - TEN_O_CLOCK for each in catalog.snapshots(ACME, since=since, before=before)]
    assert found == [timedelta(seconds=second) for second in seconds]


@pytest.mark.parametrize(
    "name",
    ["", "x", "snapshot_2026-01-15T10-00-00Z-1", "snapshot_2026-01-15T10-00-00Z#", "restore_2026-01-15T10-00-00Z"],
)
def test_snapshot_is_not_found_when_its_id_is_malformed(catalog: Catalog, name: str) -> None:
    catalog.add_snapshot(snapshot())
    catalog.add_restore(restore())
    with pytest.raises(SnapshotNotFound):
        catalog.snapshot(ACME, name)


def test_snapshot_is_not_found_in_another_tenant(catalog: Catalog) -> None:
    catalog.add_snapshot(snapshot())
    with pytest.raises(SnapshotNotFound):
        catalog.snapshot(OTHER, snapshot().id)


def test_remove_snapshot_forgets_it(catalog: Catalog) -> None:
    stored = catalog.add_snapshot(snapshot())
    kept = catalog.add_snapshot(snapshot(1))
    catalog.remove_snapshot(stored)
    assert list(catalog.snapshots(ACME)) == [kept]
    with pytest.raises(SnapshotNotFound):
        catalog.snapshot(ACME, stored.id)


def test_remove_snapshot_is_refused_when_it_changed_since(catalog: Catalog) -> None:
    first = catalog.add_snapshot(snapshot())
    second = catalog.replace_snapshot(first)
    with pytest.raises(StaleRecord):
        catalog.remove_snapshot(first)
    assert catalog.snapshot(ACME, first.id) == second


def test_remove_snapshot_succeeds_when_it_is_repeated(catalog: Catalog) -> None:
    stored = catalog.add_snapshot(snapshot())
    catalog.remove_snapshot(stored)
    catalog.remove_snapshot(stored)
    assert list(catalog.snapshots(ACME)) == []


# --- restores


def test_restores_are_listed_newest_first(catalog: Catalog) -> None:
    places = [(5, 1), (0, 2), (0, 1), (0, 10), (86400, 1)]
    stored = [catalog.add_restore(restore(second, sequence)) for second, sequence in places]
    assert list(catalog.restores(ACME)) == [stored[index] for index in (4, 0, 3, 1, 2)]


def test_restores_of_one_tenant_only_are_listed_and_without_their_parts(catalog: Catalog) -> None:
    own = catalog.add_restore(restore())
    catalog.add_restore(restore(1, tenant=OTHER))
    catalog.add_snapshot(snapshot())
    catalog.record_part(ACME, own.id, StagedPart(0, 1, ()))
    assert list(catalog.restores(ACME)) == [own]


@pytest.mark.parametrize("name", ["", "restore_", "restore_2026-01-15T10-00-00Z-1", "snapshot_2026-01-15T10-00-00Z"])
def test_restore_is_not_found_when_its_id_is_malformed(catalog: Catalog, name: str) -> None:
    catalog.add_snapshot(snapshot())
    catalog.add_restore(restore())
    with pytest.raises(RestoreNotFound):
        catalog.restore(ACME, name)


def test_restore_is_not_found_in_another_tenant(catalog: Catalog) -> None:
    catalog.add_restore(restore())
    with pytest.raises(RestoreNotFound):
        catalog.restore(OTHER, restore().id)


# --- tenants


def test_tenants_are_those_that_were_noted_each_once(catalog: Catalog) -> None:
    assert list(catalog.tenants()) == []
    for tenant in (OTHER, ACME, OTHER):
        catalog.add_tenant(tenant)
    catalog.add_snapshot(snapshot())
    assert list(catalog.tenants()) == [ACME, OTHER]


# --- parts


def test_schedules_of_one_tenant_are_listed_by_id(catalog: Catalog) -> None:
    later, first = (catalog.add_schedule(schedule(number)) for number in (9, 1))
    catalog.add_schedule(schedule(5, tenant=OTHER))
    catalog.add_snapshot(snapshot())
    catalog.add_restore(restore())
    assert list(catalog.found_schedules(ACME)) == [first, later]


@pytest.mark.parametrize("name", ["", "schedule_", "schedule_00", "schedule_000000000000000G", "snapshot_2026", "x\n"])
def test_schedule_is_not_found_when_its_id_is_malformed(catalog: Catalog, name: str) -> None:
    catalog.add_schedule(schedule())
    with pytest.raises(ScheduleNotFound, match="schedule"):
        catalog.schedule(ACME, name)


def test_schedule_is_not_found_in_another_tenant(catalog: Catalog) -> None:
    with pytest.raises(ScheduleNotFound):
        catalog.schedule(OTHER, catalog.add_schedule(schedule()).id)


def test_remove_schedule_forgets_it_and_can_be_repeated(catalog: Catalog) -> None:
    stored = catalog.add_schedule(schedule())
    for _ in range(2):
        catalog.remove_schedule(stored)
    assert not list(catalog.found_schedules(ACME))


def test_remove_schedule_is_refused_when_it_changed_since(catalog: Catalog) -> None:
    stored = catalog.add_schedule(schedule())
    changed = catalog.replace_schedule(replace(stored, paused=True))
    with pytest.raises(StaleRecord, match=stored.id):
        catalog.remove_schedule(stored)
    assert list(catalog.found_schedules(ACME)) == [changed]


def _part(number: int, records: int = 1) -> StagedPart:
    return StagedPart(number, records, (ShardDigest(0, records, "ff" * 32), ShardDigest(15, 0, "00" * 32)))


def test_parts_are_returned_by_their_number(catalog: Catalog) -> None:
    for number in (10, 2, 1, 100_000, 0):
        catalog.record_part(ACME, restore().id, _part(number))
    assert catalog.parts(ACME, restore().id) == [_part(number) for number in (0, 1, 2, 10, 100_000)]


def test_parts_are_those_of_one_restore(catalog: Catalog) -> None:
    catalog.record_part(ACME, restore(0).id, _part(0))
    catalog.record_part(ACME, restore(0, 2).id, _part(0, 2))
    catalog.record_part(OTHER, restore(0).id, _part(0, 3))
    assert catalog.parts(ACME, restore(0).id) == [_part(0)]
    assert catalog.parts(ACME, restore(1).id) == []


def _so_far(records: int, reached: str) -> StagedPart:
    return replace(_part(3, records), reached=reached)


def test_note_of_a_part_is_followed_by_what_goes_on_from_it_alone(catalog: Catalog) -> None:
    name, first, second, whole = restore().id, _so_far(5, "a"), _so_far(9, "b"), _part(3, 12)
    assert catalog.part(ACME, name, 3) is None
    with pytest.raises(StaleRecord, match="part 3"):
        catalog.record_part(ACME, name, second, after=first)
    catalog.record_part(ACME, name, first)
    assert catalog.part(ACME, name, 3) == first
    with pytest.raises(StaleRecord):
        catalog.record_part(ACME, name, _so_far(6, "aa"))
    catalog.record_part(ACME, name, second, after=first)
    for late in (second, _so_far(7, "ab"), whole):
        with pytest.raises(StaleRecord):
            catalog.record_part(ACME, name, late, after=first)
    assert catalog.parts(ACME, name) == [second]
    catalog.record_part(ACME, name, whole, after=second)
    for late in (whole, second):
        with pytest.raises(StaleRecord):
            catalog.record_part(ACME, name, late, after=second)
        with pytest.raises(StaleRecord):
            catalog.record_part(ACME, name, late, after=whole)
        with pytest.raises(StaleRecord):
            catalog.record_part(ACME, name, late)
    assert catalog.part(ACME, name, 3) == whole
    assert catalog.part(ACME, name, 4) is None
    assert catalog.part(OTHER, name, 3) is None


def test_remove_parts_forgets_those_of_one_restore(catalog: Catalog) -> None:
    for number in range(30):
        catalog.record_part(ACME, restore(0).id, _part(number))
    catalog.record_part(ACME, restore(1).id, _part(0))
    catalog.record_part(OTHER, restore(0).id, _part(0))
    for _ in range(2):
        catalog.remove_parts(ACME, restore(0).id)
        assert catalog.parts(ACME, restore(0).id) == []
    assert catalog.parts(ACME, restore(1).id) == [_part(0)]
    assert catalog.parts(OTHER, restore(0).id) == [_part(0)]


def test_what_the_workers_of_a_transfer_went_through_is_added_up_and_counts_once(catalog: Catalog) -> None:
    until = TEN_O_CLOCK + timedelta(days=7)
    name = "copy_2026-01-15T10-00-00Z"
    assert catalog.done(ACME, name) == 0
    for part, entities in ((0, 5), (1, 7), (10**16 + 3, 11), (1, 7)):
        catalog.note_done(ACME, name, part, entities, until=until)
    catalog.note_done(ACME, f"{name}-2", 0, 100, until=until)
    catalog.note_done(OTHER, name, 0, 100, until=until)
    assert catalog.done(ACME, name) == 23
    assert list(catalog.snapshots(ACME)) == []
    assert list(catalog.restores(ACME)) == []

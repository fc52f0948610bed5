"""A record of the catalog that was altered, exchanged or lost is noticed and named, and nothing is done by it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.aws import MOTO, client_of, table_on
from tests.contract.examples import ACME, OTHER, api_key, restore, schedule, snapshot
from tests.driving import TENANT, content, key, live, put, run_restore
from tests.fakes import MemorySchedules, memory_ports
from tests.tally import TALLY
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.domain.live import Layout
from tidemark.domain.restore import DamagedRestore, StagedPart
from tidemark.domain.schedule import DamagedSchedule
from tidemark.domain.snapshot import DamagedSnapshot
from tidemark.errors import CatalogCorrupt, ScheduleNotFound, SnapshotNotFound, StaleRecord, Throttled
from tidemark.ports import Ports
from tidemark.usecases.create_schedule import ScheduleWanted, create_schedule
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_schedule import delete_schedule
from tidemark.usecases.read_schedules import get_schedule
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.scrub import scrub
from tidemark.usecases.verify_snapshot import verify_snapshot

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

type Row = dict[str, Any]

PLACE = "TENANT#acme / SNAPSHOT#2026-01-15T10-00-00Z#000001"


@dataclass
class Shelf:
    """A catalog and the rows behind it."""

    client: "DynamoDBClient"
    table: str
    catalog: DynamoCatalog

    def row(self, pk: str, sk: str) -> Row:
        found: Row = self.client.get_item(TableName=self.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})["Item"]
        return found

    def rows(self, prefix: str) -> list[Row]:
        found = self.client.scan(TableName=self.table)["Items"]
        return sorted((row for row in found if row["sk"]["S"].startswith(prefix)), key=lambda row: row["sk"]["S"])

    def store(self, row: Row) -> None:
        self.client.put_item(TableName=self.table, Item=row)

    def drop(self, row: Row) -> None:
        self.client.delete_item(TableName=self.table, Key={"pk": row["pk"], "sk": row["sk"]})


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with client_of("dynamodb", MOTO) as client, table_on(client) as table:
        yield Shelf(client, table, DynamoCatalog(client, table))


def altered(row: Row, other: Row) -> dict[str, Row]:
    """The row, damaged in every way that leaves it where it is."""
    text = row["record"]["S"]
    one_up = str(int(row["version"]["N"]) + 1)
    damaged = {
        "truncated": {"record": {"S": text[:-1]}},
        "emptied": {"record": {"S": ""}},
        "extended": {"record": {"S": text + " "}},
        "another record": {"record": other["record"]},
        "another record with its checksum": {"record": other["record"], "sha256": other["sha256"]},
        "another row": {name: value for name, value in other.items() if name not in {"pk", "sk"}},
        "another checksum": {"sha256": other["sha256"]},
        "another version": {"version": {"N": one_up}},
        "another type": {"record": {"B": text.encode()}},
    }
    gone = {f"no {name}": {key: value for key, value in row.items() if key != name} for name in ("record", "sha256")}
    return {name: row | change for name, change in damaged.items()} | gone


def test_snapshot_is_corrupt_whichever_character_of_its_record_is_another(shelf: Shelf) -> None:
    stored = shelf.catalog.add_snapshot(snapshot(description="Pre-deployment backup \U0001f692", entity_count=1250))
    row = shelf.row(*PLACE.split(" / "))
    text = row["record"]["S"]
    for place, character in enumerate(text):
        shelf.store(row | {"record": {"S": text[:place] + chr(ord(character) ^ 1) + text[place + 1 :]}})
        with pytest.raises(CatalogCorrupt, match=PLACE):
            shelf.catalog.snapshot(ACME, stored.id)
        TALLY["corruption matrix, damages noticed and named"] += 1
    shelf.store(row)
    assert shelf.catalog.snapshot(ACME, stored.id) == stored


def test_every_kind_of_record_is_corrupt_when_its_row_is_damaged(shelf: Shelf) -> None:
    for second in range(2):
        shelf.catalog.add_snapshot(snapshot(second))
        shelf.catalog.add_restore(restore(second))
        shelf.catalog.add_schedule(schedule(second))
        shelf.catalog.add_key(api_key(f"key {second}"))
        shelf.catalog.record_part(ACME, restore().id, StagedPart(second, 1, ()))
    reads: dict[str, list[Callable[[], object]]] = {
        "SNAPSHOT#": [lambda: shelf.catalog.snapshot(ACME, snapshot().id), lambda: list(shelf.catalog.snapshots(ACME))],
        "RESTORE#": [lambda: shelf.catalog.restore(ACME, restore().id), lambda: list(shelf.catalog.restores(ACME))],
        "SCHEDULE#": [lambda: shelf.catalog.schedule(ACME, schedule().id)],
        "KEY": [lambda: shelf.catalog.key(api_key("key 0").id)],
        "PART#": [lambda: shelf.catalog.parts(ACME, restore().id)],
    }
    for prefix, calls in reads.items():
        row, other = sorted(shelf.rows(prefix), key=lambda row: (row["pk"]["S"], row["sk"]["S"]))
        if prefix == "PART#":
            row["version"] = other["version"] = {"N": "1"}
        for name, bad in altered(row, other).items():
            if prefix == "PART#" and name == "another version":
                continue
            shelf.store(bad)
            for call in calls:
                with pytest.raises(CatalogCorrupt, match=row["sk"]["S"]):
                    call()
                TALLY["corruption matrix, damages noticed and named"] += 1
        shelf.store(row)


def test_record_of_another_tenant_is_corrupt_when_it_is_put_in_its_place(shelf: Shelf) -> None:
    shelf.catalog.add_snapshot(snapshot())
    shelf.catalog.add_snapshot(snapshot(tenant=OTHER))
    foreign = shelf.row("TENANT#acme_2", "SNAPSHOT#2026-01-15T10-00-00Z#000001")
    shelf.store(foreign | {"pk": {"S": "TENANT#acme"}})
    with pytest.raises(CatalogCorrupt, match=PLACE):
        shelf.catalog.snapshot(ACME, snapshot().id)


def test_other_restores_are_found_when_the_record_of_one_is_damaged(shelf: Shelf) -> None:
    oldest, middle, newest = (shelf.catalog.add_restore(restore(second)) for second in range(3))
    other, row, _ = shelf.rows("RESTORE#")
    for bad in altered(row, other).values():
        shelf.store(bad)
        first, damaged, last = shelf.catalog.found_restores(ACME)
        assert (first, last) == (newest, oldest)
        assert isinstance(damaged, DamagedRestore)
        assert (damaged.id, damaged.created_at) == (middle.id, middle.created_at.replace(microsecond=0))
        assert damaged.failure.code == "CatalogCorrupt"
        assert row["sk"]["S"] in damaged.failure.message
        TALLY["corruption matrix, damages noticed and named"] += 1


def test_other_snapshots_are_found_when_the_record_of_one_is_damaged(shelf: Shelf) -> None:
    oldest, middle, newest = (shelf.catalog.add_snapshot(snapshot(second)) for second in range(3))
    other, row, _ = shelf.rows("SNAPSHOT#")
    for bad in altered(row, other).values():
        shelf.store(bad)
        first, damaged, last = shelf.catalog.found_snapshots(ACME)
        assert (first, last) == (newest, oldest)
        assert isinstance(damaged, DamagedSnapshot)
        assert (damaged.id, damaged.created_at) == (middle.id, middle.created_at.replace(microsecond=0))
        assert damaged.failure.code == "CatalogCorrupt"
        assert row["sk"]["S"] in damaged.failure.message


def test_other_schedules_are_found_when_the_record_of_one_is_damaged(shelf: Shelf) -> None:
    good, bad = (shelf.catalog.add_schedule(schedule(number)) for number in range(2))
    row = shelf.rows("SCHEDULE#")[1]
    shelf.store(row | {"record": {"S": "{}"}})
    found, damaged = shelf.catalog.found_schedules(ACME)
    assert found == good
    assert isinstance(damaged, DamagedSchedule)
    assert damaged.id == bad.id
    assert damaged.failure.code == "CatalogCorrupt"
    assert bad.id in damaged.failure.message


def test_damaged_schedule_can_be_deleted_and_is_delivered_no_more(shelf: Shelf) -> None:
    aws = MemorySchedules()
    ports = replace(memory_ports(), catalog=shelf.catalog, schedules=aws)
    other, made = (create_schedule(ports, ACME, ScheduleWanted("rate(1 hour)")) for _ in range(2))
    (row,) = [row for row in shelf.rows("SCHEDULE#") if row["sk"]["S"].endswith(made.id)]
    for bad in (
        row | {"record": {"S": "{}"}},
        row | {"sha256": {"S": ""}},
        row | {"version": {"N": "99"}},
        {name: row[name] for name in ("pk", "sk")},
    ):
        aws.put(made, now=made.created_at)
        shelf.store(bad)
        with pytest.raises(CatalogCorrupt):
            get_schedule(ports, ACME, made.id)
        delete_schedule(ports, ACME, made.id)
        assert list(shelf.catalog.found_schedules(ACME)) == [other]
        assert aws.held.keys() == {other.id}
        with pytest.raises(ScheduleNotFound):
            delete_schedule(ports, ACME, made.id)


def test_damaged_schedule_stays_in_the_list_while_it_may_be_delivered(shelf: Shelf) -> None:
    aws = MemorySchedules()
    ports = replace(memory_ports(), catalog=shelf.catalog, schedules=aws)
    made = create_schedule(ports, ACME, ScheduleWanted("rate(1 hour)"))
    (row,) = shelf.rows("SCHEDULE#")
    shelf.store(row | {"record": {"S": "{}"}})

    def refuse(_: object) -> None:
        raise Throttled("slow down")

    aws.before = refuse
    with pytest.raises(Throttled):
        delete_schedule(ports, ACME, made.id)
    assert [one.id for one in shelf.catalog.found_schedules(ACME)] == [made.id]


def test_sound_schedule_is_not_removed_as_a_damaged_one(shelf: Shelf) -> None:
    sound = shelf.catalog.add_schedule(schedule())
    with pytest.raises(StaleRecord):
        shelf.catalog.remove_damaged_schedule(ACME, sound.id)
    assert shelf.catalog.schedule(ACME, sound.id) == sound
    shelf.catalog.remove_damaged_schedule(ACME, schedule(1).id)


@pytest.mark.parametrize("place", ["SNAPSHOT#", "SNAPSHOT#yesterday#000001", "SNAPSHOT#2026-01-15T10-00-00Z#one"])
def test_damaged_record_has_no_id_when_its_place_is_no_snapshots(shelf: Shelf, place: str) -> None:
    known = shelf.catalog.add_snapshot(snapshot())
    [row] = shelf.rows("SNAPSHOT#")
    shelf.store(row | {"sk": {"S": place}})
    found = list(shelf.catalog.found_snapshots(ACME))
    assert known in found
    [damaged] = [one for one in found if isinstance(one, DamagedSnapshot)]
    assert (damaged.id, damaged.created_at) == (None, None)
    assert place in damaged.failure.message


def test_scrub_reads_the_other_snapshots_when_the_record_of_one_is_damaged(shelf: Shelf) -> None:
    ports = world(shelf)
    first, row = shelf.rows("SNAPSHOT#")
    shelf.store(altered(row, first)["truncated"])
    scrubbed = scrub(ports, days=1, budget_s=60)
    older = ports.catalog.snapshot(TENANT, "snapshot_2026-01-15T10-00-00Z")
    assert [one.failure.code for one in scrubbed.damage] == ["CatalogCorrupt"]
    assert scrubbed.packs == 1
    assert older.verification is not None
    assert older.verification.ok


def world(shelf: Shelf) -> Ports:
    ports = replace(memory_ports(), catalog=shelf.catalog, layout=Layout(shards=1, gates=1))
    put(ports, {key(number): number for number in range(4)})
    create_snapshot(ports, TENANT)
    put(ports, {key(1): 11})
    create_snapshot(ports, TENANT)
    put(ports, {key(2): 22})
    return ports


def test_nothing_is_verified_restored_or_built_on_when_the_record_of_a_snapshot_is_damaged(shelf: Shelf) -> None:
    ports = world(shelf)
    first, row = shelf.rows("SNAPSHOT#")
    name = "snapshot_2026-01-15T10-00-00Z-2"
    before = live(ports)
    for bad in altered(row, first).values():
        shelf.store(bad)
        with pytest.raises(CatalogCorrupt, match=row["sk"]["S"]):
            verify_snapshot(ports, TENANT, name)
        with pytest.raises(CatalogCorrupt, match=row["sk"]["S"]):
            restore_snapshot(ports, TENANT, name)
        scrubbed = scrub(ports, days=1, budget_s=60)
        assert [one.failure.code for one in scrubbed.damage] == ["CatalogCorrupt"]
        assert row["sk"]["S"] in scrubbed.damage[0].failure.message
        assert live(ports) == before
        TALLY["corruption matrix, damages noticed and named"] += 3
    after = create_snapshot(ports, TENANT)
    assert content(ports, after.id) == before
    assert after.new_bytes == after.stored_bytes, "a full copy, on nothing"


def test_restore_rolls_back_and_frees_the_tenant_when_the_record_of_its_snapshot_is_damaged(shelf: Shelf) -> None:
    ports = world(shelf)
    before = live(ports)
    begun = restore_snapshot(ports, TENANT, "snapshot_2026-01-15T10-00-00Z-2")
    first, row = shelf.rows("SNAPSHOT#")
    shelf.store(altered(row, first)["truncated"])
    rolled_back = run_restore(ports, begun.id)
    assert rolled_back is not None
    assert rolled_back.error == "CatalogCorrupt"
    assert row["sk"]["S"] in (rolled_back.message or "")
    assert live(ports) == before
    state = ports.table.load(TENANT).state
    assert state is not None
    assert state.lease is None


def test_snapshot_is_not_found_when_its_record_is_missing(shelf: Shelf) -> None:
    ports = world(shelf)
    _, row = shelf.rows("SNAPSHOT#")
    shelf.drop(row)
    name = "snapshot_2026-01-15T10-00-00Z-2"
    for call in (verify_snapshot, restore_snapshot):
        with pytest.raises(SnapshotNotFound, match=name):
            call(ports, TENANT, name)
        TALLY["corruption matrix, damages noticed and named"] += 1
    ports.clock.sleep(1)
    after = create_snapshot(ports, TENANT)
    assert content(ports, after.id) == live(ports)

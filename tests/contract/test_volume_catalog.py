"""What `ports.VolumeCatalog` promises; and that damage of its records is noticed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.aws import disturb, lose_answers, table_on
from tests.tally import TALLY
from tests.unit.volumes.examples import FAILURE, IMAGE, TASK_ID, TEN_O_CLOCK, TEST_AREA, environment, snapshot, task
from tidemark.adapters.dynamo_volumes import DynamoVolumeCatalog
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.task import KEPT_FOR, Operation, Task, TaskId
from tidemark.domain.upload import Upload
from tidemark.domain.volume import DamagedVolumeSnapshot, VolumeId, VolumeSnapshot, VolumeSnapshotId
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.domain.volume_names import MAX_NAME_CHARS
from tidemark.errors import (
    AwsFailure,
    CatalogCorrupt,
    NameTaken,
    RecordExists,
    StaleRecord,
    TaskNotFound,
    Throttled,
    VolumeBusy,
    VolumeSnapshotNotFound,
    WriteConflict,
)
from tidemark.ports.volume_catalog import VolumeCatalog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

LATER = TEN_O_CLOCK + timedelta(minutes=3)
OTHER_AREA = EnvironmentId("compute-on/other")
OTHER_VOLUME = VolumeId("c779ca42-6966-41af-a7dc-23db4e41d4ef")


def numbered(number: int, **fields: Any) -> VolumeSnapshot:
    """One of several snapshots that have nothing in common."""
    wanted: dict[str, Any] = {
        "id": VolumeSnapshotId(f"{number:08x}-5a27-42a5-aec4-37606e372bda"),
        "name": f"name {number}",
        "volume_id": VolumeId(f"{number:08x}-6966-41af-a7dc-23db4e41d4ee"),
    }
    return snapshot(**wanted | fields)


# --- environments


def test_environments_are_listed_by_id_and_can_be_removed(volumes: VolumeCatalog) -> None:
    second, first = (volumes.add_environment(environment(name=name)) for name in ("b_area", "a_area"))
    assert list(volumes.environments()) == [first, second]
    changed = volumes.replace_environment(replace(first, region="eu-west-1"))
    with pytest.raises(StaleRecord):
        volumes.remove_environment(first)
    for _ in range(2):
        volumes.remove_environment(changed)
    assert list(volumes.environments()) == [second]
    assert list(volumes.environment_ids()) == [second.id]


# --- names and volumes of snapshots


def test_name_is_one_snapshots_of_the_environment_until_it_is_deleted(volumes: VolumeCatalog) -> None:
    first = volumes.add_volume_snapshot(numbered(1, name="taken"))
    rival = numbered(2, name="taken")
    elsewhere = volumes.add_volume_snapshot(replace(rival, environment=OTHER_AREA))
    for state in (State.FAILED, State.DELETING):
        first = volumes.replace_volume_snapshot(replace(first, state=state, failure=FAILURE))
        with pytest.raises(NameTaken) as refused:
            volumes.add_volume_snapshot(rival)
        assert refused.value.snapshot_id == first.id
        with pytest.raises(VolumeSnapshotNotFound):
            volumes.volume_snapshot(TEST_AREA, rival.id)
    volumes.replace_volume_snapshot(replace(first, state=State.DELETED))
    assert volumes.add_volume_snapshot(rival).version == 1
    assert elsewhere.name == rival.name


def test_longest_names_are_told_apart_and_given_back_as_all_others(volumes: VolumeCatalog) -> None:
    # Four bytes each.
    longest = "\U0001f692" * MAX_NAME_CHARS
    first = volumes.add_volume_snapshot(numbered(1, name=longest))
    assert volumes.volume_snapshot(TEST_AREA, first.id).name == longest
    with pytest.raises(NameTaken) as refused:
        volumes.add_volume_snapshot(numbered(2, name=longest))
    assert refused.value.snapshot_id == first.id
    volumes.add_volume_snapshot(numbered(3, name=longest[:-1] + "\U0001f693"))
    first = volumes.replace_volume_snapshot(replace(first, state=State.FAILED, failure=FAILURE))
    volumes.replace_volume_snapshot(replace(first, state=State.DELETED))
    assert volumes.add_volume_snapshot(numbered(2, name=longest)).version == 1


@pytest.mark.parametrize("ended", [State.STORED, State.FAILED])
def test_volume_has_one_snapshot_that_is_being_made(volumes: VolumeCatalog, ended: State) -> None:
    running = volumes.add_volume_snapshot(numbered(1, volume_id=OTHER_VOLUME))
    rival = numbered(2, volume_id=OTHER_VOLUME)
    for state in (State.CREATING, State.CUT, State.STORING):
        running = volumes.replace_volume_snapshot(replace(running, state=state))
        with pytest.raises(VolumeBusy) as refused:
            volumes.add_volume_snapshot(rival)
        assert (refused.value.volume_id, refused.value.snapshot_id) == (OTHER_VOLUME, running.id)
    volumes.replace_volume_snapshot(replace(running, state=ended, image=IMAGE, failure=FAILURE))
    assert volumes.add_volume_snapshot(rival).id == rival.id


def test_import_is_in_the_way_of_no_snapshot_of_its_volume_and_none_is_in_its_way(volumes: VolumeCatalog) -> None:
    waiting = Upload(5, until=TEN_O_CLOCK)
    imports = [
        volumes.add_volume_snapshot(numbered(number, volume_id=OTHER_VOLUME, uploaded=waiting)) for number in (1, 2)
    ]
    taken = volumes.add_volume_snapshot(numbered(3, volume_id=OTHER_VOLUME))
    for one in imports:
        assert volumes.volume_snapshot(TEST_AREA, one.id) == one
        volumes.replace_volume_snapshot(replace(one, state=State.FAILED, failure=FAILURE))
    with pytest.raises(VolumeBusy) as busy:
        volumes.add_volume_snapshot(numbered(4, volume_id=OTHER_VOLUME))
    assert busy.value.snapshot_id == taken.id


def test_late_change_of_an_earlier_snapshot_takes_nothing_from_a_later_one(volumes: VolumeCatalog) -> None:
    first = volumes.add_volume_snapshot(numbered(1, volume_id=OTHER_VOLUME, name="one"))
    first = volumes.replace_volume_snapshot(replace(first, state=State.FAILED, failure=FAILURE))
    second = volumes.add_volume_snapshot(numbered(2, volume_id=OTHER_VOLUME, name="two"))
    first = volumes.replace_volume_snapshot(replace(first, state=State.DELETING))
    with pytest.raises(VolumeBusy) as busy:
        volumes.add_volume_snapshot(numbered(3, volume_id=OTHER_VOLUME, name="three"))
    assert busy.value.snapshot_id == second.id
    first = volumes.replace_volume_snapshot(replace(first, state=State.DELETED))
    third = volumes.add_volume_snapshot(numbered(3, name="one"))
    volumes.replace_volume_snapshot(replace(first, used_by=frozenset({"late"})))
    with pytest.raises(NameTaken) as taken:
        volumes.add_volume_snapshot(numbered(4, name="one"))
    assert taken.value.snapshot_id == third.id


def test_one_snapshot_of_a_volume_is_registered_when_many_race(volumes: VolumeCatalog) -> None:
    def tried(number: int) -> bool:
        try:
            volumes.add_volume_snapshot(numbered(number, volume_id=OTHER_VOLUME))
        except (VolumeBusy, WriteConflict):
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(tried, range(1, 9)))
    assert won.count(True) == 1
    assert [one.id for one in volumes.volume_snapshots(TEST_AREA)] == [numbered(won.index(True) + 1).id]


def test_task_is_registered_with_its_snapshot_or_neither_is(volumes: VolumeCatalog) -> None:
    volumes.add_volume_snapshot(numbered(1), task())
    assert volumes.task(TASK_ID) == replace(task(), version=1)
    assert volumes.add_volume_snapshot(numbered(1), task()).version == 1
    late = replace(task(), id=TaskId("c2c13744-8610-4012-800a-0907bea110a6"))
    with pytest.raises(NameTaken):
        volumes.add_volume_snapshot(numbered(2, name="name 1"), late)
    with pytest.raises(TaskNotFound):
        volumes.task(late.id)
    with pytest.raises(RecordExists):
        volumes.add_volume_snapshot(numbered(3), task(Operation.DELETE))
    with pytest.raises(VolumeSnapshotNotFound):
        volumes.volume_snapshot(TEST_AREA, numbered(3).id)


@pytest.mark.parametrize("state", [State.CREATING, State.STORED, State.DELETED])
def test_task_is_registered_with_a_change_of_its_snapshot_or_neither_is_stored(
    volumes: VolumeCatalog, state: State
) -> None:
    first = volumes.add_volume_snapshot(numbered(1))
    used = replace(first, state=state, image=IMAGE, used_by=frozenset({"task"}))
    stored = volumes.replace_volume_snapshot(used, task(Operation.RESTORE))
    assert (stored.version, volumes.task(TASK_ID)) == (2, replace(task(Operation.RESTORE), version=1))
    late = replace(task(Operation.RESTORE), id=TaskId("c2c13744-8610-4012-800a-0907bea110a6"))
    with pytest.raises(StaleRecord):
        volumes.replace_volume_snapshot(replace(first, used_by=frozenset({"late"})), late)
    with pytest.raises(TaskNotFound):
        volumes.task(late.id)
    with pytest.raises(RecordExists):
        volumes.replace_volume_snapshot(replace(stored, used_by=frozenset()), replace(task(), created_at=LATER))
    assert volumes.volume_snapshot(TEST_AREA, first.id) == stored


def test_snapshots_of_one_environment_only_are_listed_in_every_state(volumes: VolumeCatalog) -> None:
    own = [volumes.add_volume_snapshot(numbered(number)) for number in range(3)]
    own[0] = volumes.replace_volume_snapshot(replace(own[0], state=State.DELETED))
    volumes.add_volume_snapshot(numbered(9, environment=OTHER_AREA))
    volumes.add_environment(environment())
    assert sorted(volumes.volume_snapshots(TEST_AREA), key=lambda one: one.id) == own


def test_snapshot_is_forgotten_at_the_version_that_was_read_and_no_other(volumes: VolumeCatalog) -> None:
    others = volumes.add_volume_snapshot(numbered(1))
    first = volumes.add_volume_snapshot(numbered(2))
    first = volumes.replace_volume_snapshot(replace(first, state=State.FAILED, failure=FAILURE))
    deleted = volumes.replace_volume_snapshot(replace(first, state=State.DELETED))
    with pytest.raises(StaleRecord):
        volumes.remove_volume_snapshot(first)
    for _ in range(2):
        volumes.remove_volume_snapshot(deleted)
    assert list(volumes.volume_snapshots(TEST_AREA)) == [others]
    with pytest.raises(VolumeSnapshotNotFound):
        volumes.replace_volume_snapshot(deleted)


# --- what DynamoDB alone can do to it


@pytest.fixture
def shelf(dynamodb: "DynamoDBClient") -> Any:
    with table_on(dynamodb) as table:
        yield dynamodb, table, DynamoVolumeCatalog(dynamodb, table)


def test_damaged_record_is_named_and_hides_no_other(shelf: Any) -> None:
    client, table, catalog = shelf
    for name in ("test_area", "other"):
        catalog.add_environment(environment(name=name))
    for number in (1, 2):
        catalog.add_volume_snapshot(numbered(number), replace(task(), id=TaskId(f"{number}{TASK_ID[1:]}")))
    rows = client.scan(TableName=table)["Items"]
    reads: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
        ("ENVIRONMENTS", lambda row: catalog.environment(row["sk"]["S"])),
        ("ENV#", lambda row: catalog.volume_snapshot(TEST_AREA, row["sk"]["S"].partition("#")[2])),
        ("TASK#", lambda row: catalog.task(row["pk"]["S"].partition("#")[2])),
    ]
    for prefix, read in reads:
        row, other = (one for one in rows if one["pk"]["S"].startswith(prefix) and "record" in one)
        record = row["record"]["S"]
        for bad in (
            row | {"record": {"S": record[:-1]}},
            row | {"record": other["record"]},
            row | {name: other[name] for name in ("record", "sha256")},
            row | {"version": {"N": "2"}},
            {name: value for name, value in row.items() if name != "sha256"},
        ):
            client.put_item(TableName=table, Item=bad)
            with pytest.raises(CatalogCorrupt, match=row["sk"]["S"]):
                read(row)
            TALLY["corruption matrix, damages noticed and named"] += 1
            if prefix == "ENV#":
                found = list(catalog.volume_snapshots(TEST_AREA))
                damaged = [one for one in found if isinstance(one, DamagedVolumeSnapshot)]
                assert [(one.id, one.failure.code) for one in damaged] == [
                    (row["sk"]["S"].partition("#")[2], "CatalogCorrupt")
                ]
                assert len(found) == 2
        client.put_item(TableName=table, Item=row)
        assert read(row) is not None


def test_damaged_record_takes_its_place_and_is_not_written_over(shelf: Any) -> None:
    client, table, catalog = shelf
    stored = catalog.add_volume_snapshot(numbered(1))
    (row,) = [row for row in client.scan(TableName=table)["Items"] if "record" in row]
    client.put_item(TableName=table, Item=row | {"record": {"S": "{}"}})
    with pytest.raises(RecordExists):
        catalog.add_volume_snapshot(numbered(1))
    client.put_item(TableName=table, Item=row | {"record": {"S": "{}"}, "version": {"N": "7"}})
    with pytest.raises(StaleRecord):
        catalog.replace_volume_snapshot(replace(stored, state=State.FAILED, failure=FAILURE))


@pytest.mark.parametrize(("place", "refused"), [("NAME#", {"volume_id": OTHER_VOLUME}), ("VOLUME#", {"name": "other"})])
def test_row_that_does_not_say_whose_it_is_is_named(shelf: Any, place: str, refused: dict[str, Any]) -> None:
    client, table, catalog = shelf
    catalog.add_volume_snapshot(numbered(1))
    (row,) = [row for row in client.scan(TableName=table)["Items"] if row["sk"]["S"].startswith(place)]
    client.put_item(TableName=table, Item={name: row[name] for name in ("pk", "sk")})
    wanted = replace(numbered(1, **refused), id=numbered(2).id)
    with pytest.raises(CatalogCorrupt, match=place):
        catalog.add_volume_snapshot(wanted)


def test_transaction_whose_answer_was_lost_is_made_up_for(shelf: Any) -> None:
    client, _, catalog = shelf
    lost = lose_answers(client)
    lost.next_answers = 1
    first = catalog.add_volume_snapshot(numbered(1), task())
    lost.next_answers = 1
    catalog.replace_volume_snapshot(replace(first, state=State.FAILED, failure=FAILURE))
    assert lost.count == 2
    assert catalog.volume_snapshot(TEST_AREA, first.id).version == 2


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("TransactionConflict", WriteConflict),
        ("ThrottlingError", Throttled),
        ("ValidationError", AwsFailure),
    ],
)
def test_cancelled_transaction_is_named_by_its_reason(shelf: Any, code: str, error: type[Exception]) -> None:
    client, _, catalog = shelf

    def cancelled(request: dict[str, Any]) -> dict[str, Any]:
        count = len(request["TransactItems"])
        reasons = [{"Code": code}, *({"Code": "None"} for _ in range(count - 1))]
        return {
            "Error": {"Code": "TransactionCanceledException", "Message": ""},
            "CancellationReasons": reasons,
            "ResponseMetadata": {},
        }

    first = catalog.add_volume_snapshot(numbered(1))
    disturb(client, "TransactWriteItems", cancelled, cancelled)
    with pytest.raises(error):
        catalog.add_volume_snapshot(numbered(2))
    with pytest.raises(error):
        catalog.replace_volume_snapshot(replace(first, state=State.FAILED, failure=FAILURE))
    with pytest.raises(VolumeSnapshotNotFound):
        catalog.volume_snapshot(TEST_AREA, numbered(2).id)


def test_task_is_of_no_environments_partition(shelf: Any) -> None:
    client, table, catalog = shelf
    stored: Task = catalog.add_task(task())
    (row,) = client.scan(TableName=table)["Items"]
    assert row["pk"]["S"] == f"TASK#{stored.id}"
    assert row["status"]["S"] == "pending"


def test_row_of_a_task_says_from_when_on_it_is_not_needed_and_no_other_row_does(shelf: Any) -> None:
    client, table, catalog = shelf
    made = catalog.add_volume_snapshot(numbered(1), task())
    restoring = catalog.add_task(replace(task(Operation.RESTORE), id=TaskId(f"d{TASK_ID[1:]}")))

    def expiring() -> dict[str, int]:
        rows = client.scan(TableName=table)["Items"]
        return {row["pk"]["S"]: int(row["expiresAt"]["N"]) for row in rows if "expiresAt" in row}

    until = int((TEN_O_CLOCK + KEPT_FOR).timestamp())
    assert expiring() == {f"TASK#{TASK_ID}": until}
    catalog.replace_task(restoring.succeeded(LATER, "vol-1"))
    catalog.replace_volume_snapshot(replace(made, state=State.FAILED, failure=FAILURE))
    assert expiring() == {f"TASK#{TASK_ID}": until, f"TASK#{restoring.id}": int((LATER + KEPT_FOR).timestamp())}


def test_ids_of_environments_are_told_where_their_records_are_damaged(shelf: Any) -> None:
    client, table, catalog = shelf
    made = [catalog.add_environment(environment(name=name)) for name in ("b_area", "a_area")]
    (row, _) = client.scan(TableName=table)["Items"]
    client.put_item(TableName=table, Item={name: row[name] for name in ("pk", "sk")})
    assert list(catalog.environment_ids()) == sorted(one.id for one in made)

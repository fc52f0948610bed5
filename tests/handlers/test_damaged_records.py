"""What callers see when the record of a snapshot or restore is damaged: the others, and which one it is."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from functions.ngsi.delete_snapshot import handler as delete_snapshot
from functions.ngsi.get_restore import handler as get_restore
from functions.ngsi.get_snapshot import handler as get_snapshot
from functions.ngsi.list_restores import handler as list_restores
from functions.ngsi.list_snapshots import handler as list_snapshots
from functions.ngsi.restore_snapshot import handler as restore_handler
from tests.contract.aws import MOTO, client_of, table_on
from tests.driving import TENANT, key, put, run_restore
from tests.fakes import ManualClock
from tests.handlers.rest import Answer, assert_error, call, request
from tidemark import bootstrap
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.domain.restore import StagedPart
from tidemark.ports import Ports
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot

GOOD = "snapshot_2026-01-15T10-00-00Z"
BAD = "snapshot_2026-01-15T10-00-00Z-2"
PLACE = "SNAPSHOT#2026-01-15T10-00-00Z#000002"
NOWHERE = "SNAPSHOT#yesterday#000001"


@pytest.fixture
def damaged(ports: Ports) -> Iterator[Ports]:
    """Two snapshots, the second with a damaged record, and a record in a place that is no snapshot's."""
    with client_of("dynamodb", MOTO) as client, table_on(client) as table:
        fresh = replace(ports, catalog=DynamoCatalog(client, table))
        put(fresh, {key(number): number for number in range(4)})
        assert [create_snapshot(fresh, TENANT).id for _ in range(2)] == [GOOD, BAD]
        where = {"pk": {"S": f"TENANT#{TENANT}"}, "sk": {"S": PLACE}}
        row: Any = client.get_item(TableName=table, Key=where)["Item"]
        client.put_item(TableName=table, Item=row | {"sk": {"S": NOWHERE}})
        client.put_item(TableName=table, Item=row | {"record": {"S": row["record"]["S"][:-1]}})
        with bootstrap.use(fresh):
            yield fresh


def _told(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    """The tenant and the sentence of each damage that is logged; as many are counted for the alarm."""
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sentences = [(one["tenant"], one["message"]) for one in logged if one.get("message", "").startswith("damaged: ")]
    assert sum(one.get("VerificationFailed", [0])[0] for one in logged) == len(sentences)
    return sentences


@pytest.mark.usefixtures("damaged")
def test_list_shows_the_others_and_names_the_damaged_one(capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(list_snapshots.handler, request("ngsi", "list_snapshots", tenant=TENANT, query={"options": "count"}))
    bad, good = answer.json
    assert (answer.status, answer.headers["Fiware-Total-Count"]) == (200, "2")
    assert (good["id"], good["status"], good["entityCount"]) == (GOOD, "completed", 4)
    assert list(bad) == [*good, "error"]
    assert (bad["id"], bad["createdAt"], bad["status"]) == (BAD, "2026-01-15T10:00:00Z", "failed")
    assert bad["error"]["code"] == "CatalogCorrupt"
    assert PLACE in bad["error"]["description"]
    told = _told(capsys)
    assert [tenant for tenant, _ in told] == [TENANT] * 2
    assert all(place in sentence for place, (_, sentence) in zip((NOWHERE, PLACE), told, strict=True))


@pytest.mark.usefixtures("damaged")
def test_recycle_bin_is_listed_when_a_record_is_damaged(capsys: pytest.CaptureFixture[str]) -> None:
    call(delete_snapshot.handler, request("ngsi", "delete_snapshot", tenant=TENANT, path=f"/v2/snapshots/{GOOD}"))
    answer = call(list_snapshots.handler, request("ngsi", "list_snapshots", tenant=TENANT, query={"status": "deleted"}))
    assert [one["id"] for one in answer.json] == [GOOD]
    assert [PLACE in sentence or NOWHERE in sentence for _, sentence in _told(capsys)] == [True, True]


@pytest.mark.usefixtures("damaged")
@pytest.mark.parametrize(
    ("name", "module", "rest"),
    [
        ("get_snapshot", get_snapshot, ""),
        ("delete_snapshot", delete_snapshot, ""),
        ("restore_snapshot", restore_handler, "/restore"),
    ],
)
def test_request_for_the_damaged_one_says_what_is_damaged(
    capsys: pytest.CaptureFixture[str], name: str, module: Any, rest: str
) -> None:
    answer = call(module.handler, request("ngsi", name, tenant=TENANT, path=f"/v2/snapshots/{BAD}{rest}"))
    assert_error(answer, 500, "InternalServerError", "damaged", PLACE)
    [(tenant, sentence)] = _told(capsys)
    assert (tenant, PLACE in sentence) == (TENANT, True)


GOOD_RESTORE = "restore_2026-01-15T10-00-00Z"
BAD_RESTORE = "restore_2026-01-15T10-00-00Z-2"
RESTORE_PLACE = "RESTORE#2026-01-15T10-00-00Z#000002"


@pytest.fixture
def restored(ports: Ports) -> Iterator[Callable[[str], None]]:
    """Two restores, the second under way; damages a record in the catalog by the sort key that it has."""
    with client_of("dynamodb", MOTO) as client, table_on(client) as table:
        fresh = replace(ports, catalog=DynamoCatalog(client, table))
        put(fresh, {key(number): number for number in range(4)})
        create_snapshot(fresh, TENANT)
        assert restore_snapshot(fresh, TENANT, GOOD, Wish(safety_snapshot=False)).id == GOOD_RESTORE
        run_restore(fresh, GOOD_RESTORE)
        assert restore_snapshot(fresh, TENANT, GOOD, Wish(safety_snapshot=False)).id == BAD_RESTORE
        fresh.catalog.record_part(TENANT, BAD_RESTORE, StagedPart(99, 3, ()))

        def damage(place: str) -> None:
            [row] = [row for row in client.scan(TableName=table)["Items"] if row["sk"]["S"] == place]
            client.put_item(TableName=table, Item=row | {"record": {"S": row["record"]["S"][:-1]}})

        with bootstrap.use(fresh):
            yield damage


def _restores(**query: str) -> Any:
    answer = call(list_restores.handler, request("ngsi", "list_restores", tenant=TENANT, query=query))
    assert answer.status == 200, answer
    assert answer.headers.get("Fiware-Total-Count") in {None, "2"}
    return answer.json


def test_list_of_restores_shows_the_others_and_names_the_damaged_one(
    restored: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = _restores()
    assert [(one["id"], one["done"]) for one in whole] == [(BAD_RESTORE, 3), (GOOD_RESTORE, 4)]
    assert _told(capsys) == []
    restored(RESTORE_PLACE)
    bad, good = _restores(options="count")
    assert good == whole[1]
    assert list(bad) == ["id", "status", "createdAt", "error"]
    assert (bad["id"], bad["status"], bad["createdAt"]) == (BAD_RESTORE, "failed", "2026-01-15T10:00:00Z")
    assert bad["error"]["code"] == "CatalogCorrupt"
    assert RESTORE_PLACE in bad["error"]["description"]
    [(tenant, sentence)] = _told(capsys)
    assert (tenant, RESTORE_PLACE in sentence) == (TENANT, True)
    [row] = _restores(limit="1", offset="1")
    assert row == good
    answer = call(
        get_restore.handler, request("ngsi", "get_restore", tenant=TENANT, path=f"/v2/restores/{BAD_RESTORE}")
    )
    assert_error(answer, 500, "InternalServerError", "damaged", RESTORE_PLACE)


def test_restore_is_listed_when_what_its_workers_noted_is_damaged(
    restored: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    restored("PART#000099")
    assert [(one["id"], one["status"], one["done"]) for one in _restores()] == [
        (BAD_RESTORE, "restoring", 0),
        (GOOD_RESTORE, "completed", 4),
    ]
    [(_, sentence)] = _told(capsys)
    assert "PART#000099" in sentence


def test_restore_under_a_key_is_refused_for_the_day_in_which_the_damaged_one_may_be_its_own(
    ports: Ports, restored: Callable[[str], None]
) -> None:
    def ask() -> Answer:
        path = f"/v2/snapshots/{GOOD}/restore"
        headers = {"Idempotency-Key": "K"}
        return call(
            restore_handler.handler, request("ngsi", "restore_snapshot", tenant=TENANT, path=path, headers=headers)
        )

    run_restore(bootstrap.ports(), BAD_RESTORE)
    restored(RESTORE_PLACE)
    assert_error(ask(), 500, "InternalServerError", "damaged", RESTORE_PLACE)
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(24 * 3600 + 1)
    assert ask().status == 202


def test_restore_without_a_key_is_made_though_the_record_of_another_is_damaged(
    restored: Callable[[str], None],
) -> None:
    run_restore(bootstrap.ports(), BAD_RESTORE)
    restored(RESTORE_PLACE)
    path = f"/v2/snapshots/{GOOD}/restore"
    assert call(restore_handler.handler, request("ngsi", "restore_snapshot", tenant=TENANT, path=path)).status == 202


@pytest.mark.parametrize("place", [RESTORE_PLACE, PLACE.replace("#000002", "#000001")], ids=["restore", "snapshot"])
@pytest.mark.parametrize("dry", [False, True], ids=["for good", "dry"])
def test_collection_deletes_nothing_and_names_the_record_that_is_damaged(
    ports: Ports, restored: Callable[[str], None], place: str, dry: bool
) -> None:
    ports.payloads.put(f"{TENANT}/packs/{'d' * 32}/000-base-00000.pack", b"garbage")
    before = {one.key for one in ports.payloads.list(f"{TENANT}/")}
    restored(place)
    report = collect_garbage(bootstrap.ports(), TENANT, dry_run=dry)
    [problem] = report.problems
    assert place in problem
    assert (report.done, report.kept, report.deleted.objects) == (True, report.listed, 0)
    assert {one.key for one in ports.payloads.list(f"{TENANT}/")} == before
    assert report.listed.objects == len(before)

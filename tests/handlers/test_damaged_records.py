"""What callers see when the record of a snapshot is damaged: the others, and which one it is."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from functions.ngsi.delete_snapshot import handler as delete_snapshot
from functions.ngsi.get_snapshot import handler as get_snapshot
from functions.ngsi.list_snapshots import handler as list_snapshots
from functions.ngsi.restore_snapshot import handler as restore_snapshot
from tests.contract.aws import MOTO, client_of, table_on
from tests.driving import TENANT, key, put
from tests.handlers.rest import assert_error, call, request
from tidemark import bootstrap
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot

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
        ("restore_snapshot", restore_snapshot, "/restore"),
    ],
)
def test_request_for_the_damaged_one_says_what_is_damaged(
    capsys: pytest.CaptureFixture[str], name: str, module: Any, rest: str
) -> None:
    answer = call(module.handler, request("ngsi", name, tenant=TENANT, path=f"/v2/snapshots/{BAD}{rest}"))
    assert_error(answer, 500, "InternalServerError", "damaged", PLACE)
    [(tenant, sentence)] = _told(capsys)
    assert (tenant, PLACE in sentence) == (TENANT, True)

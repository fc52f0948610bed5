"""The documented commands as a shell runs them, with only the host and the key changed, give the documented answers."""

import shlex
from typing import Any

import pytest

from tests.e2e import walk
from tests.e2e.curl import run
from tests.e2e.served import Caller, Served
from tests.local.up import curl_commands

ID_IN_THE_DOCUMENT = "snapshot_2026-01-15T10-00-00Z"
TENANT = "smartcity"


@pytest.fixture
def commands(served_stack: Served) -> list[str]:
    """The commands in the order of the documentation: create, list, restore, delete."""
    text = curl_commands(served_stack.url, served_stack.key()).replace("\\\n", " ")
    commands = ["curl " + command for command in text.split("\ncurl ")[1:]]
    assert [shlex.split(command, comments=True)[1:3] == ["-X", "POST"] for command in commands] == [
        True,
        False,
        True,
        False,
    ]
    return commands


def test_curl_gets_the_documented_answers(served_stack: Served, commands: list[str]) -> None:
    create, list_, restore, delete = commands
    call = Caller(served_stack.url, served_stack.key(), TENANT)
    walk.put_rooms(call, 7)

    answer = run(create)
    first = answer.json()
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/snapshots/{first['id']}"
    _assert_documented(first, "Pre-deployment backup", 7)

    walk.put_rooms(call, 9)
    second = run(create.replace("Pre-deployment backup", "Weekly backup")).json()
    _assert_documented(second, "Weekly backup", 9)
    answer = run(list_)
    assert answer.status == 200
    assert answer.json() == [second, first]
    assert [list(snapshot) for snapshot in answer.json()] == [walk.SUMMARY, walk.SUMMARY]

    answer = run(restore.replace(ID_IN_THE_DOCUMENT, first["id"]))
    assert answer.status == 202
    assert list(answer.json())[:3] == ["id", "status", "restoredEntities"]
    assert {name: answer.json()[name] for name in ("id", "status", "restoredEntities")} == {
        "id": first["id"],
        "status": "restoring",
        "restoredEntities": 7,
    }
    assert walk.over(call, answer.json()["restoreId"])["status"] == "completed"
    assert len(walk.entities(call)) == 7

    answer = run(delete.replace(ID_IN_THE_DOCUMENT, first["id"]))
    assert (answer.status, answer.body) == (204, b"")
    assert first["id"] not in {snapshot["id"] for snapshot in run(list_).json()}


def test_curl_is_told_what_is_wrong_when_the_snapshot_of_the_document_is_not_there(commands: list[str]) -> None:
    _, _, restore, delete = commands
    for command in (restore, delete):
        walk.assert_error(run(command), 404, "NotFound", ID_IN_THE_DOCUMENT)


def _assert_documented(snapshot: dict[str, Any], description: str, entities: int) -> None:
    """Members, order and formats as in the documentation."""
    assert list(snapshot) == walk.SUMMARY
    assert walk.SNAPSHOT_ID.fullmatch(snapshot["id"])
    assert walk.SECOND.fullmatch(snapshot["createdAt"])
    assert snapshot["id"].removeprefix("snapshot_").startswith(snapshot["createdAt"].replace(":", "-"))
    assert (snapshot["description"], snapshot["entityCount"], snapshot["status"]) == (
        description,
        entities,
        "completed",
    )

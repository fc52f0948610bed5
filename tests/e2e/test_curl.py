"""The documented commands as a shell runs them, with only the host and the key changed, give the documented answers."""

import shlex
import shutil
import subprocess
from typing import Any

import pytest

from tests.e2e import walk
from tests.e2e.served import Caller, Served, send
from tests.local.http_messages import Answer, Headers
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


def _run(command: str) -> Answer:
    """What the command answers: by curl itself, or, where there is none, by sending what it would send."""
    words = shlex.split(command, comments=True)
    if shutil.which("curl") is None:
        return _send_as_curl(words[1:])
    done = subprocess.run(
        [*words, "--silent", "--show-error", "--include"], capture_output=True, check=True, timeout=60
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    return Answer(int(status.split(" ")[1]), Headers(pairs), body)


def _send_as_curl(words: list[str]) -> Answer:
    method, url, body, headers = "GET", "", None, {}
    rest = iter(words)
    for word in rest:
        match word:
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            case "-d":
                body = next(rest).encode()
            case _:
                url = word
    host, path = url.removeprefix("http://").split("/", 1)
    return send(f"http://{host}", method, f"/{path}", headers, body)


def test_curl_gets_the_documented_answers(served_stack: Served, commands: list[str]) -> None:
    create, list_, restore, delete = commands
    call = Caller(served_stack.url, served_stack.key(), TENANT)
    walk.put_rooms(call, 7)

    answer = _run(create)
    first = answer.json()
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/snapshots/{first['id']}"
    _assert_documented(first, "Pre-deployment backup", 7)

    walk.put_rooms(call, 9)
    second = _run(create.replace("Pre-deployment backup", "Weekly backup")).json()
    _assert_documented(second, "Weekly backup", 9)
    answer = _run(list_)
    assert answer.status == 200
    assert answer.json() == [second, first]
    assert [list(snapshot) for snapshot in answer.json()] == [walk.SUMMARY, walk.SUMMARY]

    answer = _run(restore.replace(ID_IN_THE_DOCUMENT, first["id"]))
    assert answer.status == 202
    assert list(answer.json())[:3] == ["id", "status", "restoredEntities"]
    assert {name: answer.json()[name] for name in ("id", "status", "restoredEntities")} == {
        "id": first["id"],
        "status": "restoring",
        "restoredEntities": 7,
    }
    assert walk.over(call, answer.json()["restoreId"])["status"] == "completed"
    assert len(walk.entities(call)) == 7

    answer = _run(delete.replace(ID_IN_THE_DOCUMENT, first["id"]))
    assert (answer.status, answer.body) == (204, b"")
    assert first["id"] not in {snapshot["id"] for snapshot in _run(list_).json()}


def test_curl_is_told_what_is_wrong_when_the_snapshot_of_the_document_is_not_there(commands: list[str]) -> None:
    _, _, restore, delete = commands
    for command in (restore, delete):
        walk.assert_error(_run(command), 404, "NotFound", ID_IN_THE_DOCUMENT)


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

"""A walk through the whole API as a caller sees it, for any front that serves it."""

import re
import time
from typing import Any, Protocol

from tests.local.http_messages import Answer


class Caller(Protocol):
    """Sends requests as one tenant."""

    def __call__(self, method: str, path: str, document: Any = None, /) -> Answer:
        """Send a request with a JSON document, where there is one."""
        ...


SNAPSHOT_ID = re.compile(r"snapshot_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-[2-9]|-[1-9]\d+)?")
RESTORE_ID = re.compile(r"restore_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-[2-9]|-[1-9]\d+)?")
SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MILLISECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SUMMARY = ["id", "description", "createdAt", "entityCount", "status"]
RESTORE_MEMBERS = ["id", "snapshotId", "status", "mode", "phase", "done", "total", "percent", "createdAt", "phases"]
_TIMEOUT_S = 60
_POLL_INTERVAL_S = 0.05


def room(number: int, value: Any = 0) -> dict[str, Any]:
    """A small entity in normalized form."""
    temperature = {"type": "Number", "value": value, "metadata": {}}
    return {"id": f"urn:ngsi-ld:Room:{number:04d}", "type": "Room", "temperature": temperature}


def put_rooms(call: Caller, count: int, value: Any = 0) -> None:
    """Have that many rooms with this value."""
    rooms = [room(number, value) for number in range(count)]
    answer = call("POST", "/v2/op/update", {"actionType": "append", "entities": rooms})
    assert answer.status == 204, answer.text


def entities(call: Caller) -> list[Any]:
    """Every entity of the tenant (at most 1000)."""
    answer = call("GET", "/v2/entities?limit=1000")
    assert answer.status == 200, answer.text
    return list(answer.json())


def create(call: Caller, description: str = "") -> dict[str, Any]:
    """A new snapshot."""
    answer = call("POST", "/v2/snapshots", {"description": description})
    assert answer.status == 201, answer.text
    return dict(answer.json())


def completed(call: Caller, snapshot_id: str) -> dict[str, Any]:
    """The snapshot, once it is not being created any more; it must be completed."""
    deadline = time.monotonic() + _TIMEOUT_S
    while (found := call("GET", f"/v2/snapshots/{snapshot_id}").json())["status"] == "creating":
        assert time.monotonic() < deadline, found
        time.sleep(_POLL_INTERVAL_S)
    assert found["status"] == "completed", found
    return dict(found)


def restore(call: Caller, snapshot_id: str, wanted: Any = None) -> dict[str, Any]:
    """Restore a snapshot; the restore, once it is over."""
    answer = call("POST", f"/v2/snapshots/{snapshot_id}/restore", wanted)
    assert answer.status == 202, answer.text
    return over(call, answer.json()["restoreId"])


def over(call: Caller, restore_id: str) -> dict[str, Any]:
    """The restore, once it is over, however it ended."""
    deadline = time.monotonic() + _TIMEOUT_S
    while (found := call("GET", f"/v2/restores/{restore_id}").json())["status"] == "restoring":
        assert time.monotonic() < deadline, found
        time.sleep(_POLL_INTERVAL_S)
    return dict(found)


def assert_error(answer: Answer, status: int, name: str, *said: str) -> None:
    """The answer is an NGSIv2 error that says these words and nothing of the inside.

    The gateway's own answers have more members, for clients of other dialects.
    """
    assert answer.status == status, answer.text
    document = answer.json()
    assert list(document)[:2] == ["error", "description"]
    assert document["error"] == name
    assert document["description"]
    for words in said:
        assert words in document["description"]
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text


def walk(call: Caller) -> None:
    """Entities in, a snapshot, a change, a restore, its undoing, a schedule, and all listed and deleted at the end."""
    put_rooms(call, 5, 21.5)
    before = entities(call)
    made = _walk_create(call)
    put_rooms(call, 3, -1)
    assert call("DELETE", "/v2/entities/urn:ngsi-ld:Room:0004").status == 204
    wrecked = entities(call)
    assert wrecked != before
    _walk_inside(call, made["id"], before)
    done = _walk_restore(call, made["id"])
    assert entities(call) == before
    safety = done["safetySnapshotId"]
    assert restore(call, safety, {"safetySnapshot": False})["status"] == "completed"
    assert entities(call) == wrecked
    _walk_schedule(call)
    _walk_lists(call, [safety, made["id"]])
    _walk_delete(call, [safety, made["id"]])


def _walk_create(call: Caller) -> dict[str, Any]:
    answer = call("POST", "/v2/snapshots", {"description": "Pre-deployment backup"})
    made = answer.json()
    assert answer.status == 201
    assert list(made) == SUMMARY
    assert SNAPSHOT_ID.fullmatch(made["id"])
    assert SECOND.fullmatch(made["createdAt"])
    assert made["id"].startswith("snapshot_" + made["createdAt"].replace(":", "-"))
    assert (made["description"], made["entityCount"], made["status"]) == ("Pre-deployment backup", 5, "completed")
    assert answer.headers["Location"] == f"/v2/snapshots/{made['id']}"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Fiware-Correlator"]
    detail = call("GET", f"/v2/snapshots/{made['id']}").json()
    assert list(detail)[: len(SUMMARY)] == SUMMARY
    assert {name: detail[name] for name in SUMMARY} == made
    assert detail["sizeBytes"] > 0
    return dict(made)


def _walk_inside(call: Caller, snapshot_id: str, held: list[Any]) -> None:
    """Look at what was there, without restoring it."""
    inside = f"/v2/snapshots/{snapshot_id}/entities"
    listed = call("GET", f"{inside}?type=Room&options=count&limit=1000")
    assert (listed.status, listed.json()) == (200, held)
    assert listed.headers["Fiware-Total-Count"] == "5"
    warm = call("GET", f"{inside}?q=temperature==21.5&orderBy=!id&options=keyValues&limit=1").json()
    assert warm == [{"id": "urn:ngsi-ld:Room:0004", "type": "Room", "temperature": 21.5}]
    assert call("GET", f"{inside}/urn:ngsi-ld:Room:0004").json() == held[4]
    assert_error(call("GET", f"{inside}/urn:ngsi-ld:Room:0005"), 404, "NotFound", "Room:0005")
    (seen,) = call("GET", "/v2/entities/urn:ngsi-ld:Room:0004/history").json()
    assert (seen["snapshotId"], seen["change"], seen["entity"]) == (snapshot_id, "created", held[4])
    was, now = ({one["id"]: one for one in some} for some in (held, entities(call)))
    diff = call("GET", f"/v2/snapshots/{snapshot_id}/diff?with=live&limit=1000").json()
    assert diff["counts"] == {
        "created": len(now.keys() - was.keys()),
        "updated": sum(was[one] != now[one] for one in was.keys() & now.keys()),
        "deleted": len(was.keys() - now.keys()),
    }
    assert len(diff["entities"]) == sum(diff["counts"].values()) > 0
    same = call("GET", f"/v2/snapshots/{snapshot_id}/diff?with={snapshot_id}").json()
    assert (sum(same["counts"].values()), same["entities"]) == (0, [])


def _walk_restore(call: Caller, snapshot_id: str) -> dict[str, Any]:
    answer = call("POST", f"/v2/snapshots/{snapshot_id}/restore")
    accepted = answer.json()
    assert answer.status == 202
    assert list(accepted) == ["id", "status", "restoredEntities", "restoreId"]
    assert RESTORE_ID.fullmatch(accepted["restoreId"])
    assert (accepted["id"], accepted["status"], accepted["restoredEntities"]) == (snapshot_id, "restoring", 5)
    assert answer.headers["Location"] == f"/v2/restores/{accepted['restoreId']}"
    done = over(call, accepted["restoreId"])
    assert list(done)[: len(RESTORE_MEMBERS)] == RESTORE_MEMBERS
    assert (done["status"], done["done"], done["total"], done["percent"]) == ("completed", 5, 5, 100)
    assert [entered["phase"] for entered in done["phases"]] == [
        *("Plan", "Stage", "Verify", "Cutover", "Preserve", "Retire")
    ]
    assert all(MILLISECOND.fullmatch(entered["startedAt"]) for entered in done["phases"])
    assert MILLISECOND.fullmatch(done["finishedAt"])
    return done


def _walk_schedule(call: Caller) -> None:
    wanted = {"expression": "cron(0 2 * * ? *)", "timezone": "Europe/Paris", "retention": {"daily": 7}}
    answer = call("POST", "/v2/schedules", wanted)
    made = answer.json()
    assert answer.status == 201
    assert {member: made[member] for member in wanted} == wanted
    assert (made["status"], SECOND.fullmatch(made["nextRun"]) is not None) == ("active", True)
    path = f"/v2/schedules/{made['id']}"
    assert answer.headers["Location"] == path
    assert call("GET", "/v2/schedules").json() == [made]
    assert call("PATCH", path, {"paused": True}).status == 204
    assert call("GET", path).json()["paused"] is True
    preview = call("POST", f"{path}/retention/preview", {"retention": {"keepLast": 1}}).json()
    assert (preview["retention"], preview["counts"]) == ({"keepLast": 1}, {"keep": 0, "forget": 0, "leave": 0})
    assert call("DELETE", path).status == 204
    assert_error(call("GET", path), 404, "NotFound", made["id"])


def _walk_lists(call: Caller, expected: list[str]) -> None:
    answer = call("GET", "/v2/snapshots?options=count")
    assert answer.headers["Fiware-Total-Count"] == str(len(expected))
    assert [snapshot["id"] for snapshot in answer.json()] == expected
    assert all(list(snapshot) == SUMMARY for snapshot in answer.json())
    assert {snapshot["status"] for snapshot in answer.json()} == {"completed"}
    page = call("GET", "/v2/snapshots?limit=1&offset=1")
    assert [snapshot["id"] for snapshot in page.json()] == expected[1:2]
    restores = call("GET", "/v2/restores?options=count")
    assert restores.headers["Fiware-Total-Count"] == "2"
    assert [done["snapshotId"] for done in restores.json()] == expected


def _walk_delete(call: Caller, snapshots: list[str]) -> None:
    for snapshot_id in snapshots:
        answer = call("DELETE", f"/v2/snapshots/{snapshot_id}")
        assert (answer.status, answer.body) == (204, b"")
        assert_error(call("GET", f"/v2/snapshots/{snapshot_id}"), 404, "NotFound", snapshot_id)
        assert_error(call("DELETE", f"/v2/snapshots/{snapshot_id}"), 404, "NotFound")
        assert_error(call("POST", f"/v2/snapshots/{snapshot_id}/restore"), 404, "NotFound")
    assert call("GET", "/v2/snapshots").json() == []

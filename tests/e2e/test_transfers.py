"""Taking snapshots elsewhere over real sockets: copies, exports and imports, with plain HTTP for the addresses."""

import hashlib
import json
import time
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.served import Caller, Served, send
from tests.local.http_messages import Answer

TIMEOUT_S = 60


def http(method: str, url: str, body: bytes | None = None) -> Answer:
    """What any client without a key does with an address."""
    parts = urlsplit(url)
    return send(f"http://{parts.netloc}", method, f"{parts.path}?{parts.query}", {}, body)


def fetch(url: str) -> bytes:
    answer = http("GET", url)
    assert answer.status == 200, answer.body
    return answer.body


def put(url: str, body: bytes) -> None:
    answer = http("PUT", url, body)
    assert answer.status == 200, answer.body


def settled(caller: Caller, snapshot_id: str) -> dict[str, Any]:
    """The snapshot when it is no longer being created."""
    until = time.monotonic() + TIMEOUT_S
    while True:
        found: dict[str, Any] = json.loads(caller("GET", f"/v2/snapshots/{snapshot_id}").body)
        if found["status"] != "creating":
            return found
        assert time.monotonic() < until, found
        time.sleep(0.1)


def exported(caller: Caller, snapshot_id: str, query: str = "") -> dict[str, Any]:
    until = time.monotonic() + TIMEOUT_S
    while (answer := caller("GET", f"/v2/snapshots/{snapshot_id}/export{query}")).status == 202:
        assert answer.headers["retry-after"]
        assert time.monotonic() < until
        time.sleep(0.1)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


def snapshot_of(caller: Caller) -> str:
    """The id of a snapshot of several layers."""
    for first in (0, 100):
        rooms = [
            {"id": f"room-{number}", "type": "Room", "n": {"value": number}} for number in range(first, first + 100)
        ]
        assert caller("POST", "/v2/op/update", {"actionType": "append", "entities": rooms}).status == 204
    assert caller("POST", "/v2/snapshots", {}).status == 201
    assert caller("DELETE", "/v2/entities/room-7").status == 204
    changed = {"actionType": "append", "entities": [{"id": "room-8", "type": "Room", "n": {"value": -1}}]}
    assert caller("POST", "/v2/op/update", changed).status == 204
    made = json.loads(caller("POST", "/v2/snapshots", {}).body)
    assert made["entityCount"] == 199
    return str(made["id"])


def test_snapshot_is_copied_exported_imported_and_has_one_digest(served_stack: Served, tenant: str) -> None:
    target, third = f"{tenant}_copy", f"{tenant}_import"
    key = served_stack.key([tenant, target, third])
    here, there, back = (Caller(served_stack.url, key, name) for name in (tenant, target, third))
    snapshot = snapshot_of(here)
    accepted = here("POST", f"/v2/snapshots/{snapshot}/copy", {"service": target})
    assert accepted.status == 202, accepted.body
    copy = settled(there, json.loads(accepted.body)["id"])
    assert (copy["status"], copy["entityCount"]) == ("completed", 199), copy
    assert here("POST", f"/v2/snapshots/{snapshot}/verify").status == 200

    manifest = exported(there, copy["id"])
    lines = []
    for part in manifest["parts"]:
        body = fetch(part["url"])
        assert (len(body), hashlib.sha256(body).hexdigest()) == (part["sizeBytes"], part["sha256"])
        lines.append(body)
    begun = back("POST", "/v2/snapshots/import", {"manifest": manifest})
    assert begun.status == 201, begun.body
    told = json.loads(begun.body)
    for file, body in zip(told["files"], lines, strict=True):
        put(file["urls"][0], body)
    assert back("POST", f"/v2/snapshots/{told['id']}/import").status == 202
    imported = settled(back, told["id"])
    assert (imported["status"], imported["entityCount"], imported["digest"]) == ("completed", 199, manifest["digest"])
    assert exported(here, snapshot)["digest"] == manifest["digest"]
    restored = json.loads(back("POST", f"/v2/snapshots/{told['id']}/restore").body)
    until = time.monotonic() + TIMEOUT_S
    while json.loads(back("GET", f"/v2/restores/{restored['restoreId']}").body)["status"] == "restoring":
        assert time.monotonic() < until
        time.sleep(0.1)
    listed = ("GET", "/v2/entities?limit=1000&orderBy=id")
    assert back(*listed).body == here(*listed).body


def test_what_a_listing_prints_can_be_imported_and_bad_input_is_refused(caller: Caller) -> None:
    snapshot_of(caller)
    listing = caller("GET", "/v2/entities?limit=1000").body
    for body, status in (
        (listing, "completed"),
        (listing[:-1], "failed"),
        (listing[:-1] + b"," + listing[1:], "failed"),
    ):
        told = json.loads(caller("POST", "/v2/snapshots/import", {"sizeBytes": len(body)}).body)
        early = caller("POST", f"/v2/snapshots/{told['id']}/import")
        assert (early.status, b"missing" in early.body) == (409, True)
        put(told["files"][0]["urls"][0], body)
        assert caller("POST", f"/v2/snapshots/{told['id']}/import").status == 202
        made = settled(caller, told["id"])
        assert made["status"] == status, made
        if status == "failed":
            assert made["error"]["code"] == "ImportRefused"
            assert "'upload', element" in made["error"]["description"]


def test_copy_to_a_tenant_that_the_key_does_not_hold_is_forbidden(served_stack: Served, caller: Caller) -> None:
    snapshot = json.loads(caller("POST", "/v2/snapshots", {}).body)["id"]
    target = f"{caller.tenant}_other"
    answer = caller("POST", f"/v2/snapshots/{snapshot}/copy", {"service": target})
    assert (answer.status, json.loads(answer.body)["error"]) == (403, "Forbidden")
    assert json.loads(served_stack.caller(target)("GET", "/v2/snapshots").body) == []


def test_address_of_an_export_ends_after_its_time(served_stack: Served, caller: Caller) -> None:
    snapshot = snapshot_of(caller)
    url = exported(caller, snapshot, "?expiresIn=60")["parts"][0]["url"]
    assert "X-Amz-Expires=60" in url
    fetch(url)
    late = http("GET", url.replace("X-Amz-Expires=60", "X-Amz-Expires=0"))
    assert (late.status, b"AccessDenied" in late.body) == (403, True)

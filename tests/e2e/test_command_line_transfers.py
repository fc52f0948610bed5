"""Commands that copy, export and import, against the whole product over sockets."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.running import CommandLine, Said
from tests.e2e import walk
from tests.e2e.served import Caller, Served
from tidemark_cli.sending import HttpSender


class City(NamedTuple):
    """A tenant with rooms and a snapshot of several layers, and another tenant of the same key."""

    call: Caller
    tidemark: CommandLine
    other: CommandLine
    snapshot: str


@pytest.fixture
def city(served_stack: Served, tenant: str) -> City:
    key = served_stack.key([tenant, f"{tenant}_test"])
    call = Caller(served_stack.url, key, tenant)
    sender = HttpSender()
    tidemark = CommandLine(sender, url=served_stack.url, key=key, tenant=tenant)
    walk.put_rooms(call, 9, 21.5)
    ok(tidemark("snapshots", "create"))
    walk.put_rooms(call, 3, -1)
    snapshot = ok(tidemark("snapshots", "create", "--quiet")).out.strip()
    other = CommandLine(sender, url=served_stack.url, key=key, tenant=f"{tenant}_test")
    return City(call, tidemark, other, snapshot)


def ok(said: Said) -> Said:
    assert said.code == 0, said
    return said


def entities(command: CommandLine, snapshot: str) -> Any:
    """What is inside a snapshot."""
    return ok(command("snapshots", "read", snapshot, "--limit", "1000", "--json")).json()


def test_copy_is_a_snapshot_of_the_other_tenant(city: City) -> None:
    made = ok(city.tidemark("snapshots", "copy", city.snapshot, "--into", str(city.other.tenant), "--json")).json()
    assert (made["status"], made["entityCount"]) == ("completed", 9)
    assert entities(city.other, made["id"]) == entities(city.tidemark, city.snapshot)


def test_copy_to_a_tenant_that_the_key_does_not_hold_is_not_allowed(city: City) -> None:
    assert city.tidemark("snapshots", "copy", city.snapshot, "--into", "elsewhere").code == 5


def test_export_then_import_gives_the_same_digest_and_entities(city: City, tmp_path: Path) -> None:
    directory = tmp_path / "export"
    exported = ok(city.tidemark("snapshots", "export", city.snapshot, str(directory), "--json")).json()
    manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    assert manifest == exported
    assert "url" not in json.dumps(manifest)
    assert sorted(path.name for path in directory.iterdir()) == sorted(
        ["manifest.json", *(part["name"] for part in manifest["parts"])]
    )
    imported = ok(city.other("snapshots", "import", str(directory), "-d", "From elsewhere", "--json")).json()
    assert (imported["digest"], imported["entityCount"]) == (exported["digest"], 9)
    assert imported["description"] == "From elsewhere"
    assert entities(city.other, imported["id"]) == entities(city.tidemark, city.snapshot)


def test_export_goes_on_where_it_was_cut_off(city: City, tmp_path: Path) -> None:
    ok(city.tidemark("snapshots", "export", city.snapshot, str(tmp_path)))
    first, second, *_ = (path for path in sorted(tmp_path.iterdir()) if path.name != "manifest.json")
    kept, whole = first.stat().st_mtime_ns, second.read_bytes()
    second.write_bytes(b"damaged")
    ok(city.tidemark("snapshots", "export", city.snapshot, str(tmp_path)))
    assert (first.stat().st_mtime_ns, second.read_bytes()) == (kept, whole)


def test_import_of_a_damaged_export_is_refused(city: City, tmp_path: Path) -> None:
    ok(city.tidemark("snapshots", "export", city.snapshot, str(tmp_path)))
    part = next(path for path in sorted(tmp_path.iterdir()) if path.name != "manifest.json")
    body = bytearray(part.read_bytes())
    body[len(body) // 2] ^= 1
    part.write_bytes(bytes(body))
    refused = city.other("snapshots", "import", str(tmp_path))
    assert refused.code == 1
    assert part.name in refused.err
    part.write_bytes(b"short")
    cut = city.other("snapshots", "import", str(tmp_path))
    assert cut.code == 1
    assert str(part) in cut.err


def test_import_takes_a_file_of_entities_and_names_the_line_that_is_wrong(city: City, tmp_path: Path) -> None:
    file = tmp_path / "rooms.ndjson"
    rooms = [walk.room(number, 3) for number in range(4)]
    file.write_text("".join(json.dumps(room) + "\n" for room in rooms), encoding="utf-8")
    made = ok(city.other("snapshots", "import", str(file), "--json")).json()
    assert entities(city.other, made["id"]) == rooms
    file.write_text(file.read_text(encoding="utf-8") + '{"id": "no type?", "type": 3}\n', encoding="utf-8")
    refused = city.other("snapshots", "import", str(file))
    assert refused.code == 1
    assert "rooms.ndjson" in refused.err
    assert "5" in refused.err


def test_what_is_not_there_is_told(city: City, tmp_path: Path) -> None:
    assert city.tidemark("snapshots", "import", str(tmp_path / "none.json")).code == 3
    assert city.tidemark("snapshots", "import", str(tmp_path)).code == 3
    (tmp_path / "manifest.json").write_text("[]", encoding="utf-8")
    assert city.tidemark("snapshots", "import", str(tmp_path)).code == 1
    assert city.tidemark("snapshots", "export", "snapshot_2020-01-01T00-00-00Z", str(tmp_path)).code == 3
    (tmp_path / "file").write_bytes(b"")
    blocked = city.tidemark("snapshots", "export", city.snapshot, str(tmp_path / "file"))
    assert (blocked.code, blocked.err.count("\n")) == (1, 1)

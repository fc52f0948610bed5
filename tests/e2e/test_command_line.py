"""The commands, each against the whole product over sockets."""

from typing import Any, NamedTuple

import pytest

from tests.cli.running import CommandLine, Said
from tests.e2e import walk
from tests.e2e.served import Caller, Served
from tidemark_cli.sending import HttpSender


class City(NamedTuple):
    """A tenant: its entities by HTTP, and commands about it."""

    call: Caller
    tidemark: CommandLine

    def rooms(self, number: int, value: Any = 0) -> None:
        """Have that many rooms with this value."""
        walk.put_rooms(self.call, number, value)

    def entities(self) -> list[Any]:
        """All of them."""
        return walk.entities(self.call)

    def snapshot(self, *arguments: str) -> str:
        """The id of a new snapshot."""
        said = self.tidemark("snapshots", "create", "--quiet", *arguments)
        assert said.code == 0, said
        return said.out.strip()


@pytest.fixture
def city(served_stack: Served, tenant: str) -> City:
    """A tenant of the test's own, whose key holds a second one."""
    key = served_stack.key([tenant, f"{tenant}_test"])
    sender = HttpSender()
    return City(
        Caller(served_stack.url, key, tenant), CommandLine(sender, url=served_stack.url, key=key, tenant=tenant)
    )


def damage_a_pack(served: Served, tenant: str) -> str:
    """The key of a pack whose bytes are not those any more that were stored."""
    s3, bucket = served.client("s3"), served.outputs["BucketName"]
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix=f"{tenant}/packs/")["Contents"]]
    body = bytearray(s3.get_object(Bucket=bucket, Key=keys[0])["Body"].read())
    body[len(body) // 2] ^= 1
    s3.put_object(Bucket=bucket, Key=keys[0], Body=bytes(body), ChecksumAlgorithm="SHA256")
    return str(keys[0])


def ok(said: Said) -> Said:
    assert said.code == 0, said
    assert "Traceback" not in said.err
    return said


# --- snapshots


def test_create_tells_of_the_snapshot_and_list_and_show_find_it(city: City) -> None:
    city.rooms(3)
    made = ok(
        city.tidemark("snapshots", "create", "-d", "Before 2.1", "--label", "env=test", "--expires-in", "P1D", "--json")
    ).json()
    assert (made["description"], made["labels"], made["entityCount"], made["status"]) == (
        "Before 2.1",
        {"env": "test"},
        3,
        "completed",
    )
    listed = ok(city.tidemark("snapshots", "list", "--label", "env=test", "--json")).json()
    assert listed == [made]
    detail = ok(city.tidemark("snapshots", "show", made["id"], "--json")).json()
    assert detail["cut"] == 1
    for said in (city.tidemark("snapshots", "list"), city.tidemark("snapshots", "show", made["id"])):
        assert made["id"] in ok(said).out
        assert "Before 2.1" in said.out


def test_json_is_what_the_api_itself_says_and_nothing_is_added(city: City) -> None:
    city.rooms(1)
    snapshot = city.snapshot()
    said = ok(city.tidemark("snapshots", "show", snapshot, "--json"))
    assert said.out == city.call("GET", f"/v2/snapshots/{snapshot}").text + "\n"
    assert said.err == ""


def test_list_shows_a_page_and_says_how_to_go_on(city: City) -> None:
    ids = [city.snapshot("-d", str(number)) for number in range(3)]
    said = ok(city.tidemark("snapshots", "list", "--limit", "2", "--quiet"))
    assert said.out.split() == ids[:0:-1]
    assert "--offset 2" in ok(city.tidemark("snapshots", "list", "--limit", "2")).err
    assert ok(city.tidemark("snapshots", "list", "--offset", "2", "--quiet")).out.split() == ids[:1]


def test_deleted_snapshot_can_be_brought_back(city: City) -> None:
    first, _ = city.snapshot(), city.snapshot()
    deleted = ok(city.tidemark("snapshots", "delete", first, "--json"))
    assert deleted.out == ""
    assert f"undelete {first}" in deleted.err
    assert city.tidemark("snapshots", "show", first).code == 3
    assert ok(city.tidemark("snapshots", "list", "--status", "deleted", "--quiet")).out.split() == [first]
    assert ok(city.tidemark("snapshots", "undelete", first, "--json")).json()["id"] == first
    assert city.tidemark("snapshots", "undelete", first).code == 4


def test_verify_tells_what_was_read_and_fails_when_something_is_damaged(served_stack: Served, city: City) -> None:
    city.rooms(3)
    snapshot = city.snapshot()
    good = ok(city.tidemark("snapshots", "verify", snapshot, "--json")).json()
    assert good["verification"]["status"] == "passed"
    pack = damage_a_pack(served_stack, city.call.tenant)
    bad = city.tidemark("snapshots", "verify", snapshot)
    assert bad.code == 1
    assert pack in bad.err
    assert "failed" in bad.out


def test_read_shows_entities_as_they_were(city: City) -> None:
    city.rooms(3, 21.5)
    held = city.entities()
    snapshot = city.snapshot()
    city.rooms(3, -1)
    assert ok(city.tidemark("snapshots", "read", snapshot, "--type", "Room", "--json")).json() == held
    one = ok(city.tidemark("snapshots", "read", snapshot, held[0]["id"], "--json")).json()
    assert one == held[0]
    assert "temperature=21.5" in ok(city.tidemark("snapshots", "read", snapshot)).out
    warm = ok(city.tidemark("snapshots", "read", snapshot, "--q", "temperature>30", "--key-values", "--json"))
    assert warm.json() == []
    assert city.tidemark("snapshots", "read", snapshot, "urn:none").code == 3


def test_diff_tells_what_became_of_entities(city: City) -> None:
    city.rooms(2, 1)
    snapshot = city.snapshot()
    city.rooms(3, 1)
    city.rooms(1, 2)
    told = ok(city.tidemark("snapshots", "diff", snapshot, "live", "--json")).json()
    assert told["counts"] == {"created": 1, "updated": 1, "deleted": 0}
    assert {(one["id"][-4:], one["change"]) for one in told["entities"]} == {("0000", "updated"), ("0002", "created")}
    assert "temperature" in ok(city.tidemark("snapshots", "diff", snapshot, "live", "--change", "updated")).out
    assert city.tidemark("snapshots", "diff", snapshot, "snapshot_2020-01-01T00-00-00Z").code == 3
    assert city.tidemark("snapshots", "diff", snapshot, "live", "--change", "lost").code == 1


def test_what_is_said_about_a_snapshot_is_changed(city: City) -> None:
    snapshot = city.snapshot("--label", "env=prod", "--label", "release=2.1.0", "--expires-in", "P1D")
    ok(city.tidemark("snapshots", "update", snapshot, "-d", "keep", "--label", "keep=yes", "--remove-label", "env"))
    told = ok(city.tidemark("snapshots", "show", snapshot, "--json")).json()
    assert (told["description"], told["labels"]) == ("keep", {"release": "2.1.0", "keep": "yes"})
    assert "expiresAt" in told
    assert ok(city.tidemark("snapshots", "update", snapshot, "--no-expiry", "--json")).out == ""
    told = ok(city.tidemark("snapshots", "show", snapshot, "--json")).json()
    assert ("expiresAt" in told, told["description"]) == (False, "keep")
    assert city.tidemark("snapshots", "update", snapshot, "--expires-in", "soon").code == 1
    assert city.tidemark("snapshots", "update", "snapshot_2020-01-01T00-00-00Z", "-d", "x").code == 3


def test_entity_is_followed_through_the_snapshots(city: City) -> None:
    city.rooms(1, 1)
    first = city.snapshot("-d", "before")
    city.snapshot()
    city.rooms(1, 2)
    last = city.snapshot()
    room = city.entities()[0]["id"]
    told = ok(city.tidemark("entities", "history", room, "--json")).json()
    assert [(one["snapshotId"], one["change"]) for one in told] == [(last, "updated"), (first, "created")]
    assert told[0]["entity"] == city.entities()[0]
    said = ok(city.tidemark("entities", "history", room, "--attrs", "temperature", "--limit", "1"))
    shown = said.out.split()
    assert (last in shown, "temperature=2" in shown, first in shown) == (True, True, False)
    assert "--offset 1" in said.err
    assert city.tidemark("entities", "history", "urn:none").code == 3


# --- restores


def test_restore_shows_its_plan_asks_and_restores_by_it(city: City) -> None:
    city.rooms(3, 1)
    before = city.entities()
    snapshot = city.snapshot()
    city.rooms(4, 2)
    city.tidemark.interactive = True
    refused = city.tidemark("snapshots", "restore", snapshot, typed="n\n")
    assert refused.code == 1
    assert "0 created, 3 updated, 1 deleted" in refused.err
    assert "urn:ngsi-ld:Room:0003" in refused.err
    assert city.entities() != before
    said = ok(city.tidemark("snapshots", "restore", snapshot, typed="y\n"))
    assert city.entities() == before
    assert "is completed" in said.out
    assert "to undo: tidemark snapshots restore snapshot_" in said.out
    phases = [line.split()[0] for line in said.err.partition("[y/N]:")[2].splitlines() if line.endswith(" s")]
    assert phases == ["Plan", "Stage", "Verify", "Cutover", "Preserve", "Retire"]


def test_restore_without_a_terminal_refuses_to_ask(city: City) -> None:
    city.rooms(1)
    snapshot = city.snapshot()
    city.rooms(2, 5)
    said = city.tidemark("snapshots", "restore", snapshot, typed="y\n")
    assert said.code == 2
    assert "--yes" in said.err
    assert city.call("GET", "/v2/restores").json() == []
    assert ok(city.tidemark("snapshots", "restore", snapshot, "--yes", "--json")).json()["status"] == "completed"


def test_restore_of_what_is_there_already_does_nothing(city: City) -> None:
    city.rooms(2)
    snapshot = city.snapshot()
    said = ok(city.tidemark("snapshots", "restore", snapshot, "--yes"))
    assert "nothing was restored" in said.out
    assert city.call("GET", "/v2/restores").json() == []


def test_restore_takes_a_part(city: City) -> None:
    city.rooms(3, 1)
    snapshot = city.snapshot()
    city.rooms(4, 2)
    done = ok(
        city.tidemark(
            *("snapshots", "restore", snapshot, "--yes", "--json", "--type", "Room", "--id-pattern", "000[13]$"),
            *("--mode", "merge", "--attrs", "temperature", "--no-safety-snapshot"),
        )
    ).json()
    assert done["filter"] == {"type": "Room", "idPattern": "000[13]$", "attrs": ["temperature"]}
    assert done["mode"] == "merge"
    assert "safetySnapshotId" not in done
    assert [entity["temperature"]["value"] for entity in city.entities()] == [2, 1, 2, 2]


def test_restore_goes_into_another_tenant(city: City) -> None:
    city.rooms(3, 1)
    snapshot = city.snapshot()
    other = f"{city.call.tenant}_test"
    said = ok(city.tidemark("snapshots", "restore", snapshot, "--into", other, "--yes", "--json"))
    assert said.json()["sourceService"] == city.call.tenant
    there = Caller(city.call.url, city.call.key, other)
    assert walk.entities(there) == city.entities()


def test_dry_run_shows_the_plan_and_does_nothing(city: City) -> None:
    city.rooms(2, 1)
    snapshot = city.snapshot()
    city.rooms(1, 2)
    plan = ok(city.tidemark("snapshots", "restore", snapshot, "--dry-run", "--json")).json()
    assert plan["changes"] == {"created": 0, "updated": 1, "deleted": 0, "unchanged": 1}
    shown = ok(city.tidemark("plans", "show", plan["plan"]))
    assert "1 updated" in shown.out
    assert "urn:ngsi-ld:Room:0000" in shown.out
    assert ok(city.tidemark("plans", "show", plan["plan"], "--json")).json()["plan"] == plan["plan"]
    assert city.call("GET", "/v2/restores").json() == []
    assert city.tidemark("plans", "show", "plan_none").code == 3


@pytest.mark.parametrize("options", [("--yes", "--no-plan"), ("--yes",), ("--dry-run",)], ids=" ".join)
def test_filter_that_selects_nothing_is_told(city: City, options: tuple[str, ...]) -> None:
    city.rooms(1)
    snapshot = city.snapshot()
    said = city.tidemark("snapshots", "restore", snapshot, "--type", "Nothing", *options)
    assert said.code == 1
    assert "selects no entity" in said.err


def test_restores_are_listed_and_watched(city: City) -> None:
    city.rooms(1, 1)
    snapshot = city.snapshot()
    city.rooms(2, 2)
    begun = ok(city.tidemark("snapshots", "restore", snapshot, "--yes", "--no-plan", "--no-wait", "--json")).json()
    done = ok(city.tidemark("restores", "watch", begun["restoreId"], "--json")).json()
    assert (done["status"], done["percent"]) == ("completed", 100)
    assert ok(city.tidemark("restores", "list", "--json")).json()[0]["id"] == begun["restoreId"]
    assert begun["restoreId"] in ok(city.tidemark("restores", "list")).out
    assert ok(city.tidemark("restores", "show", begun["restoreId"], "--json")).json() == done
    late = city.tidemark("restores", "cancel", begun["restoreId"])
    assert late.code == 4


def test_failed_restore_makes_the_command_fail_with_its_reason(served_stack: Served, city: City) -> None:
    city.rooms(3, 1)
    snapshot = city.snapshot()
    city.rooms(3, 2)
    damage_a_pack(served_stack, city.call.tenant)
    said = city.tidemark("snapshots", "restore", snapshot, "--yes", "--no-plan")
    assert said.code == 1
    assert "PackCorrupt" in said.err


# --- what goes wrong


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(("snapshots", "show", "snapshot_2020-01-01T00-00-00Z"), 3, id="no such snapshot"),
        pytest.param(("snapshots", "show", "../../etc"), 3, id="no id at all"),
        pytest.param(("restores", "watch", "restore_2020-01-01T00-00-00Z"), 3, id="no such restore"),
        pytest.param(("snapshots", "list", "--status", "lost"), 1, id="refused by the service"),
        pytest.param(("snapshots", "list", "--limit", "0"), 2, id="limit below 1"),
        pytest.param(("snapshots", "create", "--label", "env"), 2, id="label without a value"),
        pytest.param(("snapshots", "forget"), 2, id="no such command"),
        pytest.param(("snapshots", "list", "--api-key", "tm_wrong"), 5, id="wrong key"),
        pytest.param(("snapshots", "list", "--tenant", "no-tenant"), 2, id="no name of a tenant"),
    ],
)
def test_command_ends_with_a_sentence_and_this_code_when(arguments: tuple[str, ...], code: int, city: City) -> None:
    said = city.tidemark(*arguments)
    assert said.code == code
    assert said.out == ""
    assert said.err
    if code != 2:
        assert said.err.count("\n") == 1
    assert "Traceback" not in said.err


def test_key_of_another_tenant_is_not_allowed(served_stack: Served, city: City) -> None:
    city.tidemark.key = served_stack.key(["elsewhere"])
    said = city.tidemark("snapshots", "list")
    assert (said.code, said.err.count("\n")) == (5, 1)
    assert "use a key" in said.err


def test_answer_of_every_reading_command_is_json_when_asked_before_or_after_the_command(city: City) -> None:
    city.rooms(1)
    snapshot = city.snapshot()
    for command in (
        ("snapshots", "list"),
        ("snapshots", "show", snapshot),
        ("snapshots", "read", snapshot),
        ("restores", "list"),
    ):
        assert ok(city.tidemark("--json", *command)).json() == ok(city.tidemark(*command, "--json")).json()

"""The phases of a collection as its state machine calls them, one after the other."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from functions.backup.collect_garbage import handler as collect_garbage
from functions.backup.list_tenants import handler as list_tenants
from functions.backup.report_collection import handler as report_collection
from tests.fakes import MemoryPayloads
from tests.handlers.phases import TENANT, Left, run, write
from tests.unit.volumes.examples import TEST_AREA, environment
from tidemark import bootstrap
from tidemark.domain.environment import Environment, EnvironmentId, image_owner
from tidemark.domain.tenant import Tenant
from tidemark.errors import CatalogCorrupt, InvalidRequest
from tidemark.ports import Ports
from tidemark.tasks import Result
from tidemark.usecases.create_snapshot import create_snapshot

RUN = "b0d4e3a2-6f1c-4a77-9a51-0c8f7e2d9b11"
HARBOUR = Tenant("harbour")
OWNER = image_owner(TEST_AREA)
GARBAGE = f"{TENANT}/packs/{'d' * 32}/000-base-{{:05d}}.pack"


@pytest.fixture
def payloads(ports: Ports) -> MemoryPayloads:
    """A world with two tenants that have a snapshot, and garbage in one of them."""
    write(ports, 1, 2, 3)
    for tenant in (TENANT, HARBOUR):
        create_snapshot(ports, tenant)
    for number in range(3):
        ports.payloads.put(GARBAGE.format(number), b"12345")
    assert isinstance(ports.payloads, MemoryPayloads)
    return ports.payloads


def listed() -> Result:
    return run(list_tenants.handler, "backup", "list_tenants")


def collected(tenant: str = TENANT, *, dry: bool = False) -> Result:
    return run(collect_garbage.handler, "backup", "collect_garbage", tenant=tenant, dryRun=dry)


def reported() -> Result:
    return run(report_collection.handler, "backup", "report_collection")


def test_run_deletes_garbage_of_every_tenant_and_reports_the_sum(payloads: MemoryPayloads) -> None:
    notes = [key for key in payloads.objects if key.endswith(".shard.json")]
    kept = {key for key in payloads.objects if key.endswith((".pack", ".zst")) and "d" * 32 not in key}
    told = listed()
    key = f"work-lists/collections/{RUN}/tenants.json"
    assert told == {"run": RUN, "tenantsKey": key, "tenants": 2, "environments": 0}
    assert json.loads(payloads.objects[str(told["tenantsKey"])]) == [{"tenant": HARBOUR}, {"tenant": TENANT}]
    assert [collected(tenant) for tenant in (HARBOUR, TENANT)] == [{"done": True}, {"done": True}]
    report = reported()
    assert (report["whole"], report["message"], report["tenants"], report["finished"]) == (True, "", 2, 2)
    assert (report["deletedObjects"], report["keptObjects"]) == (len(notes) + 3, len(kept))
    assert report["listedObjects"] == len(notes) + 3 + len(kept)
    assert {key for key in payloads.objects if not key.startswith("work-lists/")} == kept


def test_run_changes_nothing_and_reports_the_same_when_it_is_dry(payloads: MemoryPayloads) -> None:
    before = dict(payloads.objects)
    listed()
    for tenant in (HARBOUR, TENANT):
        collected(tenant, dry=True)
    assert {key: body for key, body in payloads.objects.items() if not key.startswith("work-lists/")} == before
    assert reported()["deletedObjects"] == sum(key.endswith(".shard.json") for key in before) + 3


def test_report_names_the_tenants_that_were_not_finished(payloads: MemoryPayloads) -> None:
    listed()
    collected(HARBOUR)
    report = reported()
    assert (report["whole"], report["finished"]) == (False, 1)
    assert report["message"] == f"tenant {TENANT} was not finished"
    assert GARBAGE.format(0) in payloads.objects


def test_report_says_what_could_not_be_judged(ports: Ports, payloads: MemoryPayloads) -> None:
    listed()
    snapshot = next(ports.catalog.snapshots(TENANT))
    assert snapshot.manifest is not None
    payloads.objects[snapshot.manifest.key] = b"damaged"
    for tenant in (HARBOUR, TENANT):
        assert collected(tenant) == {"done": True}
    report = reported()
    assert report["whole"] is False
    assert snapshot.manifest.key in str(report["message"])
    assert GARBAGE.format(0) in payloads.objects


def test_report_adds_the_calls_up_that_one_tenant_took(payloads: MemoryPayloads) -> None:
    for number in range(3, 300):
        payloads.put(GARBAGE.format(number), b"12345")
    listed()
    collected(HARBOUR)
    event = {"tenant": TENANT, "run": RUN, "dryRun": False}
    calls = 0
    done = False
    while not done:
        calls += 1
        done = bool(collect_garbage.handler(event, Left(0))["done"])
    assert calls == 2
    report = reported()
    assert report["whole"] is True
    assert report["listedObjects"] == int(str(report["keptObjects"])) + int(str(report["deletedObjects"]))


def test_phases_can_be_repeated(payloads: MemoryPayloads) -> None:
    assert listed() == listed()
    for tenant in (HARBOUR, TENANT, HARBOUR):
        collected(tenant)
    first = reported()
    assert (reported(), first["finished"]) == (first, 2)
    assert payloads.objects


def test_run_finds_nothing_when_there_is_no_tenant(ports: Ports) -> None:
    assert bootstrap.ports() is ports
    assert listed()["tenants"] == 0
    report = reported()
    assert (report["whole"], report["tenants"], report["listedObjects"]) == (True, 0, 0)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a" * 81])
def test_run_is_refused_when_its_name_is_no_part_of_a_key(payloads: MemoryPayloads, name: str) -> None:
    with pytest.raises(InvalidRequest, match="run"):
        run(list_tenants.handler, "backup", "list_tenants", run=name)
    assert not [key for key in payloads.objects if key.startswith("work-lists/")]


def test_run_looks_at_environments_beside_tenants_each_once(
    ports: Ports, payloads: MemoryPayloads, capsys: pytest.CaptureFixture[str]
) -> None:
    ports.volumes.add_environment(environment())
    ports.volumes.add_environment(environment(name="other"))
    # A schedule of volumes notes the owner of its images as one that has snapshots.
    ports.catalog.add_tenant(OWNER)
    image = f"{OWNER}/packs/{'e' * 32}/000-base-00000.pack"
    payloads.put(image, b"123")
    told = listed()
    assert (told["tenants"], told["environments"]) == (2, 2)
    owners = [one["tenant"] for one in json.loads(payloads.objects[str(told["tenantsKey"])])]
    assert owners == [HARBOUR, TENANT, image_owner(EnvironmentId("compute-on/other")), OWNER]
    for owner in owners[:-1]:
        collected(owner)
    assert str(reported()["message"]).startswith("environment compute-on/test_area was not finished")
    capsys.readouterr()
    assert collected(OWNER) == {"done": True}
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line.get("environment") for line in logged} == {TEST_AREA}
    assert image not in payloads.objects
    report = reported()
    assert (report["tenants"], report["environments"], report["finished"]) == (2, 2, 4)
    # No region is wired here.
    assert report["whole"] is False
    assert "ca-central-1 are not wired here" in str(report["message"])
    assert report["closed"] == 0


def test_damaged_record_of_an_environment_hides_neither_it_nor_others(ports: Ports, payloads: MemoryPayloads) -> None:
    class Spoilt:
        """A catalog whose environments can't be read."""

        def __getattr__(self, name: str) -> object:
            return getattr(volumes, name)

        def environment(self, environment_id: str) -> Environment:
            raise CatalogCorrupt(f"the record of {environment_id} is damaged")

        def environments(self) -> Iterator[Environment]:
            yield self.environment(TEST_AREA)

    volumes = ports.volumes
    volumes.add_environment(environment())
    image = f"{OWNER}/packs/{'e' * 32}/000-base-00000.pack"
    payloads.put(image, b"123")
    spoilt: Any = Spoilt()
    with bootstrap.use(replace(ports, volumes=spoilt)):
        assert listed()["environments"] == 1
        for owner in (HARBOUR, TENANT, OWNER):
            collected(owner)
        report = reported()
    assert report["finished"] == 3
    assert f"the record of {TEST_AREA} is damaged" in str(report["message"])
    assert image not in payloads.objects

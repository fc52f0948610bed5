"""The functions that give out the image of a snapshot and take in images: addresses, and nothing that is null."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import ManualClock, MemoryLinks, MemoryWorkflows
from tests.fakes.links import LinkExpired, LinkRefused
from tests.handlers.rest import call, sample
from tests.handlers.volume_api import ENVIRONMENT, FUNCTIONS, VolumeApi, error, in_use
from tests.unit.volumes.backing import REGION, World, run
from tests.unit.volumes.examples import SNAPSHOT_ID, TEST_AREA, in_state
from tests.unit.volumes.uploading import LAST_PART, SIZE_BYTES, RawFile, index_of, left_of
from tidemark.domain.api_key import Action
from tidemark.domain.upload import PART_BYTES, Upload
from tidemark.domain.volume import VolumeId, VolumeSnapshotState, volume_id

SNAPSHOTS = f"{ENVIRONMENT}/snapshots"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with in_use(World(), monkeypatch) as found:
        yield found


@pytest.fixture
def api(world: World) -> VolumeApi:
    return VolumeApi(world)


@pytest.fixture
def key(api: VolumeApi) -> str:
    return api.key(Action.READ, Action.SNAPSHOT)


def links(world: World) -> MemoryLinks:
    assert isinstance(world.ports.links, MemoryLinks)
    return world.ports.links


def opened(api: VolumeApi, key: str, **members: object) -> Any:
    status, document = api.call("POST", f"{SNAPSHOTS}?operation=import", key, {"sizeBytes": SIZE_BYTES, **members})
    assert status == 202
    return document


def has_null(document: object) -> bool:
    return "null" in json.dumps(document)


# --- export


def test_image_has_an_address_for_each_thing_that_it_names(api: VolumeApi, world: World, key: str) -> None:
    taken = world.take()
    assert taken.image is not None
    status, document = api.call("GET", f"{SNAPSHOTS}/{taken.id}/image", key)
    told = document["data"]
    assert (status, told["format"], told["version"]) == (200, "tidemark-image", 1)
    assert (told["sizeBytes"], told["blockBytes"], told["blocks"]) == (3 * 1024**3, 524_288, 3)
    assert (told["snapshotId"], told["digest"], told["expires"]) == (
        taken.id,
        taken.image.digest,
        f"{world.ports.clock.now() + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}+0000",
    )
    assert told["packCount"] == len(told["packs"]) == 2
    for stored in (told["manifest"], *told["packs"]):
        body = links(world).fetch(stored["url"])
        assert body == world.ports.payloads.get(stored["key"])
        assert len(body) == stored["sizeBytes"]
    assert not has_null(document)


def test_packs_of_an_image_come_in_pages(api: VolumeApi, world: World, key: str) -> None:
    where = f"{SNAPSHOTS}/{world.take().id}/image"
    whole = api.call("GET", where, key)[1]["data"]["packs"]
    pages = [api.call("GET", f"{where}?limit=1&offset={offset}", key)[1]["data"] for offset in range(3)]
    assert [one["key"] for page in pages for one in page["packs"]] == [one["key"] for one in whole]
    assert {page["packCount"] for page in pages} == {2}
    for query, wrong in (("limit=0", "limit"), ("offset=x", "offset"), ("expiresIn=21601", "expiresIn")):
        status, code, message = error(api.call("GET", f"{where}?{query}", key))
        assert (status, code) == (400, 400)
        assert wrong in message


def test_addresses_of_an_image_end_when_they_are_said_to(api: VolumeApi, world: World, key: str) -> None:
    told = api.call("GET", f"{SNAPSHOTS}/{world.take().id}/image?expiresIn=60", key)[1]["data"]
    assert isinstance(world.ports.clock, ManualClock)
    world.ports.clock.advance(60)
    with pytest.raises(LinkExpired):
        links(world).fetch(told["manifest"]["url"])


def test_image_of_a_snapshot_that_is_not_stored_is_refused_in_the_words_of_the_dialect(
    api: VolumeApi, world: World, key: str
) -> None:
    status, document = api.call("GET", f"{SNAPSHOTS}/{world.ask()}/image", key)
    [error] = document["errors"]
    assert (status, error["code"], error["context"]["currentState"]) == (400, 2012, "Allocated")
    assert error["context"]["expectedStates"] == ["BackedUp"]


# --- import


def test_image_that_is_sent_in_parts_becomes_a_snapshot(api: VolumeApi, world: World, key: str) -> None:
    file = RawFile()
    begun = opened(api, key, volume="disk.raw", volumeType="ROOT", name="from elsewhere")
    assert (begun["taskStatus"], begun["partBytes"], begun["partCount"]) == ("PENDING", PART_BYTES, LAST_PART + 1)
    assert begun["data"]["status"] == "PENDING"
    snapshot = begun["snapshot"]
    assert (snapshot["state"], snapshot["volume"], snapshot["volumeType"]) == ("Allocated", "disk.raw", "ROOT")
    assert not has_null(begun)
    where = f"{SNAPSHOTS}/{snapshot['id']}"
    told = api.call("GET", f"{where}/uploads", key)[1]["data"]
    assert (told["sizeBytes"], told["partBytes"], told["partCount"]) == (SIZE_BYTES, PART_BYTES, LAST_PART + 1)
    assert [one["number"] for one in told["parts"]] == list(range(LAST_PART + 1))
    for number, part in file.parts.items():
        links(world).send(told["parts"][number]["url"], part)
    links(world).send(told["indexUrl"], index_of(file.parts))
    again = api.call("GET", f"{where}/uploads?limit=2&offset={LAST_PART - 1}", key)[1]["data"]["parts"]
    assert [(one["number"], one["arrived"]) for one in again] == [(LAST_PART - 1, False), (LAST_PART, True)]
    status, done = api.call("POST", f"{where}/uploads?operation=complete", key, {"digest": file.digest})
    assert (status, done["taskId"], done["taskStatus"]) == (202, begun["taskId"], "PENDING")
    assert isinstance(world.ports.workflows, MemoryWorkflows)
    assert [one.subject for one in world.ports.workflows.started] == [snapshot["id"]]
    stored = run(world.ports, snapshot["id"])
    assert world.content(stored) == file.content
    task = api.call("GET", f"/v1/tasks/{begun['taskId']}", key)[1]
    assert (task["taskStatus"], task["data"]["result"]["state"]) == ("SUCCESS", "BackedUp")
    assert api.call("GET", f"{where}/image", key)[1]["data"]["digest"] == file.digest


def test_address_of_a_part_takes_no_other_number_of_bytes(api: VolumeApi, world: World, key: str) -> None:
    begun = opened(api, key)
    told = api.call("GET", f"{SNAPSHOTS}/{begun['snapshot']['id']}/uploads", key)[1]["data"]
    with pytest.raises(LinkRefused):
        links(world).send(told["parts"][0]["url"], b"short")


def test_import_that_is_asked_for_twice_under_a_key_is_one(api: VolumeApi, world: World, key: str) -> None:
    document = {"sizeBytes": 1}
    answers = [
        api.call("POST", f"{SNAPSHOTS}?operation=import", key, document, headers={"Idempotency-Key": "one"})
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert len(list(world.ports.volumes.volume_snapshots(TEST_AREA))) == 1


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ({}, "sizeBytes"),
        ({"sizeBytes": True}, "sizeBytes"),
        ({"sizeBytes": "1"}, "sizeBytes"),
        ({"sizeBytes": 0}, "1 to"),
        ({"sizeBytes": 64 * 1024**4 + 1}, "64 TiB"),
        ({"sizeBytes": 1, "volumeId": 7}, "volumeId"),
        ({"sizeBytes": 1, "volumeId": "x"}, "UUID"),
        ({"sizeBytes": 1, "volumeType": "root"}, "volumeType"),
        ({"sizeBytes": 1, "volume": " x"}, "name"),
        ({"sizeBytes": 1, "volumeId": SNAPSHOT_ID, "volume": "x"}, "'volume'"),
        ({"sizeBytes": 1, "rapid": True}, "rapid"),
    ],
)
def test_import_is_refused_and_nothing_begun_when_its_body_is_wrong(
    api: VolumeApi, world: World, key: str, document: dict[str, object], wrong: str
) -> None:
    status, code, message = error(api.call("POST", f"{SNAPSHOTS}?operation=import", key, document))
    assert (status, code) == (400, 400)
    assert wrong in message
    assert list(world.ports.volumes.volume_snapshots(TEST_AREA)) == []


def test_import_of_a_volume_of_another_environment_is_not_found(api: VolumeApi, world: World, key: str) -> None:
    other = world.disks.add_volume(1, {}, {"Environment": "other"})
    document = {"sizeBytes": 1, "volumeId": volume_id(REGION, other)}
    assert error(api.call("POST", f"{SNAPSHOTS}?operation=import", key, document))[:2] == (404, 404)
    assert list(world.ports.volumes.volume_snapshots(TEST_AREA)) == []


def test_what_is_not_complete_is_refused_naming_what_is_missing_and_can_be_completed_later(
    api: VolumeApi, world: World, key: str
) -> None:
    file = RawFile()
    where = f"{SNAPSHOTS}/{opened(api, key)['snapshot']['id']}/uploads"
    complete = f"{where}?operation=complete"
    told = api.call("GET", where, key)[1]["data"]
    assert error(api.call("POST", complete, key))[:2] == (400, 409)
    links(world).send(told["indexUrl"], index_of(file.parts))
    status, code, message = error(api.call("POST", complete, key))
    assert (status, code) == (400, 409)
    assert "part 00000000" in message
    for number, part in file.parts.items():
        links(world).send(told["parts"][number]["url"], part)
    assert isinstance(world.ports.workflows, MemoryWorkflows)
    assert world.ports.workflows.started == []
    assert api.call("POST", complete, key)[0] == 202
    assert error(api.call("GET", where, key))[:2] == (400, 409)


@pytest.mark.parametrize(
    ("query", "document", "wrong"),
    [
        ("", {}, "operation"),
        ("?operation=begin", {}, "operation"),
        ("?operation=complete", {"digest": "x"}, "digest"),
        ("?operation=complete", {"digest": 7}, "digest"),
        ("?operation=complete", {"parts": []}, "parts"),
    ],
)
def test_completing_is_refused_when_the_request_is_wrong(
    api: VolumeApi, key: str, query: str, document: dict[str, object], wrong: str
) -> None:
    where = f"{SNAPSHOTS}/{opened(api, key)['snapshot']['id']}/uploads{query}"
    status, code, message = error(api.call("POST", where, key, document))
    assert (status, code) == (400, 400)
    assert wrong in message


def test_what_is_asked_for_in_another_way_is_told_both_ways(api: VolumeApi, key: str) -> None:
    _, _, message = error(api.call("POST", f"{SNAPSHOTS}?operation=make", key, {}))
    assert "create or import" in message


def test_import_that_waits_can_be_deleted(api: VolumeApi, world: World, key: str) -> None:
    where = f"{SNAPSHOTS}/{opened(api, key)['snapshot']['id']}"
    told = api.call("GET", f"{where}/uploads", key)[1]["data"]
    links(world).send(told["indexUrl"], b"")
    assert api.call("DELETE", where, key)[0] == 202
    assert api.call("GET", where, key)[0] == 404
    assert left_of(world) == []


# --- keys


def test_key_that_may_only_read_gets_images_and_no_addresses_to_send_to(api: VolumeApi, world: World) -> None:
    reader = api.key(Action.READ)
    taken = world.take()
    waiting = opened(api, api.key(Action.SNAPSHOT))["snapshot"]["id"]
    assert api.call("GET", f"{SNAPSHOTS}/{taken.id}/image", reader)[0] == 200
    assert api.call("GET", f"{SNAPSHOTS}/{waiting}/uploads", reader)[0] == 403
    assert api.call("POST", f"{SNAPSHOTS}/{waiting}/uploads?operation=complete", reader)[0] == 403
    assert api.call("POST", f"{SNAPSHOTS}?operation=import", reader, {"sizeBytes": 1})[0] == 403


def test_image_of_another_environment_is_not_given_out(api: VolumeApi, world: World) -> None:
    other = api.key(environments=("compute-on/other",))
    taken = world.take()
    assert api.call("GET", f"{SNAPSHOTS}/{taken.id}/image", other)[0] == 403
    elsewhere = SNAPSHOTS.replace("test_area", "other")
    assert api.call("GET", f"{elsewhere}/{taken.id}/image", other)[0] == 404
    assert api.call("GET", f"{elsewhere}/{taken.id}/uploads", other)[0] == 404


def test_sample_events_are_what_the_functions_serve(world: World) -> None:
    taken = world.take()
    image = sample("cloudca", "get_image")
    image["path"] = image["path"].replace(SNAPSHOT_ID, taken.id)
    assert call(FUNCTIONS["GET", image["resource"]], image).status == 200
    upload = Upload(5, until=world.ports.clock.now() + timedelta(days=1))
    waiting = in_state(
        VolumeSnapshotState.ALLOCATED, uploaded=upload, volume_id=VolumeId(SNAPSHOT_ID), task_id="a-task"
    )
    world.ports.volumes.add_volume_snapshot(waiting)
    asked = sample("cloudca", "list_uploads")
    assert call(FUNCTIONS["GET", asked["resource"]], asked).status == 200
    done = sample("cloudca", "complete_upload")
    answer = call(FUNCTIONS["POST", done["resource"]], done)
    assert (answer.status, "list of parts has not arrived" in answer.text) == (400, True)

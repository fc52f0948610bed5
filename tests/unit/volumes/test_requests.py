"""Requests of the cloud.ca dialect: what they ask for, and what is refused before anything is begun."""

import json
from typing import Any

import pytest

from tests.unit.volumes.examples import INSTANCE_ID, SNAPSHOT_ID, TASK_ID, TEST_AREA, VOLUME_ID, request
from tidemark.dialects.cloudca import requests, routes
from tidemark.dialects.cloudca.requests import CreateWanted, RestoreWanted, TemplateWanted, VolumesWanted
from tidemark.dialects.wire import Request
from tidemark.domain.volume import VolumeKind
from tidemark.errors import (
    BodyTooLarge,
    EnvironmentNotFound,
    InvalidRequest,
    MalformedBody,
    TidemarkError,
    UnsupportedMediaType,
)

HERE = "/v1/services/compute-on/test_area"
JSON = {"content-type": "application/json"}
CREATE = {"operation": "create"}


def create(document: object, query: dict[str, str] | None = None, **fields: Any) -> Request:
    wanted = {"query": CREATE if query is None else query, "body": json.dumps(document).encode(), "headers": JSON}
    return request("POST", routes.SNAPSHOTS, f"{HERE}/snapshots", **wanted | fields)


def operate(operation: str | None, body: bytes = b"") -> Request:
    query = {} if operation is None else {"operation": operation}
    path = f"{HERE}/snapshots/{SNAPSHOT_ID}"
    return request("POST", routes.SNAPSHOT, path, query=query, body=body, headers=JSON)


@pytest.mark.parametrize(
    ("route", "path"),
    [
        (routes.SNAPSHOTS, f"{HERE}/snapshots"),
        (routes.SNAPSHOTS, f"{HERE}/snapshots/"),
        (routes.SNAPSHOT, f"{HERE}/snapshots/{SNAPSHOT_ID}"),
        (routes.VOLUMES, f"{HERE}/volumes"),
        (routes.VOLUME, f"{HERE}/volumes/{VOLUME_ID}"),
    ],
)
def test_environment_is_the_one_in_the_path(route: str, path: str) -> None:
    assert requests.environment_in(request("GET", route, path)) == TEST_AREA


@pytest.mark.parametrize("name", ["Test", "a%23b", "a%2Fb", "..", "x" * 51])
def test_environment_that_can_have_no_such_name_is_not_found(name: str) -> None:
    with pytest.raises(EnvironmentNotFound, match="no environment"):
        requests.environment_in(request("GET", routes.SNAPSHOTS, f"/v1/services/compute-on/{name}/snapshots"))


def test_ids_are_those_in_the_path_in_small_letters() -> None:
    snapshot = request("GET", routes.SNAPSHOT, f"{HERE}/snapshots/{SNAPSHOT_ID.upper()}")
    assert requests.snapshot_in(snapshot) == SNAPSHOT_ID
    assert requests.volume_in(request("GET", routes.VOLUME, f"{HERE}/volumes/{VOLUME_ID}")) == VOLUME_ID
    assert requests.task_in(request("GET", routes.TASK, f"/v1/tasks/{TASK_ID}")) == TASK_ID


def test_bad_uuid_is_refused_saying_of_what() -> None:
    with pytest.raises(InvalidRequest, match="the id of a snapshot must be a UUID"):
        requests.snapshot_in(request("GET", routes.SNAPSHOT, f"{HERE}/snapshots/1"))
    with pytest.raises(InvalidRequest, match="the id of a volume must be a UUID"):
        requests.volume_in(request("GET", routes.VOLUME, f"{HERE}/volumes/vol-049df61146c4d7901"))
    with pytest.raises(InvalidRequest, match="the id of a task must be a UUID"):
        requests.task_in(request("GET", routes.TASK, "/v1/tasks/x"))


def test_list_is_of_every_volume_unless_one_is_named() -> None:
    def asked(**query: str) -> Request:
        return request("GET", routes.SNAPSHOTS, f"{HERE}/snapshots", query=query)

    assert requests.volume_filter(asked()) is None
    assert requests.volume_filter(asked(org_id="1", sort_by="name")) is None
    assert requests.volume_filter(asked(volume_id=VOLUME_ID)) == VOLUME_ID
    for bad in ("", "1", "vol-049df61146c4d7901"):
        with pytest.raises(InvalidRequest):
            requests.volume_filter(asked(volume_id=bad))


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, VolumesWanted()),
        ({"type": "os"}, VolumesWanted(VolumeKind.ROOT)),
        ({"type": "DATA"}, VolumesWanted(VolumeKind.DATA)),
        ({"instance_id": INSTANCE_ID}, VolumesWanted(None, INSTANCE_ID)),
        ({"type": "data", "instance_id": INSTANCE_ID}, VolumesWanted(VolumeKind.DATA, INSTANCE_ID)),
    ],
)
def test_volumes_are_listed_by_type_and_instance(query: dict[str, str], wanted: VolumesWanted) -> None:
    assert requests.volumes_wanted(request("GET", routes.VOLUMES, query=query)) == wanted


@pytest.mark.parametrize("query", [{"type": "root"}, {"type": ""}, {"instance_id": "i-1234567890abcdef0"}])
def test_list_of_volumes_is_refused_by_what_none_can_have(query: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        requests.volumes_wanted(request("GET", routes.VOLUMES, query=query))


@pytest.mark.parametrize("query", [CREATE, {}])
def test_snapshot_is_asked_for_with_the_operation_or_without_any(query: dict[str, str]) -> None:
    assert requests.create_wanted(create({"volumeId": VOLUME_ID}, query)) == CreateWanted(VOLUME_ID)


def test_snapshot_may_be_named_and_rapid() -> None:
    document = {"volumeId": VOLUME_ID.upper(), "name": "BeforeUpgradeToV2", "rapid": True}
    assert requests.create_wanted(create(document)) == CreateWanted(VOLUME_ID, "BeforeUpgradeToV2", rapid=True)


def test_body_without_a_content_type_is_read_as_the_first_clients_send_it() -> None:
    assert requests.create_wanted(create({"volumeId": VOLUME_ID}, headers={})) == CreateWanted(VOLUME_ID)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "'volumeId' must be the id of the volume; send one"),
        ({"volumeId": None}, "send one"),
        ({"volumeId": 7}, "no string"),
        ({"volumeId": "vol-049df61146c4d7901"}, "must be a UUID"),
        ({"volumeId": VOLUME_ID, "name": ""}, "the name of a snapshot"),
        ({"volumeId": VOLUME_ID, "name": 1}, "'name' must be a string"),
        ({"volumeId": VOLUME_ID, "rapid": "yes"}, "'rapid' must be true or false"),
        ({"volumeId": VOLUME_ID, "rapid": None}, "'rapid' must be true or false"),
        ({"volumeID": VOLUME_ID}, "'volumeID' is unknown"),
        ([], "must be a JSON object"),
    ],
)
def test_snapshot_is_refused_naming_the_member_that_is_wrong(document: object, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        requests.create_wanted(create(document))


@pytest.mark.parametrize("operation", ["delete", "Create", "", "restore"])
def test_operation_that_the_list_does_not_have_is_refused(operation: str) -> None:
    with pytest.raises(InvalidRequest, match="operation must be create or import; it is"):
        requests.create_wanted(create({"volumeId": VOLUME_ID}, {"operation": operation}))


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"body": b"{"}, MalformedBody),
        ({"body": b'{"volumeId": "\xff"}'}, MalformedBody),
        ({"body": b" " * 16_384 + b"{}"}, BodyTooLarge),
        ({"headers": {"content-type": "text/plain"}}, UnsupportedMediaType),
        ({"body": b""}, InvalidRequest),
    ],
)
def test_body_that_is_none_is_refused(fields: dict[str, Any], refusal: type[TidemarkError]) -> None:
    with pytest.raises(refusal):
        requests.create_wanted(create({}, **fields))


def test_body_of_another_type_is_told_the_one_that_is_taken() -> None:
    with pytest.raises(UnsupportedMediaType) as refused:
        requests.create_wanted(create({}, headers={"content-type": "text/plain"}))
    assert refused.value.message == "send the body with Content-Type: application/json; it is 'text/plain'"


@pytest.mark.parametrize(
    ("operation", "body", "wanted"),
    [
        ("restore", b"", RestoreWanted()),
        ("restore", b"{}", RestoreWanted()),
        ("restore", b'{"name": "again"}', RestoreWanted("again")),
        ("restore", b'{"zone": "eu-west-1b"}', RestoreWanted(None, "eu-west-1b")),
        ("createTemplate", b"", TemplateWanted()),
        ("createTemplate", b'{"name": "golden", "description": "x"}', TemplateWanted("golden", "x")),
    ],
)
def test_operation_on_a_snapshot_is_what_it_says(
    operation: str, body: bytes, wanted: RestoreWanted | TemplateWanted
) -> None:
    found = requests.operation_wanted(operate(operation, body))
    assert (type(found), found) == (type(wanted), wanted)


@pytest.mark.parametrize("operation", [None, "", "create", "Restore", "revert"])
def test_operation_that_a_snapshot_does_not_have_is_refused_naming_those_that_it_has(operation: str | None) -> None:
    with pytest.raises(InvalidRequest, match="operation must be restore or createTemplate"):
        requests.operation_wanted(operate(operation))


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("restore", b'{"description": "x"}'),
        ("restore", b'{"name": 1}'),
        ("restore", b'{"zone": ["eu-west-1b"]}'),
        ("createTemplate", b'{"name": ""}'),
        ("createTemplate", b'{"description": 1}'),
        ("createTemplate", json.dumps({"description": "x" * 256}).encode()),
        ("createTemplate", json.dumps({"description": "caf\u00e9"}).encode()),
        ("createTemplate", json.dumps({"description": "two\nlines"}).encode()),
        ("createTemplate", b"[]"),
    ],
)
def test_operation_is_refused_for_a_member_that_is_wrong(operation: str, body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        requests.operation_wanted(operate(operation, body))


def test_deletion_takes_no_body_but_an_empty_one() -> None:
    def deletion(body: bytes) -> Request:
        return request("DELETE", routes.SNAPSHOT, f"{HERE}/snapshots/{SNAPSHOT_ID}", body=body, headers=JSON)

    for body in (b"", b" \n", b"{}"):
        requests.check_bare(deletion(body))
    with pytest.raises(InvalidRequest, match="takes none"):
        requests.check_bare(deletion(b'{"force": true}'))

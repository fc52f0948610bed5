"""Batches through the entity store's function: what each action does, and what is answered when it can't be done."""

from collections.abc import Mapping

import pytest

from tests.handlers import rest
from tests.handlers.entities_client import EntitiesClient
from tests.handlers.rest import Answer
from tidemark.ports import Ports


@pytest.fixture
def api(ports: Ports) -> EntitiesClient:
    client = EntitiesClient()
    client.create({"id": "E1", "type": "T", "a": {"value": 1}}, {"id": "E2", "type": "T", "a": {"value": 2}})
    return client


def update(api: EntitiesClient, action: str, *entities: Mapping[str, object], options: str = "keyValues") -> Answer:
    return api.call(f"POST /v2/op/update?options={options}", {"actionType": action, "entities": list(entities)})


def stored(api: EntitiesClient) -> dict[str, dict[str, object]]:
    """Values by id and type."""
    listed = api.call("GET /v2/entities?options=keyValues&limit=1000").json
    return {f"{entity.pop('id')}/{entity.pop('type')}": entity for entity in listed}


@pytest.mark.parametrize("action", ["append", "APPEND"])
def test_append_creates_changes_and_adds(api: EntitiesClient, action: str) -> None:
    answer = update(api, action, {"id": "E1", "type": "T", "a": 5, "b": 6}, {"id": "E3", "type": "T", "a": 7})
    assert (answer.status, answer.text) == (204, "")
    assert stored(api) == {"E1/T": {"a": 5, "b": 6}, "E2/T": {"a": 2}, "E3/T": {"a": 7}}


def test_append_strict_adds_only_what_is_new(api: EntitiesClient) -> None:
    answer = update(api, "appendStrict", {"id": "E1", "type": "T", "a": 5, "b": 6}, {"id": "E3", "type": "T"})
    rest.assert_error(answer, 422, "PartialUpdate", "already exist: E1/T - [ a ]")
    assert stored(api) == {"E1/T": {"a": 1, "b": 6}, "E2/T": {"a": 2}, "E3/T": {}}


def test_append_strict_fails_as_a_whole_when_nothing_is_new(api: EntitiesClient) -> None:
    answer = update(api, "appendStrict", {"id": "E1", "type": "T", "a": 5}, {"id": "E2", "type": "T", "a": 5})
    rest.assert_error(answer, 422, "Unprocessable", "E1/T - [ a ]", "E2/T - [ a ]")
    assert stored(api) == {"E1/T": {"a": 1}, "E2/T": {"a": 2}}


def test_update_changes_what_exists_and_names_what_does_not(api: EntitiesClient) -> None:
    answer = update(
        api,
        "update",
        {"id": "E1", "type": "T", "a": 5, "b": 6},
        {"id": "E2", "type": "T", "a": 7},
        {"id": "E9", "type": "T"},
    )
    rest.assert_error(answer, 422, "PartialUpdate", "do not exist: E1/T - [ b ], E9/T - [entity itself]")
    assert stored(api) == {"E1/T": {"a": 5}, "E2/T": {"a": 7}}


def test_update_answers_404_when_nothing_exists(api: EntitiesClient) -> None:
    both = [{"id": name, "type": "T", "a": 1} for name in ("E8", "E9")]
    rest.assert_error(update(api, "update", *both), 404, "NotFound", "E8/T - [entity itself]", "E9/T")
    rest.assert_error(update(api, "delete", both[0]), 404, "NotFound", "'E8'")
    rest.assert_error(update(api, "replace", both[0]), 404, "NotFound", "'E8'")
    assert set(stored(api)) == {"E1/T", "E2/T"}


def test_delete_removes_named_attributes_or_the_entity(api: EntitiesClient) -> None:
    assert update(api, "delete", {"id": "E1", "type": "T", "a": 0}, {"id": "E2", "type": "T"}).status == 204
    assert stored(api) == {"E1/T": {}}
    rest.assert_error(update(api, "delete", {"id": "E1", "type": "T", "a": 0}), 404, "NotFound", "a")


def test_replace_leaves_only_what_is_given(api: EntitiesClient) -> None:
    assert update(api, "replace", {"id": "E1", "type": "T", "b": 1}).status == 204
    assert stored(api)["E1/T"] == {"b": 1}


def test_entity_named_twice_is_edited_in_order(api: EntitiesClient) -> None:
    first, second = {"id": "N", "type": "T", "a": 1, "b": 1}, {"id": "N", "type": "T", "a": 2}
    assert update(api, "append", first, second).status == 204
    assert stored(api)["N/T"] == {"a": 2, "b": 1}


def test_entity_without_type_means_the_one_that_exists_or_a_thing(api: EntitiesClient) -> None:
    assert update(api, "append", {"id": "E1", "b": 1}, {"id": "N", "b": 2}).status == 204
    assert stored(api) == {"E1/T": {"a": 1, "b": 1}, "E2/T": {"a": 2}, "N/Thing": {"b": 2}}


def test_batch_answers_409_when_an_id_without_type_is_ambiguous(api: EntitiesClient) -> None:
    api.create({"id": "E1", "type": "U"})
    answer = update(api, "update", {"id": "E2", "type": "T", "a": 9}, {"id": "E1", "a": 9})
    rest.assert_error(answer, 409, "TooManyResults", "E1")
    assert stored(api)["E2/T"] == {"a": 2}


def test_large_batches_are_carried_out_and_reported_in_full(api: EntitiesClient) -> None:
    many: list[dict[str, object]] = [{"id": f"B{number}", "type": "T", "a": number} for number in range(1000)]
    assert update(api, "append", *many).status == 204
    assert len(stored(api)) == 1000
    answer = api.call("GET /v2/entities?options=count&type=T&limit=1")
    assert answer.headers["Fiware-Total-Count"] == "1002"
    answer = update(api, "update", *({**entity, "z": 1} for entity in many))
    rest.assert_error(answer, 422, "PartialUpdate", "B0/T - [ z ]", "B999/T - [ z ]")


def test_metadata_of_changed_attributes_stays_unless_overridden(api: EntitiesClient) -> None:
    measured = {"id": "M", "type": "T", "a": {"value": 1, "metadata": {"unit": {"value": "C"}, "by": {"value": "x"}}}}
    changed = {"id": "M", "type": "T", "a": {"value": 2, "metadata": {"by": {"value": "y"}}}}
    update(api, "append", measured, options="forcedUpdate")
    update(api, "update", changed, options="forcedUpdate")
    metadata = api.call("GET /v2/entities/M").json["a"]["metadata"]
    assert {name: element["value"] for name, element in metadata.items()} == {"unit": "C", "by": "y"}
    update(api, "update", changed, options="overrideMetadata")
    assert list(api.call("GET /v2/entities/M").json["a"]["metadata"]) == ["by"]


BODIES = {
    "no action": ({"entities": [{"id": "N"}]}, "actionType"),
    "unknown action": ({"actionType": "merge", "entities": [{"id": "N"}]}, "merge"),
    "action without a batch": ({"actionType": "create", "entities": [{"id": "N"}]}, "create"),
    "no entities": ({"actionType": "append"}, "entities"),
    "empty entities": ({"actionType": "append", "entities": []}, "0 entities"),
    "too many": ({"actionType": "append", "entities": [{"id": f"N{n}"} for n in range(1001)]}, "1001"),
    "not a list": ({"actionType": "append", "entities": {"id": "N"}}, "array"),
    "not objects": ({"actionType": "append", "entities": ["N"]}, "object"),
    "unknown member": ({"actionType": "append", "entities": [{"id": "N"}], "filter": 1}, "filter"),
    "one bad of two": ({"actionType": "append", "entities": [{"id": "N"}, {"id": "a b"}]}, "'a b'"),
    "no id": ({"actionType": "append", "entities": [{"type": "N"}]}, "id"),
}


@pytest.mark.parametrize(("body", "said"), BODIES.values(), ids=BODIES)
def test_batch_writes_nothing_when_its_body_is_wrong(api: EntitiesClient, body: dict[str, object], said: str) -> None:
    rest.assert_error(api.call("POST /v2/op/update", body), 400, "BadRequest", said)
    assert set(stored(api)) == {"E1/T", "E2/T"}


def test_batch_writes_nothing_when_one_entity_is_too_large(api: EntitiesClient) -> None:
    answer = update(api, "append", {"id": "N", "type": "T"}, {"id": "L", "type": "T", "text": "x" * 180_000})
    rest.assert_error(answer, 413, "RequestEntityTooLarge", "'L'", "180000")
    assert set(stored(api)) == {"E1/T", "E2/T"}


def test_entity_that_grows_too_large_stays_as_it_was(api: EntitiesClient) -> None:
    half = "x" * 100_000
    assert update(api, "append", {"id": "E1", "type": "T", "b": half}).status == 204
    rest.assert_error(update(api, "append", {"id": "E1", "type": "T", "c": half}), 413, "RequestEntityTooLarge", "E1")
    assert set(stored(api)["E1/T"]) == {"a", "b"}

"""A user of the API: filip, an NGSIv2 client library that knows nothing of Tidemark, works with entities.

filip's pins clash with ours, so this runs as a program in the environment `.venv-ngsi`, against `TIDEMARK_URL` with
`TIDEMARK_API_KEY`. It prints a line per step and ends with status 1 at the first thing that is not as expected.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from filip.clients.exceptions import BaseHttpClientException  # type: ignore[import-not-found]
from filip.clients.ngsi_v2 import ContextBrokerClient  # type: ignore[import-not-found]
from filip.models.base import FiwareHeader  # type: ignore[import-not-found]
from filip.models.ngsi_v2.context import (  # type: ignore[import-not-found]
    ContextAttribute,
    ContextEntity,
    NamedContextAttribute,
    Query,
)
from filip.utils.cleanup import clear_context_broker  # type: ignore[import-not-found]

SERVICE = "filip_peer"
COUNT = 1050
ROOM = "urn:ngsi-ld:Room:1"


class Unexpected(Exception):
    """The API did something else than it should."""


def main() -> int:
    """Run all steps."""
    client = ContextBrokerClient(
        url=os.environ["TIDEMARK_URL"],
        fiware_header=FiwareHeader(service=SERVICE, service_path="/"),
        headers={"X-Api-Key": os.environ["TIDEMARK_API_KEY"]},
    )
    with client:
        clear_context_broker(cb_client=client, clear_registrations=True)
        for step in STEPS:
            step(client)
            print(f"ok {step.__name__}", flush=True)  # noqa: T201 - this is a program
    return 0


def looks_around(client: Any) -> None:
    """The entry points and the version, which filip compares with the Orion that it needs."""
    resources = client.get_resources()
    expect("entities_url", resources["entities_url"], "/v2/entities")
    expect("version", client.get_version()["orion"]["version"].split(".")[0], "3")


def creates_one_entity(client: Any) -> None:
    """Create, refuse to create again, and read in full and as values."""
    metadata = {"unitCode": {"type": "Text", "value": "CEL"}}
    room = ContextEntity(id=ROOM, type="Room")
    room.add_attributes(
        [
            NamedContextAttribute(name="temperature", type="Number", value=21.5, metadata=metadata),
            NamedContextAttribute(name="address", type="StructuredValue", value={"city": "Zürich", "no": [1, 2]}),
        ]
    )
    expect("location", client.post_entity(room), f"/v2/entities/{ROOM}?type=Room")
    expect("same entity", client.get_entity(ROOM).model_dump(), room.model_dump())
    expect("exists", client.does_entity_exist(ROOM, "Room"), True)
    expect("exists", client.does_entity_exist(ROOM, "Hall"), False)
    refused(422, lambda: client.post_entity(room))
    values = client.get_entity(ROOM, response_format="keyValues").model_dump()
    expect("values", values["temperature"], 21.5)


def changes_one_entity(client: Any) -> None:
    """Append, update, replace by way of an update, and delete an attribute; read and write a bare value."""
    client.update_or_append_entity_attributes(ROOM, {"floor": ContextAttribute(type="Number", value=3)}, "Room")
    client.update_entity_attribute(
        ROOM, NamedContextAttribute(name="floor", type="Number", value=4), entity_type="Room"
    )
    expect("floor", client.get_attribute_value(ROOM, "floor"), 4)
    for value in (5, "five", True, 2.5, {"level": [5]}):
        client.update_attribute_value(entity_id=ROOM, attr_name="floor", value=value, entity_type="Room")
        expect("value", client.get_attribute_value(ROOM, "floor", "Room"), value)
    warmer = {"temperature": ContextAttribute(type="Number", value=23)}
    client.update_existing_entity_attributes(ROOM, warmer, "Room")
    attribute = client.get_attribute(ROOM, "temperature")
    expect("metadata that was not named", attribute.metadata["unitCode"].value, "CEL")
    client.delete_entity_attribute(ROOM, "floor")
    refused(404, lambda: client.get_attribute(ROOM, "floor"))
    client.post_entity(ContextEntity(id=ROOM, type="Room", name={"type": "Text", "value": "new"}), update=True)
    expect("attributes after an override", set(client.get_entity(ROOM).model_dump()), {"id", "type", "name"})


def creates_many_in_batches(client: Any) -> None:
    """More entities than one batch and one page may hold."""
    entities = [
        ContextEntity(
            id=f"urn:ngsi-ld:Sensor:{number:04}",
            type="Sensor",
            reading={"type": "Number", "value": number, "metadata": {"accuracy": {"type": "Number", "value": 0.1}}},
            zone={"type": "Text", "value": "north" if number % 2 else "south"},
        )
        for number in range(COUNT)
    ]
    for start in range(0, COUNT, 700):
        client.update(entities=entities[start : start + 700], action_type="append")
    listed = client.get_entity_list(entity_types=["Sensor"])
    expect("sensors over several pages", len(listed), COUNT)
    expect("no entity twice", len({entity.id for entity in listed}), COUNT)
    expect("a sensor", listed[7].model_dump(), entities[7].model_dump())


def updates_in_batches(client: Any) -> None:
    """Update what exists, and learn which of a batch does not."""
    changed = [
        ContextEntity(id=f"urn:ngsi-ld:Sensor:{number:04}", type="Sensor", reading={"type": "Number", "value": -1})
        for number in range(100)
    ]
    client.update(entities=changed, action_type="update")
    expect("updated", len(client.get_entity_list(q="reading==-1")), 100)
    missing = ContextEntity(id="urn:ngsi-ld:Sensor:none", type="Sensor", reading={"type": "Number", "value": 0})
    refused(404, lambda: client.update(entities=[missing], action_type="update"))
    refused(422, lambda: client.update(entities=[changed[0], missing], action_type="update"))


def lists_and_queries(client: Any) -> None:
    """Filters, patterns, order, short forms, the query operation and the types."""
    north = client.get_entity_list(q="zone==north;reading>=1000", order_by="!reading")
    expect("ordered", [entity.reading.value for entity in north[:3]], [1049, 1047, 1045])
    expect("pattern", len(client.get_entity_list(id_pattern="Sensor:000[0-4]$")), 5)
    expect("ids", len(client.get_entity_list(entity_ids=[ROOM, "urn:ngsi-ld:Sensor:0001", "none"])), 2)
    accurate = client.get_entity_list(mq="reading.accuracy<0.2", limit=3)
    expect("limit and metadata", len(accurate), 3)
    rows = client.get_entity_list(entity_types=["Room"], attrs=["name"], response_format="values")
    expect("values", rows, [["new"]])
    query = Query.model_validate(
        {
            "entities": [{"idPattern": "Sensor", "type": "Sensor"}],
            "attrs": ["zone"],
            "expression": {"q": "reading<103"},
        }
    )
    found = client.query(query=query, limit=1000, response_format="keyValues")
    expect("queried", len(found), 103)
    types = {entry["type"]: entry["count"] for entry in client.get_entity_types()}
    expect("types", types, {"Room": 1, "Sensor": COUNT})
    expect("type", sorted(client.get_entity_type("Sensor")["attrs"]), ["reading", "zone"])


def deletes(client: Any) -> None:
    """One entity, then all that are left."""
    client.delete_entity(ROOM, "Room")
    refused(404, lambda: client.get_entity(ROOM))
    refused(404, lambda: client.delete_entity(ROOM, "Room"))
    clear_context_broker(cb_client=client, clear_registrations=True)
    expect("left", client.get_entity_list(), [])


STEPS: tuple[Callable[[Any], None], ...] = (
    looks_around,
    creates_one_entity,
    changes_one_entity,
    creates_many_in_batches,
    updates_in_batches,
    lists_and_queries,
    deletes,
)


def expect(what: str, found: object, expected: object) -> None:
    """See that two things are equal."""
    if found != expected:
        raise Unexpected(f"{what}: expected {expected!r}, found {found!r}")


def refused(status: int, call: Callable[[], object]) -> None:
    """See that a call is answered with an error of this status."""
    try:
        call()
    except BaseHttpClientException as error:
        expect("status", error.response.status_code, status)
    else:
        raise Unexpected(f"a call that should be refused with {status} was served")


if __name__ == "__main__":
    sys.exit(main())

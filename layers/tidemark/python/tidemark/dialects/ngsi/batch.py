"""Carrying out edits on stored entities: one of them for most routes, up to 1000 for `POST /v2/op/update`.

Every entity's edit stands alone: what can be done is done, then the error names what could not, as Orion does. A group
of entities that commits together is read and decided together, so a lost race is decided anew from what is there then.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from tidemark.dialects.ngsi import edits
from tidemark.dialects.ngsi.edits import Action, Edit, Edited
from tidemark.dialects.ngsi.entities import DEFAULT_TYPE, attributes_of, encode, parse_entity
from tidemark.dialects.ngsi.parameters import json_type, members
from tidemark.dialects.ngsi.selection import only_one
from tidemark.dialects.ngsi.syntax import shown
from tidemark.domain.keys import EntityKey
from tidemark.domain.tenant import Tenant
from tidemark.engine.live.writes import MAX_ENTITY_BYTES
from tidemark.errors import (
    AttributeExists,
    AttributeNotFound,
    EntityExists,
    EntityNotFound,
    EntityTooLarge,
    InvalidRequest,
    PartialUpdate,
    TidemarkError,
)
from tidemark.ports import Ports
from tidemark.usecases import entities

MAX_ENTITIES: Final = 1000
_BATCH_ACTIONS: Final = (Action.APPEND, Action.APPEND_STRICT, Action.UPDATE, Action.DELETE, Action.REPLACE)
# Orion also reads the names in the spelling of NGSIv1: APPEND_STRICT for appendStrict.
ACTIONS: Final[Mapping[str, Action]] = {
    spelling: action for action in _BATCH_ACTIONS for spelling in (action.value, action.name)
}


class Target(NamedTuple):
    """An entity to edit. Without a type it is the one entity with that id, whatever its type."""

    id: str
    type: str | None
    edit: Edit


type _Report = dict[EntityKey, list[Edited]]


def parse_update(document: dict[str, Any], *, key_values: bool, override: bool) -> list[Target]:
    """The body of `POST /v2/op/update`. Raises InvalidRequest, NotSupported."""
    body = members(document, {"actionType", "entities"})
    action = _action(body.get("actionType"))
    given = body.get("entities")
    if not isinstance(given, list):
        raise InvalidRequest(f"the member 'entities' must be an array of entities; it is {json_type(given)}")
    if not 1 <= len(given) <= MAX_ENTITIES:
        raise InvalidRequest(f"the member 'entities' holds {len(given)} entities; send 1 to {MAX_ENTITIES}")
    parsed = [parse_entity(entity, key_values=key_values) for entity in given]
    return [Target(entity.id, entity.type, Edit(action, entity.attributes, override)) for entity in parsed]


def carry_out(ports: Ports, tenant: Tenant, path: str, targets: Sequence[Target]) -> list[EntityKey]:
    """Edit entities in a service path, and give their keys in the order of the targets.

    Edits of the same entity are made one after another. Raises EntityNotFound, AttributeNotFound, EntityExists,
    AttributeExists where nothing could be done, PartialUpdate where something was; TooManyResults before anything is
    done, and so EntityTooLarge unless it is by what is stored already that an entity grows too large.
    """
    keys = _resolved(ports, tenant, path, targets)
    for key, target in zip(keys, targets, strict=True):
        _check_size(key, target.edit)
    wanted: dict[EntityKey, list[Edit]] = {}
    for key, target in zip(keys, targets, strict=True):
        wanted.setdefault(key, []).append(target.edit)
    report: _Report = {}

    def decide(present: Mapping[EntityKey, str | None]) -> Mapping[EntityKey, str | None]:
        docs: dict[EntityKey, str | None] = {}
        for key, old in present.items():
            new, report[key] = _edited(key, old, wanted[key])
            if new != old:
                docs[key] = new
        return docs

    entities.change(ports, tenant, list(wanted), decide)
    failure = _failure(report, path)
    if failure is not None:
        raise failure
    return keys


def find_one(ports: Ports, tenant: Tenant, entity_id: str, type_: str | None, path: str) -> EntityKey:
    """The key of the one entity with this id in a service path. Raises EntityNotFound, TooManyResults."""
    if type_ is not None:
        return EntityKey(type_, entity_id, path)
    found = [stored.key for stored in entities.find(ports, tenant, entity_id) if stored.key.path == path]
    if not found:
        raise EntityNotFound(_no_entity(entity_id, None, path))
    return only_one(found, entity_id)


def _action(name: object) -> Action:
    if not isinstance(name, str) or name not in ACTIONS:
        given = shown(name) if isinstance(name, str) else json_type(name)
        raise InvalidRequest(f"the member 'actionType' must be one of {', '.join(_BATCH_ACTIONS)}; it is {given}")
    return ACTIONS[name]


def _resolved(ports: Ports, tenant: Tenant, path: str, targets: Sequence[Target]) -> list[EntityKey]:
    typeless = {target.id: target for target in targets if target.type is None}
    found = dict(
        zip(typeless, ports.parallel.map(lambda id_: entities.find(ports, tenant, id_), list(typeless)), strict=True)
    )
    keys = []
    for target in targets:
        if target.type is not None:
            keys.append(EntityKey(target.type, target.id, path))
            continue
        there = [stored.key for stored in found[target.id] if stored.key.path == path]
        keys.append(only_one(there, target.id) if there else EntityKey(DEFAULT_TYPE, target.id, path))
    return keys


def _check_size(key: EntityKey, edit: Edit) -> None:
    size_bytes = len(encode(key, edit.attributes).encode())
    if size_bytes > MAX_ENTITY_BYTES:
        raise EntityTooLarge(
            f"entity {shown(key.id)} of type {shown(key.type)} has {size_bytes} bytes of JSON; "
            f"the limit is {MAX_ENTITY_BYTES}"
        )


def _edited(key: EntityKey, doc: str | None, wanted: list[Edit]) -> tuple[str | None, list[Edited]]:
    attributes = attributes_of(doc) if doc is not None else None
    outcomes = []
    for edit in wanted:
        outcome = edits.apply(edit, attributes)
        attributes = outcome.attributes
        outcomes.append(outcome)
    return (encode(key, attributes) if attributes is not None else None), outcomes


def _failure(report: _Report, path: str) -> TidemarkError | None:
    outcomes = [(key, outcome) for key, entries in report.items() for outcome in entries]
    failed = [(key, outcome) for key, outcome in outcomes if outcome.failed]
    if not failed:
        return None
    if len(outcomes) > 1 or failed[0][1].changed:
        return _many(failed, partial=any(outcome.changed for _, outcome in outcomes))
    key, outcome = failed[0]
    if outcome.no_entity:
        return EntityNotFound(_no_entity(key.id, key.type, path))
    if outcome.entity_exists:
        return EntityExists(
            f"Already Exists: there is an entity {shown(key.id)} of type {shown(key.type)} in {path}; "
            "use options=upsert to change it"
        )
    if outcome.absent:
        return AttributeNotFound(
            f"The entity does not have such an attribute: {shown(key.id)} has no {', '.join(outcome.absent)}"
        )
    return AttributeExists(
        f"one or more of the attributes in the request already exist: {shown(key.id)} has {', '.join(outcome.present)}"
    )


def _many(failed: Sequence[tuple[EntityKey, Edited]], *, partial: bool) -> TidemarkError:
    missing = [named for key, outcome in failed if (named := _named(key, outcome.absent, whole=outcome.no_entity))]
    existing = [
        named for key, outcome in failed if (named := _named(key, outcome.present, whole=outcome.entity_exists))
    ]
    parts = [f"do not exist: {', '.join(missing)}"] if missing else []
    parts += [f"already exist: {', '.join(existing)}"] if existing else []
    sentence = "; ".join(parts)
    if partial:
        return PartialUpdate(sentence)
    return EntityNotFound(sentence) if missing else AttributeExists(sentence)


def _named(key: EntityKey, attributes: Sequence[str], *, whole: bool) -> str:
    """What of an entity failed, as Orion writes it: `E1/T - [ a, b ]`, `E1/T - [entity itself]`; empty for nothing."""
    if whole:
        return f"{key.id}/{key.type} - [entity itself]"
    return f"{key.id}/{key.type} - [ {', '.join(attributes)} ]" if attributes else ""


def _no_entity(entity_id: str, type_: str | None, path: str) -> str:
    of_type = f" of type {shown(type_)}" if type_ is not None else ""
    return (
        f"The requested entity has not been found. Check type and id: there is no {shown(entity_id)}{of_type} in {path}"
    )

"""How entities look in answers: the representation, and which attributes and metadata they show.

Source: the NGSIv2 specification on the representations of entities and on "Filtering out attributes and metadata".
Members come in the order that Orion gives them: id and type first, then attributes as type, value, metadata.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from tidemark.dialects.ngsi.attributes import Attribute, Attributes
from tidemark.dialects.ngsi.options import options_of
from tidemark.dialects.ngsi.parameters import json_type
from tidemark.dialects.ngsi.syntax import allowed_text
from tidemark.dialects.wire import Request
from tidemark.domain.keys import EntityKey
from tidemark.errors import InvalidRequest

_ALL: Final = "*"
_SORTED: Final = msgspec.json.Encoder(order="sorted")


class Form(StrEnum):
    """The representation of an entity. The values are words of the parameter `options`."""

    NORMALIZED = "normalized"
    KEY_VALUES = "keyValues"
    VALUES = "values"
    UNIQUE = "unique"


@dataclass(frozen=True, slots=True)
class Rendering:
    """How to show entities. `attrs` and `metadata` name what to show, in that order; None and `*` mean all."""

    form: Form = Form.NORMALIZED
    attrs: tuple[str, ...] | None = None
    metadata: tuple[str, ...] | None = None

    def entity(self, key: EntityKey, attributes: Attributes) -> dict[str, Any] | list[Any]:
        """A whole entity."""
        shown = self.attributes(attributes)
        return shown if isinstance(shown, list) else {"id": key.id, "type": key.type, **shown}

    def attributes(self, attributes: Attributes) -> dict[str, Any] | list[Any]:
        """An entity's attributes, without its id and type."""
        chosen = _chosen(attributes, self.attrs)
        match self.form:
            case Form.NORMALIZED:
                return {name: self.attribute(attribute) for name, attribute in chosen.items()}
            case Form.KEY_VALUES:
                return {name: attribute["value"] for name, attribute in chosen.items()}
            case Form.VALUES:
                return [attribute["value"] for attribute in chosen.values()]
            case Form.UNIQUE:
                return _without_repetition(attribute["value"] for attribute in chosen.values())

    def attribute(self, attribute: Attribute) -> Attribute:
        """One attribute in full."""
        metadata = _chosen(attribute["metadata"], self.metadata)
        return {
            "type": attribute["type"],
            "value": attribute["value"],
            "metadata": {
                name: {"type": element["type"], "value": element["value"]} for name, element in metadata.items()
            },
        }


def rendering_of(request: Request) -> Rendering:
    """The representation that the query parameters ask for. Raises InvalidRequest."""
    words = options_of(request)
    forms = [form for form in Form if form in words]
    if len(forms) > 1:
        raise InvalidRequest(f"the options {', '.join(forms)} exclude each other; use one of them")
    return Rendering(
        form=forms[0] if forms else Form.NORMALIZED,
        attrs=_names(request.query, "attrs"),
        metadata=_names(request.query, "metadata"),
    )


def names_in(document: Mapping[str, Any], member: str) -> tuple[str, ...] | None:
    """The names in a body's array of names; None where it has none, which asks for all. Raises InvalidRequest."""
    given = document.get(member, [])
    if not isinstance(given, list):
        raise InvalidRequest(f"the member {member!r} must be an array of names; it is {json_type(given)}")
    for name in given:
        if not isinstance(name, str) or not name:
            raise InvalidRequest(
                f"the member {member!r} must hold names; one of its elements is {json_type(name)} or empty"
            )
    return tuple(given) or None


def _names(query: Mapping[str, str], parameter: str) -> tuple[str, ...] | None:
    text = query.get(parameter)
    if text is None:
        return None
    names = tuple(allowed_text(parameter, text).split(","))
    if not all(names):
        raise InvalidRequest(f"the query parameter {parameter} has an empty name; separate names by one comma")
    return names


def _chosen[T](elements: Mapping[str, T], names: tuple[str, ...] | None) -> Mapping[str, T]:
    if names is None:
        return elements
    chosen = {name: elements[name] for name in names if name in elements}
    return {**chosen, **elements} if _ALL in names else chosen


def _without_repetition(values: Iterable[Any]) -> list[Any]:
    return list({_SORTED.encode(value): value for value in values}.values())

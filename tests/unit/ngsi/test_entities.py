"""Entities: parsing, the canonical document, and the representations in answers."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemark.dialects.ngsi.attributes import Attributes
from tidemark.dialects.ngsi.entities import attributes_of, encode, parse_entity
from tidemark.dialects.ngsi.rendering import Form, Rendering
from tidemark.domain.keys import EntityKey

NAMES = st.text(st.sampled_from("abcXYZ019_-.:@%$[]{}|~^`\\*+!,"), min_size=1, max_size=12).filter(
    lambda name: name not in {"id", "type", "*"}
)
SAFE_TEXT = st.text(st.characters(exclude_characters="<>\"'=;()", exclude_categories=["Cs"]), max_size=12)
MEMBER_NAMES = SAFE_TEXT.filter(lambda name: not name.startswith("$"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | SAFE_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(MEMBER_NAMES, inner, max_size=4),
    max_leaves=8,
)
ELEMENTS = st.fixed_dictionaries({"type": NAMES, "value": VALUES})
ATTRIBUTES = st.dictionaries(
    NAMES,
    st.fixed_dictionaries({"type": NAMES, "value": VALUES, "metadata": st.dictionaries(NAMES, ELEMENTS, max_size=3)}),
    max_size=5,
)
KEY = EntityKey("T", "E1", "/")


@given(ATTRIBUTES)
def test_rendering_an_entity_and_parsing_it_gives_the_same_entity(attributes: Attributes) -> None:
    rendered = Rendering().entity(KEY, attributes)
    assert isinstance(rendered, dict)
    assert parse_entity(rendered, key_values=False) == ("E1", "T", attributes)


@given(ATTRIBUTES)
def test_canonical_document_is_a_fixed_point(attributes: Attributes) -> None:
    doc = encode(KEY, attributes)
    assert attributes_of(doc) == attributes
    assert encode(KEY, attributes_of(doc)) == doc


@given(ATTRIBUTES)
def test_canonical_document_does_not_depend_on_the_order_of_members(attributes: Attributes) -> None:
    turned = json.loads(json.dumps(attributes), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert encode(KEY, turned) == encode(KEY, attributes)


@given(ATTRIBUTES)
def test_canonical_document_has_sorted_members_and_no_spaces(attributes: Attributes) -> None:
    doc = encode(KEY, attributes)
    read = json.loads(doc)
    assert _keys_sorted(read)
    assert len(doc) <= len(json.dumps(read, separators=(",", ":"), ensure_ascii=False)) + _longer_floats(read)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_key_values_come_back_as_they_were_given(values: dict[str, Any]) -> None:
    parsed = parse_entity({"id": "E1", "type": "T", **values}, key_values=True)
    rendered = Rendering(Form.KEY_VALUES).entity(KEY, attributes_of(encode(KEY, parsed.attributes)))
    assert rendered == {"id": "E1", "type": "T", **values}


ENTITY: Attributes = {
    "a": {"type": "Number", "value": 1, "metadata": {}},
    "b": {
        "type": "Text",
        "value": "x",
        "metadata": {"m": {"type": "Text", "value": "1"}, "n": {"type": "Text", "value": "2"}},
    },
    "c": {"type": "Number", "value": 1.0, "metadata": {}},
    "d": {"type": "Number", "value": 1, "metadata": {}},
}


@pytest.mark.parametrize(
    ("rendering", "expected"),
    [
        (Rendering(Form.KEY_VALUES), {"id": "E1", "type": "T", "a": 1, "b": "x", "c": 1.0, "d": 1}),
        (Rendering(Form.KEY_VALUES, attrs=("b", "a", "zz")), {"id": "E1", "type": "T", "b": "x", "a": 1}),
        (Rendering(Form.KEY_VALUES, attrs=("zz",)), {"id": "E1", "type": "T"}),
        (Rendering(Form.KEY_VALUES, attrs=("d", "*")), {"id": "E1", "type": "T", "d": 1, "a": 1, "b": "x", "c": 1.0}),
        (Rendering(Form.VALUES), [1, "x", 1.0, 1]),
        (Rendering(Form.VALUES, attrs=("b", "a")), ["x", 1]),
        (Rendering(Form.UNIQUE), [1, "x", 1.0]),
    ],
)
def test_representation_shows_what_was_asked_for(rendering: Rendering, expected: object) -> None:
    assert json.dumps(rendering.entity(KEY, ENTITY)) == json.dumps(expected)


@pytest.mark.parametrize(
    ("metadata", "names"),
    [(None, ["m", "n"]), (("n",), ["n"]), (("*",), ["m", "n"]), (("zz",), []), (("n", "*"), ["n", "m"])],
)
def test_metadata_shows_what_was_asked_for(metadata: tuple[str, ...] | None, names: list[str]) -> None:
    entity = Rendering(metadata=metadata).entity(KEY, ENTITY)
    assert isinstance(entity, dict)
    assert list(entity["b"]["metadata"]) == names


def _keys_sorted(value: object) -> bool:
    if isinstance(value, dict):
        # Byte order of UTF-8 is the order of code points.
        return list(value) == sorted(value) and all(_keys_sorted(member) for member in value.values())
    return all(_keys_sorted(element) for element in value) if isinstance(value, list) else True


def _longer_floats(value: object) -> int:
    """How many characters more the floats may take: there is more than one shortest spelling of an exponent."""
    if isinstance(value, float):
        return 4 if math.isfinite(value) else 0
    inner = list(value.values()) if isinstance(value, dict) else value
    return sum(_longer_floats(element) for element in inner) if isinstance(inner, list) else 0

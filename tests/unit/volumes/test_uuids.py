"""UUIDs: random ones, those that follow from names, and what is taken for one."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemark.domain.uuids import derived_uuid, parse_uuid, random_uuid
from tidemark.errors import InvalidRequest

SIXTEEN_BYTES = st.binary(min_size=16, max_size=16)


@given(SIXTEEN_BYTES)
def test_random_uuid_is_the_one_that_the_standard_library_makes_of_the_same_bytes(octets: bytes) -> None:
    assert random_uuid(octets) == str(uuid.UUID(bytes=octets, version=4))


@pytest.mark.parametrize("length", [0, 15, 17])
def test_random_uuid_is_refused_for_another_number_of_bytes(length: int) -> None:
    with pytest.raises(ValueError, match=f"not of {length}"):
        random_uuid(bytes(length))


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_derived_uuid_is_the_same_each_time_and_of_version_8(names: list[str]) -> None:
    found = uuid.UUID(derived_uuid(*names))
    assert (found.variant, found.version) == (uuid.RFC_4122, 8)
    assert derived_uuid(*names) == str(found)


def test_derived_uuid_tells_where_one_name_ends_and_the_next_begins() -> None:
    assert len({derived_uuid("ab", "c"), derived_uuid("a", "bc"), derived_uuid("abc"), derived_uuid("abc", "")}) == 4


def test_derived_uuid_never_changes_since_records_hold_it() -> None:
    assert derived_uuid("volume", "ca-central-1", "vol-049df61146c4d7901") == "1ebcd185-dd7d-8af7-9bbb-2300c2d29e87"


@given(SIXTEEN_BYTES)
def test_parse_takes_what_was_made_in_either_case(octets: bytes) -> None:
    made = random_uuid(octets)
    assert parse_uuid(made, "it") == parse_uuid(made.upper(), "it") == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "33a27b8d5a2742a5aec437606e372bda",
        "{33a27b8d-5a27-42a5-aec4-37606e372bda}",
        "urn:uuid:33a27b8d-5a27-42a5-aec4-37606e372bda",
        "33a27b8d-5a27-42a5-aec4-37606e372bdg",
        "33a27b8d-5a27-42a5-aec4-37606e372bda\n",
        " 33a27b8d-5a27-42a5-aec4-37606e372bda",
        "33a27b8d-5a27-42a5-aec4-37606e372bd\u0664",
    ],
)
def test_parse_refuses_whatever_else_naming_it(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^the thing must be a UUID") as refused:
        parse_uuid(text, "the thing")
    assert repr(text) in refused.value.message

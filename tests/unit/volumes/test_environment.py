"""Environments: their names, the volumes that belong to one, and the line that declares one."""

import msgspec
import pytest

from tests.unit.volumes.examples import TEN_O_CLOCK, environment
from tidemark.domain.environment import (
    Environment,
    declared_environment,
    environment_id,
    image_owner,
    parse_environment_id,
)
from tidemark.domain.tenant import parse_tenant
from tidemark.errors import InvalidRequest


def test_id_is_what_the_path_says() -> None:
    assert environment().id == environment_id("compute-on", "test_area") == "compute-on/test_area"
    assert parse_environment_id("compute-on/test_area") == "compute-on/test_area"


@pytest.mark.parametrize(
    "text", ["", "compute-on", "/", "compute-on/", "/x", "Compute-on/x", "a b/x", "a#b/x", "a/x/y", "-a/x", "a/..", "*"]
)
def test_id_is_refused_where_no_environment_can_have_it(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_environment_id(text)


def test_name_may_have_fifty_characters_and_no_more() -> None:
    assert environment_id("a", "x" * 50) == f"a/{'x' * 50}"
    with pytest.raises(InvalidRequest, match="1 to 50"):
        environment_id("a", "x" * 51)


def test_images_are_nobody_elses() -> None:
    owners = {image_owner(parse_environment_id(text)) for text in ("a/b", "a/b_c", "a_b/c", "a-b/c")}
    assert len(owners) == 4
    for owner in owners:
        assert "-" in owner.split("/")[0]
        with pytest.raises(InvalidRequest):
            parse_tenant(owner)


@pytest.mark.parametrize(
    ("tags", "belongs"),
    [
        ({"Environment": "test_area"}, True),
        ({"Environment": "test_area", "Name": "ROOT-35545"}, True),
        ({"Environment": "production"}, False),
        ({"environment": "test_area"}, False),
        ({}, False),
    ],
)
def test_volume_belongs_if_it_has_every_tag_with_its_value(tags: dict[str, str], *, belongs: bool) -> None:
    assert environment().has(tags) == belongs


def test_volume_belongs_only_with_all_of_several_tags() -> None:
    both = environment(tags={"Environment": "test_area", "Team": "x"})
    assert both.has({"Environment": "test_area", "Team": "x"})
    assert not both.has({"Environment": "test_area"})


def test_environment_without_tags_has_no_volume_rather_than_all() -> None:
    assert not environment(tags={}).has({"Environment": "test_area"})


def test_declared_environment_has_what_the_line_says() -> None:
    assert declared_environment(" compute-on/test_area@ca-central-1?Environment=test_area ", TEN_O_CLOCK) == (
        environment()
    )
    several = declared_environment("a/b@us-gov-west-1?aws%3Afoo=1%262&Empty=", TEN_O_CLOCK)
    assert several == Environment("a", "b", "us-gov-west-1", TEN_O_CLOCK, {"aws:foo": "1&2", "Empty": ""})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("compute-on/test_area", "declares no environment"),
        ("compute-on/test_area@ca-central-1", "declares no environment"),
        ("compute-on/test_area@ca-central-1?", "1 to 50 tags"),
        ("compute-on/test_area@ca-central-1?Environment", "must be written as Key=value"),
        ("compute-on/test_area@ca-central-1?A=1&A=2", "has a tag twice"),
        ("compute-on/test_area@Canada?A=1", "the region"),
        ("compute on/test_area@ca-central-1?A=1", "service code"),
        ("compute-on/Test@ca-central-1?A=1", "the name of an environment"),
        ("compute-on/test_area@ca-central-1?=1", "can be no volume's"),
        ("compute-on/test_area@ca-central-1?tidemark:task=1", "of Tidemark's own"),
        (f"compute-on/test_area@ca-central-1?A={'x' * 257}", "can be no volume's"),
        ("compute-on/test_area@ca-central-1?" + "&".join(f"k{n}=v" for n in range(51)), "1 to 50 tags"),
        ("compute-on/test_area@ca-central-1?A=%ff", "must be written as Key=value"),
    ],
)
def test_declaration_is_refused_naming_what_is_wrong(line: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        declared_environment(line, TEN_O_CLOCK)


def test_record_is_read_back_as_it_was_stored() -> None:
    assert msgspec.json.decode(msgspec.json.encode(environment()), type=Environment) == environment()

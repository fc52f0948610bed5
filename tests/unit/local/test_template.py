"""Reading a template: parameters and what is wrong with them."""

from pathlib import Path

import pytest

from tests.local.template import TemplateError, load_template
from tests.unit.local.conftest import TEMPLATE

REGION = "eu-west-1"


def test_gives_defaults_and_overrides_when_loaded() -> None:
    template = load_template(TEMPLATE, {"LogRetentionDays": "3"}, region=REGION)

    assert template.parameters["LogRetentionDays"] == 3
    assert template.parameters["StageName"] == "v1"


def test_makes_plain_cloudformation_when_loaded() -> None:
    kinds = {resource["Type"] for resource in load_template(TEMPLATE, region=REGION).resources.values()}

    assert "AWS::Lambda::Function" in kinds
    assert not any(kind.startswith("AWS::Serverless") for kind in kinds)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"Unheard": "1"}, "no parameter Unheard"),
        ({"MapType": "SLOW"}, "MapType=SLOW is not one of"),
        ({"StageName": "no spaces"}, "does not match"),
        ({"LogRetentionDays": "0"}, "out of its range"),
        ({"LogRetentionDays": "many"}, "not a number"),
    ],
)
def test_refuses_parameter_when_it_is_not_allowed(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        load_template(TEMPLATE, given, region=REGION)


def test_refuses_template_when_parameter_has_no_value(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("Parameters: {Needed: {Type: String}}\nResources: {}\n")

    with pytest.raises(TemplateError, match="Needed has no default"):
        load_template(path, region=REGION)


def test_refuses_template_when_code_folder_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("Resources: {F: {Type: 'AWS::Serverless::Function', Properties: {CodeUri: nowhere}}}\n")

    with pytest.raises(TemplateError, match=r"F: CodeUri .*nowhere is not a folder"):
        load_template(path, region=REGION)


def test_refuses_template_when_sam_does_not_understand_it(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("Resources: {F: {Type: 'AWS::Serverless::Function', Properties: {Handler: [1], CodeUri: .}}}\n")

    with pytest.raises(TemplateError, match=r"not valid SAM: .*\[F\]"):
        load_template(path, region=REGION)

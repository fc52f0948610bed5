"""Deploying with parameters of one's own."""

import pytest

from tests.local.stack import LocalStack
from tests.local.template import TemplateError
from tests.unit.local.conftest import TEMPLATE


def test_deploys_conditional_resource_when_its_condition_holds() -> None:
    acl = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/edge/1"
    with LocalStack.in_process(TEMPLATE, parameters={"WebAclArn": acl, "DeletionProtection": "true"}) as protected:
        table = protected.client("dynamodb").describe_table(TableName="tidemark-Table")["Table"]

        assert protected.outputs["WebAcl"] == acl
        assert protected.deployment.recorded["WebAclAssociation"]["WebACLArn"] == acl
        assert table["DeletionProtectionEnabled"] is True


def test_refuses_parameters_when_a_rule_does_not_hold() -> None:
    with (
        pytest.raises(TemplateError, match="keep them longer than a day"),
        LocalStack.in_process(TEMPLATE, parameters={"MapType": "EXPRESS", "LogRetentionDays": "1"}),
    ):
        pass


def test_refuses_second_stack_when_one_runs() -> None:
    with (
        LocalStack.in_process(TEMPLATE),
        pytest.raises(RuntimeError, match="a local stack runs in this process already"),
        LocalStack.in_process(TEMPLATE),
    ):
        pass


def test_starts_again_when_start_failed() -> None:
    with (
        pytest.raises(TemplateError, match="no parameter Nope"),
        LocalStack.in_process(TEMPLATE, parameters={"Nope": ""}),
    ):
        pass

    with LocalStack.in_process(TEMPLATE) as again:
        assert again.outputs["TableName"] == "tidemark-Table"

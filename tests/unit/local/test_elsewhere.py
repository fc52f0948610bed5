"""A stack's stores on other servers than its own, which may know less than AWS."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from moto import mock_aws

from tests.contract.aws import disturb
from tests.local import resources_stores
from tests.local.aws import REGION, Aws
from tests.local.deployer import Deployer, DeployError, Deployment
from tests.local.elsewhere import remove_stores, unique
from tests.local.template import load_template

REGISTERED = (resources_stores,)
BUCKET = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties: { VersioningConfiguration: { Status: Enabled } }
"""
# Where moto answers too, so that it is both: another server, and one to look into.
ELSEWHERE = {"s3": f"https://s3.{REGION}.amazonaws.com"}


def _deploy(folder: Path, elsewhere: Mapping[str, str], refused: str) -> tuple[Aws, Deployment]:
    path = folder / "template.yaml"
    path.write_text(BUCKET)
    aws = Aws(elsewhere=elsewhere)
    disturb(aws.client("s3"), refused, "NotImplemented")
    return aws, Deployer(load_template(path, region=REGION), aws, unique("small")).deploy()


def test_passes_over_an_option_when_another_server_refuses_it(tmp_path: Path) -> None:
    with mock_aws():
        aws, made = _deploy(tmp_path, ELSEWHERE, "PutBucketVersioning")
        [sentence] = made.passed_over
        assert "Bucket (AWS::S3::Bucket): put_bucket_versioning was refused" in sentence
        remove_stores(aws, made.tables, made.buckets)
        assert aws.client("s3").list_buckets()["Buckets"] == []


def test_fails_when_the_stacks_own_server_refuses_an_option(tmp_path: Path) -> None:
    with mock_aws(), pytest.raises(DeployError, match="put_bucket_versioning was refused"):
        _deploy(tmp_path, {}, "PutBucketVersioning")


def test_fails_when_another_server_makes_no_bucket(tmp_path: Path) -> None:
    with mock_aws(), pytest.raises(DeployError, match="create_bucket was refused"):
        _deploy(tmp_path, ELSEWHERE, "CreateBucket")

"""moto's S3 as the local stack changes it."""

from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError
from moto import mock_aws

from tests.local import moto_s3
from tests.local.aws import Aws

PATCHED = moto_s3


def test_lets_one_win_when_threads_create_the_same_object() -> None:
    with mock_aws():
        aws = Aws()
        s3 = aws.client("s3")
        s3.create_bucket(Bucket="packs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

        def create(number: int) -> str:
            try:
                s3.put_object(Bucket="packs", Key="k", Body=str(number).encode(), IfNoneMatch="*")
            except ClientError as error:
                return str(error.response["Error"]["Code"])
            return "created"

        with ThreadPoolExecutor(16) as pool:
            outcomes = list(pool.map(create, range(32)))

        assert outcomes.count("created") == 1
        assert outcomes.count("PreconditionFailed") == 31
        assert s3.get_object(Bucket="packs", Key="k")["Body"].read() == str(outcomes.index("created")).encode()
        aws.close()


def test_refuses_a_conditional_copy_when_the_key_is_taken() -> None:
    with mock_aws():
        aws = Aws()
        s3 = aws.client("s3")
        s3.create_bucket(Bucket="packs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_object(Bucket="packs", Key="k", Body=b"1")
        for expected in ("copied", "PreconditionFailed"):
            try:
                s3.copy_object(Bucket="packs", Key="c", CopySource="packs/k", IfNoneMatch="*")
                outcome = "copied"
            except ClientError as error:
                outcome = str(error.response["Error"]["Code"])
            assert outcome == expected
        s3.copy_object(Bucket="packs", Key="c", CopySource="packs/k")
        aws.close()

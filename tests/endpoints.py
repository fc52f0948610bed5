"""Other servers of DynamoDB's and S3's protocols, on which suites run too when the environment names them.

`TIDEMARK_TEST_DYNAMODB_URL` and `TIDEMARK_TEST_S3_URL` are their URLs; `TIDEMARK_TEST_ACCESS_KEY_ID` and
`TIDEMARK_TEST_SECRET_ACCESS_KEY` the credentials of both, `testing` unless given. What a suite needs there it creates
under names of its own and removes.
"""

import os
from collections.abc import Mapping
from typing import Final

VARIABLES: Final = {"dynamodb": "TIDEMARK_TEST_DYNAMODB_URL", "s3": "TIDEMARK_TEST_S3_URL"}
_CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "TIDEMARK_TEST_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY": "TIDEMARK_TEST_SECRET_ACCESS_KEY",
}
_ANY: Final = "testing"


def named() -> dict[str, str]:
    """The URLs that the environment names, by service."""
    return {service: url for service, variable in VARIABLES.items() if (url := os.environ.get(variable))}


def credentials(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The credentials of tests, as AWS's variables: never those of a person."""
    return {name: environment.get(variable, _ANY) for name, variable in _CREDENTIALS.items()}

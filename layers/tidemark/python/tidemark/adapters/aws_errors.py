"""Errors of AWS, put into the terms of `tidemark.errors`: once, and by error code, never by message.

Codes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from tidemark.errors import AwsFailure, Throttled, TidemarkError

CONDITION_FAILED: Final = "ConditionalCheckFailedException"
TRANSACTION_CONFLICT: Final = "TransactionConflictException"

# Of whole requests, and of single statements in a batch or single actions in a transaction.
THROTTLING: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_NOTHING: Final[Mapping[str, TidemarkError]] = MappingProxyType({})


def code_of(error: ClientError) -> str:
    """AWS's name of the error."""
    return error.response.get("Error", {}).get("Code", "")


def message_of(error: ClientError) -> str:
    """What AWS says of it in words, for people to read: what to do is decided by the code alone."""
    return error.response.get("Error", {}).get("Message", "").rstrip(".") or code_of(error)


@contextmanager
def named(doing: str, by_code: Mapping[str, TidemarkError] = _NOTHING) -> Iterator[None]:
    """Errors of the AWS client leave as the one given for their code, else as Throttled or AwsFailure.

    `doing` says what was tried, for the sentence of the error.
    """
    try:
        yield
    except ParamValidationError:
        # A request that the client itself refuses to send is a fault of this program, and must look like one.
        raise
    except ClientError as error:
        code = code_of(error)
        raise by_code.get(code) or failure(doing, code) from error
    except BotoCoreError as error:
        raise AwsFailure(f"{doing}: no answer from AWS ({type(error).__name__})") from error


def failure(doing: str, code: str) -> Throttled | AwsFailure:
    """The error for a code that means nothing more special."""
    if code in THROTTLING:
        return Throttled(f"{doing}: AWS is throttling requests ({code}); try again later")
    return AwsFailure(f"{doing}: AWS answered {code}")

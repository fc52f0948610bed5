"""Answers to requests that may be sent again, kept in the catalog's table by Powertools' Idempotency.

A row is `TENANT#{tenant}#ONCE` / `ONCE#{hash}`, with the attributes that Powertools gives it; DynamoDB's time to live
removes it some time after `expiresAt`. Powertools asks the system's clock, not `ports.Clock`, what has expired.

Importing this module takes some 50 ms, for boto3: only requests with a key pay that.
Source: "Idempotency" in the documentation of Powertools for AWS Lambda (Python).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)
from botocore.exceptions import ClientError

from tidemark.adapters.aws_errors import code_of, failure
from tidemark.domain.asked import KEPT_FOR, Asked
from tidemark.domain.tenant import Tenant
from tidemark.errors import AwsFailure, KeyReused, RequestInProgress, Throttled

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb.client import DynamoDBClient

# AWS Lambda ends a request earlier, after 29 s, so whoever comes later than this follows a dead one.
IN_PROGRESS_MS: Final = 30_000
_PREFIX: Final = "ONCE"


class _Calls:
    """The calls of a client that Powertools makes, and nothing else of it: it would put itself into every header of a
    client that is shared.
    """

    def __init__(self, client: "DynamoDBClient") -> None:
        self.get_item = client.get_item
        self.put_item = client.put_item
        self.update_item = client.update_item
        self.delete_item = client.delete_item


class _Life:
    """How long a request may live, put as Powertools asks for it."""

    def get_remaining_time_in_millis(self) -> int:
        return IN_PROGRESS_MS


class PowertoolsRepeats:
    """See `tidemark.ports.Repeats`."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._calls = _Calls(client)
        self._table = table

    def once(self, tenant: Tenant, asked: Asked, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        layer = DynamoDBPersistenceLayer(
            table_name=self._table,
            key_attr="pk",
            static_pk_value=f"TENANT#{tenant}#{_PREFIX}",
            sort_key_attr="sk",
            expiry_attr="expiresAt",
            in_progress_expiry_attr="inProgressUntilMs",
            data_attr="answer",
            validation_key_attr="content",
            boto3_client=cast("DynamoDBClient", self._calls),
        )
        config = IdempotencyConfig(
            event_key_jmespath="key",
            payload_validation_jmespath="content",
            expires_after_seconds=int(KEPT_FOR.total_seconds()),
            hash_function="sha256",
            lambda_context=cast("LambdaContext", _Life()),
        )

        def answered(*, request: dict[str, str]) -> dict[str, Any]:
            del request
            return answer()

        answering = idempotent_function(
            answered, data_keyword_argument="request", persistence_store=layer, config=config, key_prefix=_PREFIX
        )
        try:
            kept: dict[str, Any] = answering(request={"key": asked.key, "content": asked.content})
        except IdempotencyValidationError as error:
            raise KeyReused("another request was made with this key; use a new key for each request") from error
        except (IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError) as error:
            raise RequestInProgress("the request with this key is being served; ask again in a moment") from error
        except IdempotencyPersistenceLayerError as error:
            raise _named(error) from error
        return kept


def _named(error: IdempotencyPersistenceLayerError) -> Throttled | AwsFailure:
    """What kept Powertools from its row. `answer` may have run: a repeat finds out, once this run counts as dead."""
    doing, cause = "keeping the answer to a request", error.__cause__
    if isinstance(cause, ClientError):
        return failure(doing, code_of(cause))
    return AwsFailure(f"{doing}: no answer from AWS ({type(cause).__name__})")

"""Structured logs and metrics, and the names that they use. Built on Powertools' Logger and Metrics.

Log lines and metrics never hold entities, API keys or Authorization headers. A tenant is a property of a metric and
never a dimension: there is no bound to their number, and each value of a dimension is billed as a metric of its own.
"""

import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import IO, Final, cast

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from tidemark.settings import observed_as

TENANT: Final = "tenant"
DIALECT: Final = "dialect"
SNAPSHOT_ID: Final = "snapshot_id"
RESTORE_ID: Final = "restore_id"
CAPTURE_ID: Final = "capture_id"
PHASE: Final = "phase"
GENERATION: Final = "generation"
CUT: Final = "cut"
SHARD: Final = "shard"
ENTITY_COUNT: Final = "entity_count"
SIZE_BYTES: Final = "size_bytes"
DURATION_MS: Final = "duration_ms"
ERROR_CODE: Final = "error_code"
CORRELATION_ID: Final = "correlation_id"
METHOD: Final = "method"
ROUTE: Final = "route"
STATUS: Final = "status"
KEY_ID: Final = "key_id"
SCHEDULE_ID: Final = "schedule_id"
ENVIRONMENT: Final = "environment"
VOLUME_ID: Final = "volume_id"
TASK_ID: Final = "task_id"

# Metrics that alarms look at: slots that nobody began in time, and the age of the oldest last snapshot of any tenant
# that is to have new ones.
BACKUP_MISSED: Final = "BackupMissed"
LAST_SNAPSHOT_AGE: Final = "LastSnapshotAgeSeconds"

COUNT: Final = MetricUnit.Count
MILLISECONDS: Final = MetricUnit.Milliseconds
SECONDS: Final = MetricUnit.Seconds
BYTES: Final = MetricUnit.Bytes

type Field = str | int | float | bool | None


class _Output(io.TextIOBase):
    """Writes to what standard output is at the time, as metrics are: runtimes and tests replace it."""

    def write(self, text: str) -> int:
        print(text, end="")  # noqa: T201 - standard output is the log of a function
        return len(text)


class _Logger(Logger):
    """Powertools' Logger on a logger outside of logging's registry: no root handler prints its lines a second time."""

    def _get_logger(self) -> logging.Logger:
        return logging.Logger(self.service)  # noqa: LOG001 - on purpose, see above


@cache
def logger() -> Logger:
    """The process's logger; its level comes from POWERTOOLS_LOG_LEVEL."""
    return _Logger(service=observed_as().service, stream=cast("IO[str]", _Output()), utc=True)


@contextmanager
def log_context(**fields: Field) -> Iterator[None]:
    """Put fields on every log line of this thread until the block ends."""
    known = {name: value for name, value in fields.items() if value is not None}
    before = dict(logger().thread_safe_get_current_keys())
    logger().thread_safe_append_keys(**known)
    try:
        yield
    finally:
        logger().thread_safe_clear_keys()
        logger().thread_safe_append_keys(**before)


def measure(values: Mapping[str, tuple[float, MetricUnit]], **properties: Field) -> None:
    """Publish metric values with their units; `properties` can be searched for in the logs but are no dimensions."""
    names = observed_as()
    metrics = EphemeralMetrics(namespace=names.namespace, service=names.service)
    for name, (value, unit) in values.items():
        metrics.add_metric(name=name, unit=unit, value=value)
    for name, property_ in properties.items():
        if property_ is not None:
            metrics.add_metadata(name, property_)
    metrics.flush_metrics()


def report_damage(sentences: Iterable[str], **properties: Field) -> None:
    """Log and count stored objects that are not what they should be. An alarm looks at the count."""
    for sentence in sentences:
        logger().error(f"damaged: {sentence}", extra=dict(properties))
        measure({"VerificationFailed": (1, COUNT)}, **properties)


def report_missed(reason: str, **properties: Field) -> None:
    """Log and count a slot that nobody began in time. An alarm looks at the count."""
    logger().error(f"missed: {reason}", extra=dict(properties))
    measure({BACKUP_MISSED: (1, COUNT)}, **properties)

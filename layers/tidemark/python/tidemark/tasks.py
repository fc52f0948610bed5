"""The entry of the functions that are one phase of a state machine: typed input, log line, metrics, named errors.

A phase fails by raising. Lambda tells Step Functions the class name of the exception, which Retry and Catch rules
name, and its sentence as a part of a cause; `failure_of` turns the two back into what a record keeps.
"""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Final, Protocol

import msgspec

from tidemark import errors
from tidemark.domain.environment import EnvironmentId, environment_of
from tidemark.domain.snapshot import Failure
from tidemark.domain.tenant import Tenant
from tidemark.errors import InvalidRequest, TidemarkError
from tidemark.telemetry import (
    CAPTURE_ID,
    COUNT,
    DURATION_MS,
    ENTITY_COUNT,
    ENVIRONMENT,
    ERROR_CODE,
    MILLISECONDS,
    PHASE,
    RESTORE_ID,
    SCHEDULE_ID,
    SHARD,
    SNAPSHOT_ID,
    TASK_ID,
    TENANT,
    VOLUME_ID,
    log_context,
    logger,
    measure,
)

# What a phase is told that is worth having on each of its log lines; the names are those of the steps' fields.
_LOGGED: Final = (
    TENANT,
    ENVIRONMENT,
    SNAPSHOT_ID,
    CAPTURE_ID,
    RESTORE_ID,
    SCHEDULE_ID,
    VOLUME_ID,
    TASK_ID,
    SHARD,
)
# Left for the last request that was begun in time, and for the answer.
_MARGIN_S: Final = 60.0
UNEXPECTED: Final = "InternalError"

type Result = dict[str, object]


class Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a state machine sends to a phase. Each handler adds what its phase takes; unknown or missing is an error."""


class Step(Told, frozen=True):
    """What it sends to a phase that works for one tenant."""

    tenant: Tenant


class OwnerStep(Step, frozen=True):
    """What it sends to a phase that works for one owner of stored objects, which its `tenant` names: a tenant, or the
    images of an environment.
    """

    @property
    def environment(self) -> EnvironmentId | None:
        """Of which environment; None for a tenant."""
        return environment_of(self.tenant)


class EnvironmentStep(Told, frozen=True):
    """What it sends to a phase that works for one environment."""

    environment: EnvironmentId


class Context(Protocol):
    """What a phase may ask of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda stops the invocation."""
        ...


def whose(owner: Tenant) -> dict[str, str]:
    """What log lines and metrics call the owner of a schedule: a tenant, or an environment."""
    environment_id = environment_of(owner)
    return {TENANT: owner} if environment_id is None else {ENVIRONMENT: environment_id}


def budget_s(context: Context) -> float:
    """Seconds that the work of this invocation may take, so that it ends by itself before Lambda stops it."""
    return max(0.0, context.get_remaining_time_in_millis() / 1000 - _MARGIN_S)


def task[S: Told](
    phase: str, kind: type[S]
) -> Callable[[Callable[[S, Context], Result]], Callable[[Mapping[str, Any], Context], Result]]:
    """Make a Lambda handler of a phase. Its input comes as `kind`; its result holds ids and counts only."""

    def decorate(work: Callable[[S, Context], Result]) -> Callable[[Mapping[str, Any], Context], Result]:
        # Looked into before there are threads, where one process runs several functions at once: see `dynamo_records`.
        msgspec.json.Decoder(kind)

        def handler(event: Mapping[str, Any], context: Context) -> Result:
            step = _parse(phase, kind, event)
            told = {name: value for name in _LOGGED if (value := getattr(step, name, None)) is not None}
            if TENANT in told:
                told = whose(told.pop(TENANT)) | told
            with log_context(**{**told, PHASE: phase}):
                started_s = perf_counter()
                try:
                    result = work(step, context)
                except TidemarkError as error:
                    _report_failure(phase, error, _elapsed_ms(started_s), told)
                    # Its sentence says it all: without a trace, what Lambda adds to the cause stays short.
                    raise error.with_traceback(None) from None
                except Exception as error:
                    _report_failure(phase, error, _elapsed_ms(started_s), told)
                    raise
                _report(phase, result, _elapsed_ms(started_s), told)
                return result

        return handler

    return decorate


def failure_of(error: str, cause: str) -> Failure:
    """What a state machine caught, as the name of an error class (or `InternalError`) and a sentence for people."""
    named = getattr(errors, error, None)
    if isinstance(named, type) and issubclass(named, TidemarkError):
        sentence = _sentence(cause) if named.user_visible else ""
        return Failure(error, sentence or f"{(named.__doc__ or error).splitlines()[0].rstrip('.')}.")
    if error in {"States.ExceedToleratedFailureThreshold", "States.ItemReaderFailed"}:
        return Failure("StageIncomplete", "Not every part of the work could be written.")
    if error.startswith(("States.Timeout", "Sandbox.", "Lambda.", "Runtime.ExitError")):
        return Failure("Unavailable", f"AWS did not let a phase come to its end, however often it was tried ({error}).")
    return Failure(UNEXPECTED, "An unexpected error stopped a phase. The log of its function says which.")


def _parse[S: Told](phase: str, kind: type[S], event: Mapping[str, Any]) -> S:
    try:
        return msgspec.convert(event, kind)
    except msgspec.ValidationError as error:
        logger().error(f"{phase} cannot begin", extra={PHASE: phase, ERROR_CODE: InvalidRequest.__name__})
        raise InvalidRequest(f"the input of {phase} is not what its state machine sends: {error}") from None


def _report_failure(phase: str, error: Exception, duration_ms: int, told: Mapping[str, Any]) -> None:
    measure({f"{phase}Failed": (1, COUNT), f"{phase}Duration": (duration_ms, MILLISECONDS)}, **told)
    if isinstance(error, TidemarkError):
        logger().warning(f"{phase} failed: {error.message}", extra={ERROR_CODE: error.code, DURATION_MS: duration_ms})
    else:
        logger().exception(f"{phase} failed", extra={ERROR_CODE: UNEXPECTED, DURATION_MS: duration_ms})


def _report(phase: str, result: Result, duration_ms: int, told: Mapping[str, Any]) -> None:
    values = {f"{phase}Duration": (float(duration_ms), MILLISECONDS)}
    extra: dict[str, object] = {DURATION_MS: duration_ms}
    records = result.get("records")
    if isinstance(records, int):
        values[f"{phase}Entities"] = (records, COUNT)
        extra[ENTITY_COUNT] = records
    measure(values, **told)
    logger().info(f"{phase} done", extra=extra)


def _elapsed_ms(started_s: float) -> int:
    return round((perf_counter() - started_s) * 1000)


def _sentence(cause: str) -> str:
    """The message in a cause as Lambda words it, JSON with errorMessage; the cause itself if it is none."""
    try:
        worded = msgspec.json.decode(cause, type=dict[str, Any])
    except msgspec.DecodeError:
        return cause
    return str(worded.get("errorMessage") or "")

"""Lets moto's Lambda API run functions: the original needs Docker for each call."""

import base64
from collections.abc import MutableMapping
from typing import Any

from moto.awslambda.models import LambdaFunction
from moto.core.exceptions import JsonRESTError

from tests.local.functions import Functions, PayloadTooLarge, Throttled
from tests.local.patching import replace

_MAX_LOG_TAIL_BYTES = 4096
_current: list[Functions] = []


class _TooManyRequests(JsonRESTError):
    code = 429

    def __init__(self, message: str) -> None:
        super().__init__("TooManyRequestsException", message)


class _RequestTooLarge(JsonRESTError):
    code = 413

    def __init__(self, message: str) -> None:
        super().__init__("RequestEntityTooLargeException", message)


def use(functions: Functions | None) -> None:
    """Say who runs functions from now on; None when a stack is gone."""
    _current[:] = [] if functions is None else [functions]


def _invoke(
    self: LambdaFunction, body: str | bytes, request_headers: Any, response_headers: MutableMapping[str, str]
) -> bytes:
    if not _current:
        raise RuntimeError(f"no stack is running that could run {self.function_name}")
    functions = _current[0]
    event = (body.encode() if isinstance(body, str) else body) or b"{}"
    kind = request_headers.get("x-amz-invocation-type", "RequestResponse")
    if kind == "DryRun":
        return b""
    if kind == "Event":
        functions.invoke_later(self.function_name, event)
        return b""
    try:
        invocation = functions.invoke(self.function_name, event)
    except Throttled as error:
        raise _TooManyRequests(str(error)) from error
    except PayloadTooLarge as error:
        raise _RequestTooLarge(str(error)) from error
    response_headers["x-amz-executed-version"] = "$LATEST"
    response_headers["x-amz-log-result"] = base64.b64encode(invocation.log.encode()[-_MAX_LOG_TAIL_BYTES:]).decode()
    if invocation.error:
        response_headers["x-amz-function-error"] = invocation.error
    return invocation.payload


replace(LambdaFunction, "invoke", _invoke)

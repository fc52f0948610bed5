"""SAM CLI with its container runtime replaced by calls to the pretended Lambda: run by the Python that has SAM CLI.

    .venv-sam/bin/python tests/local/sam_front.py local start-api ...

Everything else is SAM CLI's own: it reads the template, routes, makes events, asks the authorizer and reads answers.
What the stack gives in the environment: LOCAL_FUNCTIONS (JSON: logical id to function name) and the way to the
pretended AWS.
"""

import json
import os
from typing import Any

import boto3
import flask
from botocore.config import Config
from samcli.cli.main import cli
from samcli.commands.local.cli_common.invoke_context import InvokeContext
from samcli.lib.providers.sam_api_provider import SamApiProvider
from samcli.local.apigw.authorizers.lambda_authorizer import LambdaAuthorizer
from samcli.local.apigw.local_apigw_service import LocalApigwService
from samcli.local.apigw.service_error_responses import ServiceErrorResponses
from samcli.local.docker import container_client_factory
from samcli.local.lambdafn.runtime import LambdaRuntime

_FUNCTION_NAMES = json.loads(os.environ["LOCAL_FUNCTIONS"])
_client = boto3.client(
    "lambda", config=Config(max_pool_connections=64, read_timeout=900, retries={"total_max_attempts": 1})
)


class _NoContainers:
    """Stands where SAM CLI looks for Docker."""

    is_docker_reachable = True
    docker_client = None

    def stop(self, *_: object) -> None:
        """Nothing runs."""


class _RemoteRuntime(LambdaRuntime):  # type: ignore[misc]
    """Runs a function by asking the pretended Lambda."""

    def __init__(self) -> None:
        self._temp_uncompressed_paths_to_be_cleaned: list[str] = []

    def invoke(self, function_config: Any, event: str, *_: object, stdout: Any, **__: object) -> None:
        """Write the function's answer where SAM CLI reads it; the stack shows what the function logs."""
        answer = _client.invoke(FunctionName=_FUNCTION_NAMES[function_config.name], Payload=event or "{}")
        stdout.write_str(answer["Payload"].read().decode())

    def clean_runtime_containers(self) -> None:
        """Nothing to clean."""


# Of two routes with the same path and method the later one counts to SAM CLI, while to API Gateway a method goes before
# ANY: so the routes that take every method come first.
_original_depth = SamApiProvider._get_route_stack_depth  # noqa: SLF001 - replaced on purpose, as all that follows
_original_create = LocalApigwService.create
_original_is_valid = LambdaAuthorizer.is_valid_response


def _depth(route: Any) -> tuple[int, int]:
    return _original_depth(route), len(route.methods)


def _create(self: Any) -> None:
    self.api.routes.sort(key=lambda route: -len(route.methods))
    _original_create(self)


def _is_valid(self: Any, response: str | bytes, method_arn: str) -> Any:
    document = json.loads(response)
    if isinstance(document, dict) and document.get("errorMessage") == "Unauthorized":
        # API Gateway answers 401 to an authorizer that raises this; SAM CLI would answer 502.
        flask.abort(ServiceErrorResponses.missing_lambda_auth_identity_sources())
    return _original_is_valid(self, response, method_arn)


_runtime = _RemoteRuntime()
SamApiProvider._get_route_stack_depth = staticmethod(_depth)  # noqa: SLF001
LocalApigwService.create = _create
LambdaAuthorizer.is_valid_response = _is_valid
InvokeContext._get_container_manager = staticmethod(lambda *_, **__: _NoContainers())  # noqa: SLF001
InvokeContext._clean_running_containers_and_related_resources = lambda _: None  # noqa: SLF001
InvokeContext.lambda_runtime = property(lambda _: _runtime)
container_client_factory.ContainerClientFactory.create_client = staticmethod(lambda *_, **__: None)

if __name__ == "__main__":
    cli(prog_name="sam")

"""The local stack as one object, in two forms with the same members: in this process, or with real sockets.

with LocalStack.in_process(TEMPLATE) as stack: answer = stack.http("GET", "/v2/snapshots", {"Authorization": f"Bearer
{key}"})
"""

import contextlib
import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from moto import mock_aws

from tests.endpoints import credentials
from tests.local import (
    custom_resources,
    moto_dynamodb,
    moto_ebs,
    moto_lambda,
    moto_nested_executions,
    moto_s3,
    moto_stepfunctions,
    resources_compute,
    resources_events,
    resources_stores,
)
from tests.local.aws import REGION, Aws, region_in_environment
from tests.local.aws_server import EXECUTE_STATE_MACHINES, AwsServer
from tests.local.clock_route import ClockRoute
from tests.local.deployer import Deployer, Deployment
from tests.local.elsewhere import remove_stores, unique
from tests.local.functions import Functions, Runner
from tests.local.http_client import over_socket
from tests.local.http_messages import Answer, Headers, Request
from tests.local.http_server import HttpServer
from tests.local.inprocess import InProcess
from tests.local.local_clock import LocalClock
from tests.local.logs import LogStore
from tests.local.moto_distributed_map import MapFailure, map_failures
from tests.local.rest_api import INTEGRATION_TIMEOUT_S, RestApi
from tests.local.scheduler import Delivery, LocalScheduler
from tests.local.streams import Streams
from tests.local.template import load_template
from tests.local.volume_route import VolumeRoute
from tests.local.workers import WorkerPool

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
STACK_NAME = "tidemark"
_POLL_INTERVAL_S = 0.02
# Imported for what they register or patch.
_NEEDED = (moto_dynamodb, moto_ebs, moto_nested_executions, moto_s3)
_NEEDED_TOO = (resources_compute, resources_events, resources_stores)
_running = threading.Lock()


class FunctionError(Exception):
    """A function that was invoked failed."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(f"{document.get('errorType')}: {document.get('errorMessage')}")
        self.document = document


@dataclass(frozen=True)
class Execution:
    """An execution of a state machine."""

    arn: str
    name: str
    status: str
    input: Any
    output: Any = None
    error: str | None = None
    cause: str | None = None


class LocalStack:
    """A deployed stack. Made by `in_process` or `serve`; one at a time in a process."""

    def __init__(self) -> None:
        self._cleanup = contextlib.ExitStack()
        self.aws: Aws
        self.clock: LocalClock
        """What functions and the pretended AWS take for the time; it can be moved."""
        self.scheduler: LocalScheduler
        self.logs: LogStore
        self.deployment: Deployment
        self.functions: Functions
        self.api: RestApi
        self.streams: Streams
        self.url = ""
        """Where the REST API is served; empty in process."""

    @classmethod
    def in_process(
        cls,
        template: Path = TEMPLATE,
        *,
        parameters: Mapping[str, str] | None = None,
        wait_scale: float = 0.01,
        integration_timeout_s: float = INTEGRATION_TIMEOUT_S,
        runner: type[InProcess] = InProcess,
    ) -> Self:
        """A stack under `moto.mock_aws` whose functions run in this process.

        Args:
            template: the SAM template.
            parameters: values that override the template's defaults.
            wait_scale: multiplies Wait states and pauses before retries.
            integration_timeout_s: how long the REST API waits for a function.
            runner: runs the functions.

        Raises:
            TemplateError, DeployError: the template cannot be deployed.
        """
        stack = cls()
        with stack._starting():
            stack._cleanup.enter_context(region_in_environment())
            stack._cleanup.enter_context(mock_aws(config=EXECUTE_STATE_MACHINES))
            stack.aws = Aws()
            stack.logs = LogStore()
            stack._deploy(template, parameters, wait_scale)
            stack._run(runner(stack.aws.environment(), stack.logs), integration_timeout_s)
        return stack

    @classmethod
    def serve(
        cls,
        template: Path = TEMPLATE,
        *,
        port: int = 0,
        aws_port: int = 0,
        parameters: Mapping[str, str] | None = None,
        wait_scale: float = 1.0,
        integration_timeout_s: float = INTEGRATION_TIMEOUT_S,
        logs: LogStore | None = None,
        elsewhere: Mapping[str, str] | None = None,
        ticking: bool = False,
    ) -> Self:
        """A stack with real sockets whose functions run in worker processes.

        Args:
            template: the SAM template.
            port: where the REST API listens; 0 is any free port.
            aws_port: where the pretended AWS listens; 0 is any free port.
            parameters: values that override the template's defaults.
            wait_scale: multiplies Wait states and pauses before retries.
            integration_timeout_s: how long the REST API waits for a function.
            logs: takes the functions' log lines.
            elsewhere: URLs of other servers of DynamoDB (`dynamodb`) and S3 (`s3`), used with the credentials of
                `tests/endpoints.py`; what the stack makes there it removes when it is closed.
            ticking: whether schedules are fired as time passes, and the clock can be moved over HTTP (`ClockRoute`), as
                volumes can be filled and saved (`VolumeRoute`).

        Raises:
            TemplateError, DeployError: the template cannot be deployed.
            OSError: a port is in use.
        """
        stack = cls()
        with stack._starting():
            front = HttpServer(port)  # first, so that a port in use is told at once
            stack._cleanup.callback(front.close)
            server = AwsServer(aws_port)
            stack._cleanup.callback(server.close)
            stack.aws = Aws(server.url, elsewhere, credentials()) if elsewhere else Aws(server.url)
            stack.logs = logs or LogStore()
            stack._deploy(template, parameters, wait_scale)
            stack._run(WorkerPool(stack.aws.environment(), stack.logs, stack.clock), integration_timeout_s)
            stack._cleanup.callback(front.close)  # before the rest too: what comes in finds everything
            handle = stack.api.handle
            if ticking:
                handle = VolumeRoute(ClockRoute(stack.clock, stack.scheduler, handle).handle).handle
                stack.scheduler.start_ticking()
                stack._cleanup.callback(stack.scheduler.close)  # first of all: a request may be moving the clock
            front.start(handle)
            stack.url = f"http://127.0.0.1:{front.port}"
        return stack

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything: executions, functions, servers; free the ports and forget the data."""
        self._cleanup.close()

    # --- Looking at it and using it -----------------------------------------------------------------------------------

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs of the template."""
        return self.deployment.outputs

    def physical_id(self, logical_id: str) -> str:
        """The name, ARN or id behind a logical id, as Ref gives it."""
        return self.deployment.physical_ids[logical_id]

    def client(self, service: str) -> Any:
        """A boto3 client of the pretended AWS."""
        return self.aws.client(service)

    def http(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | str | Any = b""
    ) -> Answer:
        """Send a request to the REST API.

        Args:
            method: the HTTP method.
            path: the path, percent-encoded, with the query.
            headers: header fields.
            body: bytes, text, or anything else to be sent as JSON.
        """
        content = (
            body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )
        fields = dict(headers or {})
        if not isinstance(body, bytes | str) and "content-type" not in {name.lower() for name in fields}:
            fields["Content-Type"] = "application/json"
        if self.url:
            return over_socket(self.url, method, path, fields, content)
        plain, _, query = path.partition("?")
        sent = Headers([("Host", "localhost"), *fields.items()])
        return self.api.handle(Request(method, plain, query, sent, content))

    def invoke(self, logical_id: str, event: Any) -> Any:
        """Run a function and give its answer.

        Raises:
            FunctionError: it raised, or it ran into its timeout.
        """
        name = self.deployment.functions[logical_id].name
        invocation = self.functions.invoke(name, json.dumps(event).encode())
        document = json.loads(invocation.payload)
        if invocation.error is not None:
            raise FunctionError(document)
        return document

    def executions(self, machine_logical_id: str) -> list[Execution]:
        """The executions of a state machine, newest first."""
        states = self.client("stepfunctions")
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=self.physical_id(machine_logical_id))
        return [self.execution(found["executionArn"]) for page in pages for found in page["executions"]]

    def execution(self, arn: str) -> Execution:
        """How an execution is now."""
        found = self.client("stepfunctions").describe_execution(executionArn=arn)
        return Execution(
            arn=arn,
            name=found["name"],
            status=found["status"],
            input=json.loads(found["input"]),
            output=json.loads(found["output"]) if found.get("output") else None,
            error=found.get("error"),
            cause=found.get("cause"),
        )

    def wait_execution(self, arn: str, timeout_s: float = 60) -> Execution:
        """Wait until an execution has ended.

        Raises:
            TimeoutError: it still runs.
        """
        deadline = time.monotonic() + timeout_s
        while (execution := self.execution(arn)).status == "RUNNING":
            if time.monotonic() > deadline:
                entered = ", ".join(self.history(arn))
                raise TimeoutError(f"execution {execution.name} still runs after {timeout_s} s; it entered {entered}")
            time.sleep(_POLL_INTERVAL_S)
        return execution

    def fire_due_schedules(
        self, until: dt.datetime, *, only: Callable[[str], bool] | None = None, settle: bool = True
    ) -> list[Delivery]:
        """Move the clock to a moment, and deliver what EventBridge Scheduler has until then: `LocalScheduler.fire_due`.

        Nothing is fired otherwise, however far the clock is moved.
        """
        return self.scheduler.fire_due(until, only=only, settle=settle)

    def history(self, arn: str) -> list[str]:
        """The names of the states that an execution entered, in order (not those of a Distributed Map's items)."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        return [
            event["stateEnteredEventDetails"]["name"]
            for page in pages
            for event in page["events"]
            if "stateEnteredEventDetails" in event
        ]

    def map_failures(self, arn: str) -> list[MapFailure]:
        """The failed items of an execution's Distributed Maps: a Map's own error tells neither which failed nor why."""
        return map_failures(moto_stepfunctions.backend().describe_execution(arn))

    def log_lines(self, logical_id: str | None = None) -> list[str]:
        """The last log lines of one function, or of all."""
        return [line for function, line in list(self.logs.lines) if logical_id in {None, function}]

    # --- Starting -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        if not _running.acquire(blocking=False):
            raise RuntimeError("a local stack runs in this process already: close it first")
        self._cleanup.callback(_running.release)
        self.clock = LocalClock()
        self._cleanup.callback(self.clock.stop)
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _deploy(self, template: Path, parameters: Mapping[str, str] | None, wait_scale: float) -> None:
        self._cleanup.callback(self.aws.close)
        self._cleanup.callback(moto_stepfunctions.use, None)
        moto_stepfunctions.use(self.aws, wait_scale=wait_scale, on_end=self.logs.say)
        name = unique(STACK_NAME) if self.aws.elsewhere else STACK_NAME
        deployer = Deployer(load_template(template, parameters, region=REGION), self.aws, name)
        made = deployer.deployment
        self._cleanup.callback(remove_stores, self.aws, made.tables, made.buckets)
        self.deployment = deployer.deploy()

    def _run(self, runner: Runner, integration_timeout_s: float) -> None:
        self.functions = Functions(self.deployment.functions.values(), runner, self.logs)
        self._cleanup.callback(moto_lambda.use, None)
        # Closed in the opposite order: executions are told to stop, their functions end, then their threads.
        self._cleanup.callback(moto_stepfunctions.join_all)
        self._cleanup.callback(self.functions.close)
        self._cleanup.callback(moto_stepfunctions.stop_all)
        moto_lambda.use(self.functions)
        custom_resources.make(self.deployment.custom, self.functions, STACK_NAME)
        self.streams = Streams(self.deployment.streams, self.functions.invoke, self.aws)
        self._cleanup.callback(self.streams.close)
        self.scheduler = LocalScheduler(self.aws, self.clock, self.functions, self.logs)
        self._cleanup.callback(self.scheduler.close)
        specs = list(self.deployment.apis.values())
        if len(specs) != 1:
            raise ValueError(f"the local stack serves one REST API, the template has {len(specs)}")
        self.api = RestApi(specs[0], self.functions, integration_timeout_s=integration_timeout_s)
        self._cleanup.callback(self.api.close)

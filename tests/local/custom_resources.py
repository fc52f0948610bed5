"""Makes the custom resources of a stack: calls the function behind each as CloudFormation does, and hears its answer.

Source: AWS CloudFormation User Guide, "Custom resource request objects" and "Custom resource response objects".
"""

import http.server
import json
import queue
import threading
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tests.local.deployer import Deployer, DeployError, Resource
from tests.local.functions import Functions
from tests.local.spec import CustomResourceSpec

CUSTOM = "AWS::CloudFormation::CustomResource"
_ANSWER_TIMEOUT_S = 30


@Deployer.handles(CUSTOM)
def _custom(deployer: Deployer, resource: Resource) -> None:
    function = resource.take("ServiceToken")
    deployer.record(resource, resource.take_all("ServiceTimeout"))
    properties = resource.take_rest()
    deployer.deployment.custom.append(
        CustomResourceSpec(resource.logical_id, resource.kind, function, {"ServiceToken": function, **properties})
    )
    deployer.set(resource, f"{deployer.stack_name}-{resource.logical_id}")


class Answers:
    """Stands for the address that CloudFormation gives for the answer to a request."""

    def __init__(self) -> None:
        self.url: str
        self._answers: queue.Queue[Any] = queue.Queue()
        self._turned_away = 0
        around = self

        class Taking(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(around._take(document))
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the library calls it by
                """Nobody wants to read it."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taking)
        self.url = f"http://127.0.0.1:{self._server.server_port}/answer"
        self._thread = threading.Thread(target=self._server.serve_forever, name="custom-resources", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def turn_away(self, number: int) -> None:
        """Take none of the next answers."""
        self._turned_away = number

    def _take(self, document: Any) -> int:
        if self._turned_away:
            self._turned_away -= 1
            return 503
        self._answers.put(document)
        return 200

    def next(self) -> Any:
        """The next answer.

        Raises:
            queue.Empty: none came in time.
        """
        return self._answers.get(timeout=_ANSWER_TIMEOUT_S)


def request(spec: CustomResourceSpec, answers: Answers, stack_name: str, kind: str = "Create") -> dict[str, Any]:
    """What CloudFormation sends to the function."""
    return {
        "RequestType": kind,
        "ServiceToken": spec.function,
        "ResponseURL": answers.url,
        "StackId": f"arn:aws:cloudformation:eu-west-1:123456789012:stack/{stack_name}/0",
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": spec.logical_id,
        "ResourceType": spec.kind,
        "ResourceProperties": dict(spec.properties),
    }


def make(specs: Sequence[CustomResourceSpec], functions: Functions, stack_name: str) -> None:
    """Make them. One that says nothing is not: of a new stack, there is nothing that it would have to take away.

    Raises:
        DeployError: one could not be made, or did not answer.
    """
    for spec in specs:
        if not any(value for name, value in spec.properties.items() if name != "ServiceToken"):
            continue
        with Answers() as answers:
            functions.invoke(spec.function, json.dumps(request(spec, answers, stack_name)).encode())
            try:
                answer = answers.next()
            except queue.Empty:
                raise DeployError(f"{spec.logical_id} ({spec.kind}): its function gave no answer") from None
        if answer["Status"] != "SUCCESS":
            raise DeployError(f"{spec.logical_id} ({spec.kind}): {answer['Reason']}")

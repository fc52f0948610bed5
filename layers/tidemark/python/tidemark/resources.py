"""The entry of the functions behind custom resources of the template: whatever happens, CloudFormation is answered.

It would wait for an answer that never comes, and the operator with it.
Source: AWS CloudFormation User Guide, "Custom resource request objects".
"""

from collections.abc import Callable, Mapping
from typing import Any

from tidemark import bootstrap
from tidemark.adapters.cloudformation_answers import tell
from tidemark.adapters.system import SystemClock
from tidemark.errors import TidemarkError
from tidemark.ports import Ports
from tidemark.telemetry import ERROR_CODE, logger

type Event = Mapping[str, Any]
type Properties = Mapping[str, Any]
type LambdaHandler = Callable[[Event, object], None]


def handler(name: str, make: Callable[[Ports, Properties], object]) -> LambdaHandler:
    """The Lambda entry of a custom resource, known to CloudFormation as `name`.

    `make` is called with the properties, when the resource is made and whenever they change, perhaps more than once,
    and brings about what they say. What it raises fails the deployment, with its sentence as the reason. Nothing is
    done when the resource goes: it goes with the stack, whose data stays.

    The function raises where CloudFormation could not be answered, so that Lambda runs it again.
    """

    def handle(event: Event, context: object) -> None:
        del context
        reason: str | None = None
        try:
            if event["RequestType"] != "Delete":
                done = make(bootstrap.ports(), event["ResourceProperties"])
                logger().info(f"{name}: {done}")
        except TidemarkError as error:
            logger().error(f"{name}: {error.message}", extra={ERROR_CODE: error.code})
            reason = error.message
        except Exception as error:  # noqa: BLE001 - the edge: whatever goes wrong, CloudFormation gets an answer
            logger().exception(f"{name} failed", extra={ERROR_CODE: type(error).__name__})
            reason = f"an unexpected error stopped it ({type(error).__name__}); the log of its function says which"
        tell(event, name, SystemClock(), reason=reason)

    return handle

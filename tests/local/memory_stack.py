"""The product's stack with its data in memory, where even moto is too slow: for what happens hundreds of times.

The API, the state machines, EventBridge Scheduler and the functions are those of the template. Only what the functions
keep, in place of DynamoDB and S3, is in the memory of this process: the ports of `tests/fakes`, which are held to the
same contract tests as the adapters of AWS.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tests.local.inprocess import Shared
from tests.local.product import find_product
from tests.local.stack import LocalStack

_SETTER = "CreateScheduleFunction"


@contextlib.contextmanager
def memory_stack(parameters: Mapping[str, str] | None = None) -> Iterator[tuple[LocalStack, str]]:
    """The stack, and the secret of a key that may do everything in every tenant.

    Raises:
        TemplateError, DeployError: the template cannot be deployed.
    """
    find_product()
    # Imported here, when the product is found.
    from tests.fakes import memory_ports  # noqa: PLC0415
    from tidemark import bootstrap  # noqa: PLC0415
    from tidemark.adapters.eventbridge_schedules import Delivery, EventBridgeSchedules  # noqa: PLC0415
    from tidemark.adapters.system import SystemClock, SystemEntropy  # noqa: PLC0415
    from tidemark.domain.api_key import Action  # noqa: PLC0415
    from tidemark.settings import Settings  # noqa: PLC0415
    from tidemark.usecases.keys import create_key  # noqa: PLC0415

    with LocalStack.in_process(parameters=parameters, runner=Shared) as stack:
        settings = Settings.from_environment(stack.deployment.functions[_SETTER].environment)
        delivery = Delivery(
            group=settings.schedule_group,
            machine_arn=settings.backup_machine_arn,
            role_arn=settings.backup_role_arn,
            dead_letters_arn=settings.backup_dead_letters_arn,
        )
        ports = replace(
            memory_ports(),
            clock=SystemClock(),
            entropy=SystemEntropy(),
            schedules=EventBridgeSchedules(stack.client("scheduler"), delivery),
        )
        with bootstrap.use(ports):
            key = create_key(ports, name="local", tenants=["*"], actions=[Action("admin")])
            yield stack, str(key.secret)

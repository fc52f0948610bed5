"""Worlds on the real adapters over moto, where a step is one request to AWS: finer than a call of a port, which may
take several.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.contract.ports_on_aws import moto_clients, ports_on
from tests.fakes import ManualClock, SeededEntropy, Serial
from tests.simulation.scheduler import Scheduler
from tidemark.ports import Ports


@contextmanager
def on_moto() -> Iterator[Callable[[int, Scheduler], Ports]]:
    """What makes ports, each on new tables and a new bucket."""
    with moto_clients() as (dynamodb, s3), ExitStack() as stack:

        def make(seed: int, scheduler: Scheduler) -> Ports:
            def step(model: Any, **_: Any) -> None:
                scheduler.pause(model.name)

            def made(**_: Any) -> None:
                scheduler.made()

            fresh = ports_on(dynamodb, s3, clock=ManualClock(), entropy=SeededEntropy(seed), parallel=Serial())
            ports = stack.enter_context(fresh)
            for client, service in ((dynamodb, "dynamodb"), (s3, "s3")):
                # Under one name, so that a step of this world is none of the one before.
                for event, handler in ((f"before-call.{service}", step), (f"after-call.{service}", made)):
                    client.meta.events.unregister(event, unique_id=f"simulation {event}")
                    client.meta.events.register(event, handler, unique_id=f"simulation {event}")
            return ports

        yield make

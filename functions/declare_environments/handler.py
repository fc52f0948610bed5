"""The environments that the parameter `Environments` declares: a custom resource of the stack."""

from tidemark import resources
from tidemark.domain.environment import declared_environments
from tidemark.ports import Ports
from tidemark.usecases.environments import declare_environments


def declare(ports: Ports, properties: resources.Properties) -> str:
    """Make the records be as declared; says what has changed."""
    wanted = declared_environments(str(properties.get("Environments", "")), ports.clock.now())
    done = declare_environments(ports, wanted)
    return f"{len(wanted)} declared; added {done.added}, changed {done.changed}, removed {done.removed}"


handler = resources.handler("environments", declare)

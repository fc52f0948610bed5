"""What a deployed stack says of itself: the outputs of its template, by CloudFormation."""

from collections.abc import Mapping
from typing import Any

from tidemark.adapters.aws_errors import named
from tidemark.errors import StackNotFound


def outputs(client: Any, stack: str) -> Mapping[str, str]:  # noqa: ANN401 - a client of CloudFormation
    """The outputs of a stack by their names. Raises StackNotFound."""
    # CloudFormation has no code of its own for a stack that does not exist.
    absent = StackNotFound(
        f"there is no stack {stack!r} in this account and region, or you may not see it: name another with --stack, "
        "or choose account and region with AWS_PROFILE and AWS_REGION"
    )
    with named(f"reading the outputs of stack {stack!r}", {"ValidationError": absent}):
        (found,) = client.describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

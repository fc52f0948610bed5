"""What a deployed stack says of itself: the outputs of its template, by CloudFormation."""

from collections.abc import Mapping

from botocore.exceptions import NoCredentialsError, NoRegionError

from tidemark.adapters import clients
from tidemark.adapters.aws_errors import named
from tidemark.errors import StackNotFound


def outputs(stack: str) -> Mapping[str, str]:
    """The outputs of a stack by their names, looked up with the caller's credentials. Raises StackNotFound."""
    # CloudFormation has no code of its own for a stack that does not exist.
    absent = StackNotFound(
        f"there is no stack {stack!r} in this account and region: name another with --stack, "
        "or choose account and region with AWS_PROFILE and AWS_REGION"
    )
    doing = f"reading the outputs of stack {stack!r}"
    with named(doing, {"ValidationError": absent}):
        try:
            (found,) = clients.make("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        except (NoCredentialsError, NoRegionError) as error:
            raise StackNotFound(f"{doing}: {error} Set AWS_PROFILE and AWS_REGION, then try again.") from error
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

"""`tidemark environments`: which volumes of AWS an environment has, set in AWS directly with the operator's rights.

Those must allow `cloudformation:DescribeStacks` and, on the catalog table, `dynamodb:GetItem`, `dynamodb:PutItem`,
`dynamodb:DeleteItem` and `dynamodb:Query`. See `operating` for what does it.
"""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from tidemark_cli import operating, shown
from tidemark_cli.failures import ExitCode, Failed
from tidemark_cli.operating import StackOption
from tidemark_cli.session import Session, operation

if TYPE_CHECKING:
    from tidemark.domain.environment import Environment

EnvironmentArgument = Annotated[
    str, typer.Argument(metavar="SERVICE/NAME", help="The environment: compute-on/test_area.")
]
TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="A tag that its volumes have; may be repeated: they have all."),
]


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    operation(group, "add", connected=False)(add)
    operation(group, "list", connected=False)(list_)
    operation(group, "update", connected=False)(update)
    operation(group, "remove", connected=False)(remove)


def add(
    session: Session,
    environment: EnvironmentArgument,
    *,
    region: Annotated[str, typer.Option(help="The region of AWS that its volumes are in.")],
    tag: TagOption = None,
    stack: StackOption = "tidemark",
) -> None:
    """Make an environment of the volumes of a region that have these tags. Repeating it changes nothing."""
    tags = _tags(tag)
    with operating.ports_of(stack) as ports:
        from tidemark.domain.environment import Environment, parse_environment_id  # noqa: PLC0415 - see `operating`
        from tidemark.usecases.environments import add_environment  # noqa: PLC0415 - see `operating`

        service_code, _, name = parse_environment_id(environment).partition("/")
        made = add_environment(ports, Environment(service_code, name, region, datetime.now(tz=UTC), tags))
    _tell(session, made, "is there")


def list_(session: Session, *, stack: StackOption = "tidemark") -> None:
    """List the environments of a stack."""
    with operating.ports_of(stack) as ports:
        from tidemark.usecases.environments import list_environments  # noqa: PLC0415 - see `operating`

        found = list_environments(ports)
    if session.json:
        operating.print_document([_told(one) for one in found])
    else:
        shown.console(sys.stdout).print(_listed(found))


def update(
    session: Session,
    environment: EnvironmentArgument,
    *,
    region: Annotated[str | None, typer.Option(help="Another region; while it has no snapshots or schedules.")] = None,
    tag: TagOption = None,
    stack: StackOption = "tidemark",
) -> None:
    """Give an environment other tags, in place of all that it had, or another region."""
    if region is None and not tag:
        raise Failed(ExitCode.USAGE, "say what to change: --region, --tag")
    tags = _tags(tag) if tag else None
    with operating.ports_of(stack) as ports:
        from tidemark.domain.environment import parse_environment_id  # noqa: PLC0415 - see `operating`
        from tidemark.usecases.environments import update_environment  # noqa: PLC0415 - see `operating`

        changed = update_environment(ports, parse_environment_id(environment), region=region, tags=tags)
    _tell(session, changed, "is changed")


def remove(session: Session, environment: EnvironmentArgument, *, stack: StackOption = "tidemark") -> None:
    """Forget an environment that has no snapshots or schedules; its volumes stay as they are."""
    with operating.ports_of(stack) as ports:
        from tidemark.domain.environment import parse_environment_id  # noqa: PLC0415 - see `operating`
        from tidemark.usecases.environments import remove_environment  # noqa: PLC0415 - see `operating`

        remove_environment(ports, parse_environment_id(environment))
    session.note(shown.clean(f"The environment {environment} is there no more."))


def _tell(session: Session, environment: "Environment", done: str) -> None:
    if session.json:
        operating.print_document(_told(environment))
    session.note(
        shown.clean(f"The environment {environment.id} {done}: the volumes of {environment.region} that have the tags ")
        + shown.clean(_written(environment)),
        f"A key for it: tidemark keys make --environments {environment.id} --actions read,snapshot",
    )


def _told(environment: "Environment") -> dict[str, Any]:
    return {
        "id": environment.id,
        "region": environment.region,
        "tags": dict(environment.tags),
        "declared": environment.declared,
        "createdAt": operating.moment(environment.created_at),
    }


def _listed(environments: list["Environment"]) -> RenderableType:
    rows = [
        (
            one.id,
            one.region,
            _written(one),
            "parameter" if one.declared else "command line",
            operating.moment(one.created_at),
        )
        for one in environments
    ]
    return shown.table(("id", "region", "tags", "set by", "made"), rows)


def _written(environment: "Environment") -> str:
    return ", ".join(f"{key}={value}" for key, value in environment.tags.items())


def _tags(given: list[str] | None) -> dict[str, str]:
    tags: dict[str, str] = {}
    for one in given or []:
        key, equals, value = one.partition("=")
        if not key or not equals:
            raise Failed(ExitCode.USAGE, f"--tag {one}: write it as KEY=VALUE")
        if key in tags:
            raise Failed(ExitCode.USAGE, f"--tag {one}: a volume has each tag once")
        tags[key] = value
    if not tags:
        raise Failed(ExitCode.USAGE, "say by --tag KEY=VALUE which volumes are its own; without any it would be all")
    return tags

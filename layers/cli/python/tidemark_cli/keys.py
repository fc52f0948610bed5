"""`tidemark keys`: API keys of a deployed stack, made in AWS directly with the operator's own credentials.

Those must allow `cloudformation:DescribeStacks` and, on the catalog table, `dynamodb:GetItem`, `dynamodb:PutItem` and,
to list keys or revoke one by the shown part of its id, `dynamodb:Scan`. See `operating` for what does it.
"""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import RenderableType

from tidemark_cli import operating, shown
from tidemark_cli.operating import StackOption
from tidemark_cli.session import Session, operation

if TYPE_CHECKING:
    from tidemark.domain.api_key import Action, ApiKey

_ID_SHOWN: Final = 12


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    operation(group, "make", connected=False)(make)
    operation(group, "list", connected=False)(list_)
    operation(group, "revoke", connected=False)(revoke)


def make(
    session: Session,
    *,
    actions: Annotated[str, typer.Option(metavar="A,B", help="Of read, write, snapshot, restore, hold, admin (all).")],
    tenants: Annotated[str, typer.Option(metavar="A,B", help="The tenants that it opens, or * for all.")] = "",
    environments: Annotated[
        str,
        typer.Option(metavar="A/B,C/D", help="The environments of volumes that it opens, or * for all."),
    ] = "",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "operator",
    expires: Annotated[
        str | None, typer.Option(metavar="DATE", help="When it ends: 2027-01-31 (default: never).")
    ] = None,
    stack: StackOption = "tidemark",
) -> None:
    """Make a key and print it: the key alone goes to standard output, so that a script can take it from there."""
    if not _names(tenants) and not _names(environments):
        raise typer.BadParameter("name one tenant or environment at least", param_hint="--tenants, --environments")
    wanted, expires_at = _actions(actions), None if expires is None else _date(expires)
    with operating.ports_of(stack) as ports:
        from tidemark.usecases.keys import create_key  # noqa: PLC0415 - see `operating`

        made = create_key(
            ports,
            name=name,
            tenants=_names(tenants),
            actions=wanted,
            environments=_names(environments),
            expires_at=expires_at,
        )
    key = made.key
    if session.json:
        operating.print_document({"key": made.secret, **_told(key)})
    else:
        sys.stdout.write(f"{made.secret}\n")
    session.note(
        shown.clean(
            f"Key {key.id[:_ID_SHOWN]} of {key.name!r} opens {_opened(key)} for "
            f"{', '.join(sorted(key.actions))}. Keep it now: only its SHA-256 is stored, so it is shown this once."
        ),
        f"To revoke it: tidemark keys revoke {key.id}",
    )


def list_(session: Session, *, stack: StackOption = "tidemark") -> None:
    """List the keys of a stack, newest first; the keys themselves are stored nowhere."""
    with operating.ports_of(stack) as ports:
        from tidemark.usecases.keys import list_keys  # noqa: PLC0415 - see `operating`

        keys = list_keys(ports)
    if session.json:
        operating.print_document([_told(key) for key in keys])
    else:
        shown.console(sys.stdout).print(_listed(keys))


def revoke(
    session: Session,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="The key's id, as the list shows it or whole, or the key itself.")
    ],
    *,
    stack: StackOption = "tidemark",
) -> None:
    """End a key at once."""
    with operating.ports_of(stack) as ports:
        from tidemark.usecases.keys import revoke_key  # noqa: PLC0415 - see `operating`

        revoked = revoke_key(ports, key)
    if session.json:
        operating.print_document(_told(revoked))
    session.note(shown.clean(f"Key {revoked.id[:_ID_SHOWN]} of {revoked.name!r} opens nothing any more."))


def _told(key: "ApiKey") -> dict[str, Any]:
    moments = {"createdAt": key.created_at, "expiresAt": key.expires_at, "lastUsedAt": key.last_used_at}
    return {
        "id": key.id,
        "name": key.name,
        "tenants": sorted(key.tenants),
        **({"environments": sorted(key.environments)} if key.environments else {}),
        "actions": sorted(key.actions),
        **{name: operating.moment(moment) for name, moment in moments.items() if moment is not None},
    }


def _listed(keys: list["ApiKey"]) -> RenderableType:
    now = datetime.now(tz=UTC)
    rows = [
        (
            key.id[:_ID_SHOWN],
            key.name,
            _opened(key),
            ", ".join(sorted(key.actions)),
            operating.moment(key.created_at),
            "expired" if key.expired(now) else operating.moment(key.expires_at) if key.expires_at else "never",
            operating.moment(key.last_used_at) if key.last_used_at else "",
        )
        for key in keys
    ]
    return shown.table(("id", "name", "opens", "actions", "made", "ends", "last used"), rows)


def _opened(key: "ApiKey") -> str:
    """Its tenants and environments. Where it is for all of them, the star says of which."""
    environments = (f"{name} (environments)" if name == "*" else name for name in sorted(key.environments))
    return ", ".join((*sorted(key.tenants), *environments))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _actions(text: str) -> list["Action"]:
    from tidemark.domain.api_key import Action  # noqa: PLC0415 - see `operating`

    unknown = [name for name in _names(text) if name not in set(Action)]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(Action)}", param_hint="--actions")
    return [Action(name) for name in _names(text)]


def _date(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no date: write it as 2027-01-31 or 2027-01-31T12:00Z", param_hint="--expires"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

"""The command line of operators: `python -m tidemark create-key` and `revoke-key`, for the keys of a deployed stack.

It acts with the caller's own AWS credentials, which must allow `cloudformation:DescribeStacks` and, on the catalog
table, `dynamodb:GetItem` and `dynamodb:PutItem`.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from tidemark import bootstrap
from tidemark.domain.api_key import Action
from tidemark.errors import TidemarkError
from tidemark.ports import Ports
from tidemark.settings import SettingInvalid
from tidemark.usecases.keys import create_key, revoke_key

_DEFAULT_STACK: Final = "tidemark"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Raises SystemExit on a bad command line, as argparse does."""
    options = _parser().parse_args(arguments)
    try:
        ports = bootstrap.ports_of_stack(options.stack)
        if options.command == "create-key":
            _create(ports, options)
        else:
            _revoke(ports, options)
    except (TidemarkError, SettingInvalid) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _create(ports: Ports, options: argparse.Namespace) -> None:
    made = create_key(
        ports, name=options.name, tenants=options.tenants, actions=options.actions, expires_at=options.expires
    )
    # The secret alone goes to standard output, so that a script can take it from there.
    sys.stderr.write(
        f"Key {made.key.id[:12]} of {options.name!r} opens {', '.join(sorted(made.key.tenants))} for "
        f"{', '.join(sorted(made.key.actions))}. Keep it now: only its SHA-256 is stored, so it is shown this once.\n"
        f"To revoke it: revoke-key {made.key.id}\n"
    )
    sys.stdout.write(f"{made.secret}\n")


def _revoke(ports: Ports, options: argparse.Namespace) -> None:
    key = revoke_key(ports, options.key)
    sys.stderr.write(f"Key {key.id[:12]} of {key.name!r} opens nothing any more.\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tidemark", description="API keys of a deployed stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create-key", help="make a key and print it")
    create.add_argument("--name", default="operator", help="what the key is for (default: operator)")
    create.add_argument(
        "--tenants", type=_names, required=True, metavar="A,B", help="the tenants that it opens, or * for all"
    )
    create.add_argument(
        "--actions", type=_actions, required=True, metavar="A,B", help=f"of {', '.join(Action)} (admin: all of them)"
    )
    create.add_argument("--expires", type=_date, metavar="DATE", help="when it ends: 2027-01-31 (default: never)")
    revoke = commands.add_parser("revoke-key", help="end a key at once")
    revoke.add_argument("key", metavar="KEY", help="the id that create-key told, or the key itself")
    for command in (create, revoke):
        command.add_argument("--stack", default=_DEFAULT_STACK, help=f"name of the stack (default: {_DEFAULT_STACK})")
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _actions(text: str) -> list[Action]:
    unknown = [name for name in _names(text) if name not in set(Action)]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(Action)}")
    return [Action(name) for name in _names(text)]


def _date(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date: write it as 2027-01-31 or 2027-01-31T12:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())

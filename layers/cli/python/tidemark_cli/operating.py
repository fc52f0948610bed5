"""Acts on a deployed stack in AWS directly, with the operator's own credentials.

The service's own code does it, which is imported only by the commands that are built upon this, and only when it is
needed: all other commands do without it and without boto3.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tidemark_cli.failures import ExitCode, Failed

if TYPE_CHECKING:
    from tidemark.ports import Ports

StackOption = Annotated[str, typer.Option("--stack", help="Name of the stack.")]


@contextmanager
def ports_of(stack: str) -> Iterator["Ports"]:
    """The stack's ports. What goes wrong with them in the block becomes a Failed."""
    try:
        from tidemark import bootstrap, errors  # noqa: PLC0415 - see above
        from tidemark.settings import SettingInvalid  # noqa: PLC0415

        try:
            yield bootstrap.ports_of_stack(stack)
        except errors.NotFound as error:
            raise Failed(ExitCode.NOT_FOUND, str(error)) from error
        except errors.Conflict as error:
            raise Failed(ExitCode.CONFLICT, str(error)) from error
        except errors.Unavailable as error:
            raise Failed(ExitCode.UNAVAILABLE, str(error)) from error
        except SettingInvalid as error:
            raise Failed(ExitCode.USAGE, str(error)) from error
        except errors.TidemarkError as error:
            raise Failed(ExitCode.FAILED, str(error)) from error
    except ImportError as error:
        # Clients of AWS are imported when they are first used.
        raise Failed(
            ExitCode.FAILED,
            f"this is done in AWS directly, which needs the package {error.name}: install tidemark with its extra "
            "'keys', as in pip install '.[keys]'",
        ) from error


def print_document(document: object) -> None:
    """Write a document to standard output, as JSON."""
    sys.stdout.write(json.dumps(document) + "\n")


def moment(at: datetime) -> str:
    """A moment as the API writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""`tidemark restores`: list them, show one, watch one, cancel one."""

from typing import Annotated, Any

import typer
from rich.console import RenderableType

from tidemark_cli import shown
from tidemark_cli.api import path
from tidemark_cli.restoring import finish
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import LimitOption, OffsetOption, QuietOption, tell_page
from tidemark_cli.waiting import DEFAULT_TIMEOUT_S, TimeoutOption

RestoreArgument = Annotated[str, typer.Argument(metavar="RESTORE", help="Id of the restore.")]


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    operation(group, "list")(list_)
    operation(group, "show")(show)
    operation(group, "watch")(watch)
    operation(group, "cancel")(cancel)


def list_(session: Session, *, limit: LimitOption = 20, offset: OffsetOption = 0, quiet: QuietOption = False) -> None:
    """List restores into the tenant, newest first."""
    answer = session.api.get("/v2/restores", {"limit": limit, "offset": offset, "options": "count"})
    tell_page(session, answer, _listed, offset, quiet=quiet)


def show(session: Session, restore: RestoreArgument) -> None:
    """Show everything that is known about one restore: its phases and progress, what it changes, how it ended."""
    session.tell(session.api.get(path("restores", restore)), shown.card)


def watch(session: Session, restore: RestoreArgument, *, timeout: TimeoutOption = DEFAULT_TIMEOUT_S) -> None:
    """Follow a restore to its end; exit code 1 when it fails or is cancelled."""
    finish(session, restore, tenant=None, timeout_s=timeout)


def cancel(session: Session, restore: RestoreArgument) -> None:
    """Cancel a restore that has not reached its cutover; nothing is changed then."""
    answer = session.api.delete(path("restores", restore))
    session.tell(answer, lambda _: None)
    session.note(f"Restore {restore} is being cancelled: tidemark restores watch {restore}")


def _listed(documents: Any) -> RenderableType:  # noqa: ANN401 - an answer
    # Of one whose record is damaged, no more than this is known.
    rows = [
        (one["id"], one["status"], one.get("phase", ""), f"{one.get('percent', '?')} %", one.get("snapshotId", ""))
        for one in documents
    ]
    return shown.table(("id", "status", "phase", "done", "snapshot"), rows, right=("done",))

"""`tidemark plans`: what a dry run of a restore found, or how far it is."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType

from tidemark_cli import shown
from tidemark_cli.api import path
from tidemark_cli.session import Session, operation
from tidemark_cli.waiting import failure_of

_CHANGES: Final = ("created", "updated", "deleted")


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    operation(group, "show")(show)


def show(
    session: Session,
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="Id of the plan.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many entities of each kind at most.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="How many of each kind to leave out before them.")] = 0,
) -> None:
    """Show a plan: the counts, and the entities of each kind of change."""
    session.tell(session.api.get(path("plans", plan), {"limit": limit, "offset": offset}), planned)


def planned(told: Any) -> RenderableType:  # noqa: ANN401 - an answer
    """A plan as people read it, or how far it is."""
    if "changes" not in told:
        return shown.clean(f"Plan {told['plan']} for restoring {told['id']} {_pending(told)}.")
    rows = [
        (kind, one["type"], one["id"], one.get("servicePath", "")) for kind in _CHANGES for one in told.get(kind, [])
    ]
    changed = sum(told["changes"][kind] for kind in _CHANGES)
    where = f" in {told['service']}" if "service" in told else ""
    parts: list[RenderableType] = [
        shown.clean(f"Plan {told['plan']}: restoring {told['id']}{where} changes {counts(told['changes'])}.")
    ]
    if rows:
        parts.append(shown.table(("change", "type", "id", "service path"), rows))
    if changed > len(rows):
        parts.append(shown.clean(f"{changed - len(rows):,} more: tidemark plans show {told['plan']} --limit 1000"))
    return Group(*parts)


def _pending(told: Any) -> str:  # noqa: ANN401 - an answer
    if told["status"] == "failed":
        return f"could not be made: {failure_of(told)}; ask for another dry run"
    return f"is being made: {told['percent']} %; look again with tidemark plans show {told['plan']}"


def counts(changes: Mapping[str, int]) -> str:
    """How many entities of each kind: `3 created, 1 updated, 0 deleted, 1,246 unchanged`."""
    return ", ".join(f"{count:,} {kind}" for kind, count in changes.items())

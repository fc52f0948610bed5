"""`tidemark entities`: what snapshots tell of one entity through time."""

from collections.abc import Collection
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from tidemark_cli import shown
from tidemark_cli.api import path
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import BeforeOption, LimitOption, OffsetOption, SinceOption

_COLUMNS: Final = ("snapshot", "change", "type", "attributes", "description")


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    operation(group, "history")(history)


def history(
    session: Session,
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="Id of the entity.")],
    *,
    entity_type: Annotated[str | None, typer.Option("--type", help="Its type, if others have the same id.")] = None,
    attrs: Annotated[str | None, typer.Option(metavar="A,B", help="Of it, show these attributes alone.")] = None,
    key_values: Annotated[bool, typer.Option(help="Values alone, without types and metadata.")] = False,
    since: SinceOption = None,
    before: BeforeOption = None,
    limit: LimitOption = 20,
    offset: OffsetOption = 0,
) -> None:
    """List the snapshots in which an entity differs from the one before, newest first; --json has all of its states."""
    answer = session.api.get(
        path("entities", entity, "history"),
        {
            "type": entity_type,
            "attrs": attrs,
            "options": "keyValues" if key_values or not session.json else None,
            "from": since,
            "to": before,
            "limit": limit,
            "offset": offset,
        },
    )
    chosen = None if attrs is None or "*" in attrs else frozenset(attrs.split(","))
    session.tell(answer, lambda told: _listed(told, chosen))
    # How many there are in all takes a look at every snapshot, so it is not asked for.
    if len(answer.json()) == limit and not session.json:
        session.note(f"There may be more: --offset {offset + limit}")


def _listed(documents: Any, chosen: Collection[str] | None) -> RenderableType:  # noqa: ANN401 - an answer
    rows = [
        (one["snapshotId"], one["change"], one["type"], _told(one, chosen), one["description"]) for one in documents
    ]
    return shown.table(_COLUMNS, rows, whole=("snapshot",))


def _told(one: Any, chosen: Collection[str] | None) -> object:  # noqa: ANN401 - an answer
    """What is told of the attributes: of an update those that it changed, with their values if they are there."""
    entity = {name: value for name, value in one.get("entity", {}).items() if name not in {"id", "type"}}
    if one["change"] != "updated":
        return entity
    changed = [name for name in one["changedAttributes"] if chosen is None or name in chosen]
    return {name: entity.get(name, "removed") for name in changed}

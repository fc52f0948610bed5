"""`tidemark snapshots read` and `diff`: the entities inside of a snapshot as they were, and what became of them."""

from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.json import JSON

from tidemark_cli import shown
from tidemark_cli.api import path
from tidemark_cli.plans import counts
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import COUNT_HEADER, LimitOption, OffsetOption, SnapshotArgument, note_more, tell_page

_FIXED: Final = ("id", "type")


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    operation(group, "read")(read)
    operation(group, "diff")(diff)


def read(
    session: Session,
    snapshot: SnapshotArgument,
    entity: Annotated[str | None, typer.Argument(metavar="[ENTITY]", help="Id of one entity.")] = None,
    *,
    entity_type: Annotated[str | None, typer.Option("--type", metavar="A,B", help="Types.")] = None,
    type_pattern: Annotated[str | None, typer.Option(metavar="REGEX", help="Pattern of types.")] = None,
    id_pattern: Annotated[str | None, typer.Option(metavar="REGEX", help="Pattern of ids.")] = None,
    query: Annotated[str | None, typer.Option("--q", metavar="QUERY", help="NGSIv2 query.")] = None,
    attrs: Annotated[str | None, typer.Option(metavar="A,B", help="These attributes alone.")] = None,
    key_values: Annotated[bool, typer.Option(help="Values alone, without types and metadata.")] = False,
    limit: LimitOption = 20,
    offset: OffsetOption = 0,
) -> None:
    """Read entities as they were in a snapshot: one of them, or a list."""
    options = ["keyValues"] if key_values or not (session.json or entity) else []
    if entity is not None:
        asked = {"type": entity_type, "attrs": attrs, "options": ",".join(options) or None}
        one = session.api.get(path("snapshots", snapshot, "entities", entity), asked)
        session.tell(one, JSON.from_data)
        return
    answer = session.api.get(
        path("snapshots", snapshot, "entities"),
        {
            "type": entity_type,
            "typePattern": type_pattern,
            "idPattern": id_pattern,
            "q": query,
            "attrs": attrs,
            "options": ",".join([*options, "count"]),
            "limit": limit,
            "offset": offset,
        },
    )
    tell_page(session, answer, _listed, offset)


def diff(
    session: Session,
    snapshot: SnapshotArgument,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Id of another snapshot, or live.")],
    *,
    entity_type: Annotated[str | None, typer.Option("--type", metavar="A,B", help="Types.")] = None,
    change: Annotated[
        str | None, typer.Option("--change", metavar="A,B", help="Of created, updated, deleted; else all.")
    ] = None,
    limit: LimitOption = 20,
    offset: OffsetOption = 0,
) -> None:
    """Tell what became of a snapshot's entities, by another snapshot or by now: counts, then each one."""
    answer = session.api.get(
        path("snapshots", snapshot, "diff"),
        {"with": other, "type": entity_type, "change": change, "limit": limit, "offset": offset, "options": "count"},
    )
    session.tell(answer, _compared)
    note_more(session, answer.headers.get(COUNT_HEADER), offset, len(answer.json()["entities"]))


def _compared(told: Any) -> RenderableType:  # noqa: ANN401 - an answer
    said = shown.clean(f"From {told['from']} to {told['to']}: {counts(told['counts'])}.")
    rows = [
        (one["change"], one["type"], one["id"], *attribute)
        for one in told["entities"]
        for attribute in _attributes(one.get("attributes")) or [("", "", "")]
    ]
    if not rows:
        return said
    return Group(said, shown.table(("change", "type", "id", "attribute", "old", "new"), rows))


def _attributes(differing: dict[str, Any] | None) -> list[tuple[str, object, object]]:
    """Name, old and new value of each; where the value is the same, all of the attribute."""
    told = []
    for name, sides in (differing or {}).items():
        old, new = sides.get("old", {}), sides.get("new", {})
        same = "old" in sides and "new" in sides and old.get("value") == new.get("value")
        told.append((name, old, new) if same else (name, old.get("value", ""), new.get("value", "")))
    return told


def _listed(documents: Any) -> RenderableType:  # noqa: ANN401 - an answer
    rows = [
        (one["id"], one["type"], {name: value for name, value in one.items() if name not in _FIXED})
        for one in documents
    ]
    return shown.table(("id", "type", "attributes"), rows)

"""`tidemark snapshots read`: the entities inside of a snapshot, as they were."""

from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType
from rich.json import JSON

from tidemark_cli import shown
from tidemark_cli.api import path
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import LimitOption, OffsetOption, SnapshotArgument, note_more

_FIXED: Final = ("id", "type")


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    operation(group, "read")(read)


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
    session.tell(answer, _listed)
    note_more(session, answer.headers.get("fiware-total-count"), offset, len(answer.json()))


def _listed(documents: Any) -> RenderableType:  # noqa: ANN401 - an answer
    rows = [
        (one["id"], one["type"], {name: value for name, value in one.items() if name not in _FIXED})
        for one in documents
    ]
    return shown.table(("id", "type", "attributes"), rows)

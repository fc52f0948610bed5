"""`tidemark snapshots`: create, list, show, update, pin, unpin, hold, release, delete, undelete and verify."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from tidemark_cli import shown
from tidemark_cli.api import path
from tidemark_cli.failures import ExitCode, Failed
from tidemark_cli.sending import Answer
from tidemark_cli.session import Session, operation
from tidemark_cli.waiting import (
    DEFAULT_TIMEOUT_S,
    TimeoutOption,
    WaitOption,
    detached,
    snapshot_completed,
    until_over,
    waiting_for,
)

# An id says when the snapshot was made.
_COLUMNS: Final = ("id", "entities", "status", "interval", "description", "labels")
COUNT_HEADER: Final = "fiware-total-count"

SnapshotArgument = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Id of the snapshot.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print ids alone, one a line.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")]
OffsetOption = Annotated[int, typer.Option("--offset", min=0, help="How many to leave out before them.")]
SinceOption = Annotated[str | None, typer.Option("--from", metavar="TIME", help="2026-01-15, or with T10:00:00Z.")]
BeforeOption = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to there, not included.")]
_NO_CHANGE: Final = (
    "say what to change: --description, --label, --remove-label, --expires-in, --expires-at or --no-expiry"
)


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    operation(group, "create")(create)
    operation(group, "list")(list_)
    operation(group, "show")(show)
    operation(group, "update")(update)
    operation(group, "pin")(pin)
    operation(group, "unpin")(unpin)
    operation(group, "hold")(hold)
    operation(group, "release")(release)
    operation(group, "delete")(delete)
    operation(group, "undelete")(undelete)
    operation(group, "verify")(verify)


def create(
    session: Session,
    *,
    description: Annotated[str, typer.Option("--description", "-d", help="What it is for.")] = "",
    label: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="May be repeated.")] = None,
    expires_in: Annotated[
        str | None, typer.Option("--expires-in", metavar="DURATION", help="When it may go: P30D, PT12H.")
    ] = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = DEFAULT_TIMEOUT_S,
    quiet: QuietOption = False,
) -> None:
    """Take a snapshot of the tenant's entities as they are now."""
    document = {"description": description, "labels": labels_given(label or []), "expiresIn": expires_in}
    answer = session.api.post("/v2/snapshots", {name: value for name, value in document.items() if value}, once=True)
    told = answer.json()
    if wait and told["status"] == "creating":
        answer = snapshot_completed(session, session.api, told["id"], timeout_s=timeout, doing="Taking the snapshot")
    elif told["status"] == "failed":
        raise Failed(ExitCode.FAILED, f"snapshot {told['id']} failed; see tidemark snapshots show {told['id']}")
    if quiet and not session.json:
        print_ids([told])
        return
    session.tell(answer, shown.card)


def list_(
    session: Session,
    *,
    status: Annotated[
        str | None, typer.Option(help="creating, completed, failed, restoring, or deleted: the recycle bin.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option("--label", metavar="KEY[=VALUE]", help="May be repeated.")] = None,
    trigger: Annotated[str | None, typer.Option(help="manual, safety, scheduled, ...")] = None,
    schedule: Annotated[str | None, typer.Option(metavar="SCHEDULE", help="Those that this schedule made.")] = None,
    interval: Annotated[str | None, typer.Option(help="hourly, daily, weekly, monthly, or manual.")] = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    limit: LimitOption = 20,
    offset: OffsetOption = 0,
    quiet: QuietOption = False,
) -> None:
    """List snapshots, newest first."""
    answer = session.api.get(
        "/v2/snapshots",
        {
            "status": status,
            "label": ",".join(label) if label else None,
            "trigger": trigger,
            "schedule": schedule,
            "interval": interval,
            "from": since,
            "to": before,
            "limit": limit,
            "offset": offset,
            "options": "count",
        },
    )
    tell_page(session, answer, _listed, offset, quiet=quiet)


def show(session: Session, snapshot: SnapshotArgument) -> None:
    """Show everything that is known about one snapshot."""
    session.tell(session.api.get(path("snapshots", snapshot)), shown.card)


def update(
    session: Session,
    snapshot: SnapshotArgument,
    *,
    description: Annotated[str | None, typer.Option("--description", "-d", help="What it is for.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Add or change; may be repeated.")
    ] = None,
    remove_label: Annotated[
        list[str] | None, typer.Option("--remove-label", metavar="KEY", help="May be repeated.")
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option("--expires-in", metavar="DURATION", help="When it may go, from now on: P30D, PT12H.")
    ] = None,
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", metavar="TIME", help="When it may go: 2026-01-15T10:00:00Z.")
    ] = None,
    no_expiry: Annotated[bool, typer.Option("--no-expiry", help="It may stay for ever.")] = False,
) -> None:
    """Change what is said about a snapshot. What is not named stays as it is, other labels too."""
    if sum([expires_in is not None, expires_at is not None, no_expiry]) > 1:
        raise Failed(ExitCode.USAGE, "give one of --expires-in, --expires-at and --no-expiry")
    wanted: dict[str, Any] = {"description": description, "expiresIn": expires_in, "expiresAt": expires_at}
    change = {name: value for name, value in wanted.items() if value is not None}
    if no_expiry:
        change["expiresAt"] = None
    where = path("snapshots", snapshot)
    if label or remove_label:
        change["labels"] = labels_changed(session, where, label or [], remove_label or [])
    if not change:
        raise Failed(ExitCode.USAGE, _NO_CHANGE)
    session.tell(session.api.patch(where, change), lambda _: None)
    session.note(f"Changed {snapshot}: tidemark snapshots show {snapshot}")


def pin(session: Session, snapshot: SnapshotArgument) -> None:
    """Keep a snapshot: until it is unpinned it is neither deleted nor does it expire."""
    session.tell(session.api.patch(path("snapshots", snapshot), {"pinned": True}), lambda _: None)
    session.note(f"Pinned {snapshot}. To let it go: tidemark snapshots unpin {snapshot}")


def unpin(session: Session, snapshot: SnapshotArgument) -> None:
    """Let a pinned snapshot be deleted again, and expire if it is to."""
    session.tell(session.api.patch(path("snapshots", snapshot), {"pinned": False}), lambda _: None)
    session.note(f"Unpinned {snapshot}.")


def hold(session: Session, snapshot: SnapshotArgument) -> None:
    """Put a snapshot under a legal hold; the key must be made for the action hold."""
    session.tell(session.api.patch(path("snapshots", snapshot), {"legalHold": True}), lambda _: None)
    session.note(f"{snapshot} is under a legal hold. To lift it: tidemark snapshots release {snapshot}")


def release(session: Session, snapshot: SnapshotArgument) -> None:
    """Lift the legal hold of a snapshot; the key must be made for the action hold."""
    session.tell(session.api.patch(path("snapshots", snapshot), {"legalHold": False}), lambda _: None)
    session.note(f"The legal hold of {snapshot} is lifted.")


def delete(session: Session, snapshot: SnapshotArgument) -> None:
    """Put a snapshot into the recycle bin, from where it can be brought back for some days."""
    answer = session.api.delete(path("snapshots", snapshot))
    session.tell(answer, lambda _: None)
    session.note(f"Deleted {snapshot}. To bring it back: tidemark snapshots undelete {snapshot}")


def undelete(session: Session, snapshot: SnapshotArgument) -> None:
    """Bring a deleted snapshot back out of the recycle bin."""
    session.tell(session.api.post(path("snapshots", snapshot, "undelete")), shown.card)


def verify(
    session: Session, snapshot: SnapshotArgument, *, wait: WaitOption = True, timeout: TimeoutOption = DEFAULT_TIMEOUT_S
) -> None:
    """Have every stored byte of a snapshot read back; exit code 1 when something is damaged."""
    where = path("snapshots", snapshot)
    before = session.api.get(where).json().get("verification", {}).get("verifiedAt")
    answer = session.api.post(f"{where}/verify", safe=True)
    goes_on = f"it goes on: tidemark snapshots show {snapshot}"
    if answer.status == 202 and wait:  # noqa: PLR2004 - accepted, not done
        with detached(session, goes_on), waiting_for(session, "Reading the snapshot back"):
            answer = until_over(
                session,
                lambda: session.api.get(where),
                lambda told: told.get("verification", {}).get("verifiedAt", before) != before,
                timeout_s=timeout,
                goes_on=goes_on,
            )
    elif answer.status == 202:  # noqa: PLR2004 - as above
        session.tell(answer, lambda _: None)
        session.note(f"Not waiting; {goes_on}")
        return
    found = answer.json()["verification"]
    session.tell(answer, lambda told: shown.card({"id": told["id"], "verification": told["verification"]}))
    if found["status"] != "passed":
        error = found.get("error", {})
        raise Failed(ExitCode.FAILED, f"snapshot {snapshot} is damaged: {error.get('description', 'see above')}")


def print_ids(documents: Sequence[Any]) -> None:
    """The ids alone, for a script."""
    for one in documents:
        sys.stdout.write(f"{one['id']}\n")


def tell_page(
    session: Session, answer: Answer, render: Callable[[Any], RenderableType], offset: int, *, quiet: bool = False
) -> None:
    """Show a page of a list, or the ids on it alone, and how to go on where it is not all there is."""
    if quiet and not session.json:
        print_ids(answer.json())
        return
    session.tell(answer, render)
    note_more(session, answer.headers.get(COUNT_HEADER), offset, len(answer.json()))


def note_more(session: Session, total: str | None, offset: int, shown_count: int) -> None:
    """Say how to go on where a page is not all there is."""
    end = offset + shown_count
    if total is not None and total.isdecimal() and end < int(total) and not session.json:
        session.note(f"{shown_count} of {total}; for more: --offset {end}")


def _listed(documents: Any) -> RenderableType:  # noqa: ANN401 - an answer
    return shown.table(
        _COLUMNS,
        [
            (
                one["id"],
                one["entityCount"],
                _standing(one),
                one.get("interval", ""),
                one["description"],
                one.get("labels", ""),
            )
            for one in documents
        ],
        right=("entities",),
    )


def _standing(one: Any) -> str:  # noqa: ANN401 - a part of an answer
    """Its status, and what keeps it from being deleted."""
    kept = {"pinned": "pinned", "legalHold": "held"}
    return ", ".join([one["status"], *(told for name, told in kept.items() if one.get(name))])


def labels_given(given: Sequence[str]) -> dict[str, str]:
    """The labels of options. Raises Failed for one that is none."""
    labels = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not key or not equals:
            raise Failed(ExitCode.USAGE, f"--label {one}: write it as KEY=VALUE")
        labels[key] = value
    return labels


def labels_changed(session: Session, where: str, given: Sequence[str], removed: Sequence[str]) -> dict[str, str]:
    """All labels of what is at a path, with some changed: the service takes them together. Raises Failed."""
    labels = labels_given(given)
    held = session.api.get(where).json().get("labels", {})
    return {key: held[key] for key in held if key not in removed} | labels

"""`tidemark snapshots restore`: show what it would do, ask, do exactly that, and show how far it is."""

from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Final

import typer

from tidemark_cli.api import path
from tidemark_cli.failures import ExitCode, Failed, Refused
from tidemark_cli.plans import counts, planned
from tidemark_cli.sending import Answer
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import SnapshotArgument
from tidemark_cli.waiting import (
    DEFAULT_TIMEOUT_S,
    TimeoutOption,
    WaitOption,
    failure_of,
    follow_plan,
    follow_restore,
    in_tenant,
    is_counting,
    waiting_for,
)

# So often a plan is made anew, since writers may have moved the data before it could be carried out.
_PLANS: Final = 3
_NAMED: Final = 5
_CHANGES: Final = ("created", "updated", "deleted")
_PANEL: Final = "What is restored (everything that is given must hold)"


class Mode(StrEnum):
    """What becomes of selected entities that the snapshot does not have: they go, or they stay."""

    REPLACE = "replace"
    MERGE = "merge"


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    operation(group, "restore")(restore)


def restore(
    session: Session,
    snapshot: SnapshotArgument,
    *,
    entity_type: Annotated[
        list[str] | None, typer.Option("--type", help="Type; may be repeated.", rich_help_panel=_PANEL)
    ] = None,
    type_pattern: Annotated[
        str | None, typer.Option("--type-pattern", metavar="REGEX", help="Pattern of types.", rich_help_panel=_PANEL)
    ] = None,
    entity_id: Annotated[
        list[str] | None, typer.Option("--id", help="Entity id; may be repeated.", rich_help_panel=_PANEL)
    ] = None,
    id_pattern: Annotated[
        str | None, typer.Option("--id-pattern", metavar="REGEX", help="Pattern of ids.", rich_help_panel=_PANEL)
    ] = None,
    query: Annotated[
        str | None,
        typer.Option("--q", metavar="QUERY", help="NGSIv2 query, such as temperature>40.", rich_help_panel=_PANEL),
    ] = None,
    attrs: Annotated[
        str | None, typer.Option("--attrs", metavar="A,B", help="These attributes alone.", rich_help_panel=_PANEL)
    ] = None,
    mode: Annotated[
        Mode, typer.Option("--mode", help="replace deletes what the snapshot does not have, merge keeps it.")
    ] = Mode.REPLACE,
    into: Annotated[str | None, typer.Option("--into", metavar="TENANT", help="Into another tenant.")] = None,
    safety: Annotated[
        bool, typer.Option("--safety-snapshot/--no-safety-snapshot", help="Keep what is replaced as a snapshot.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would do, and do nothing.")] = False,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan/--no-plan",
            help="Restore by the plan that was shown, or whatever is live: for tenants that are written to all the "
            "time.",
        ),
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: WaitOption = True,
    timeout: TimeoutOption = DEFAULT_TIMEOUT_S,
) -> None:
    """Put the entities back to a snapshot: all of them, or a part.

    The plan is shown first: how many entities would be created, updated and deleted. What is restored is that plan.
    """
    if not (yes or dry_run or session.around.interactive()):
        raise Failed(ExitCode.USAGE, "nobody is there to confirm the restore; say --yes to restore without asking")
    chosen: dict[str, Any] = {
        "type": ",".join(entity_type) if entity_type else None,
        "typePattern": type_pattern,
        "id": ",".join(entity_id) if entity_id else None,
        "idPattern": id_pattern,
        "q": query,
        "attrs": None if attrs is None else [name for name in attrs.split(",") if name],
    }
    wish: dict[str, Any] = {"mode": mode.value}
    if selection := {name: value for name, value in chosen.items() if value is not None}:
        wish["filter"] = selection
    if into is not None:
        wish["target"] = {"service": into}
    if dry_run:
        session.tell(_plan(session, snapshot, wish, limit=20, timeout_s=timeout if wait else None), planned)
        return
    there = in_tenant(session, into)
    try:
        if plan:
            begun = _by_plan(session, snapshot, wish, safety=safety, yes=yes, timeout_s=timeout)
        else:
            begun = _at_once(session, snapshot, wish, safety, yes)
    except Refused as refused:
        if "/restores/" not in (refused.location or ""):
            raise
        # It ends in the command that follows the restore that is in the way, which is one into the same tenant.
        raise Failed(refused.code, f"{refused.message}{there}") from refused
    if begun is None:
        return
    if not wait:
        session.tell(begun, lambda told: f"Restore {told['restoreId']} has begun.")
        session.note(f"Follow it with: tidemark restores watch {begun.json()['restoreId']}{there}")
        return
    finish(session, begun.json()["restoreId"], tenant=into, timeout_s=timeout)


def finish(session: Session, restore_id: str, *, tenant: str | None, timeout_s: float) -> None:
    """Follow a restore of a tenant to its end, and tell it. Raises Failed unless it is completed."""
    answer = follow_restore(session, session.api.of(tenant), restore_id, timeout_s=timeout_s)
    session.tell(answer, lambda told: _outcome(told, in_tenant(session, tenant)))
    told = answer.json()
    if told["status"] == "failed":
        raise Failed(ExitCode.FAILED, f"restore {restore_id} failed: {failure_of(told)}")
    if told["status"] == "cancelled":
        raise Failed(ExitCode.FAILED, f"restore {restore_id} was cancelled; nothing was changed")


def _plan(session: Session, snapshot: str, wish: dict[str, Any], *, limit: int, timeout_s: float | None) -> Answer:
    """A plan. One that takes longer than its request is waited for, unless there is no timeout. Raises Failed."""
    with waiting_for(session, "Comparing the snapshot with what is live"):
        answer = session.api.post(
            path("snapshots", snapshot, "restore"), {**wish, "dryRun": True}, {"limit": limit}, safe=True
        )
    if timeout_s is None or not is_counting(answer.json()):
        return answer
    return follow_plan(session, answer.json()["plan"], limit=limit, timeout_s=timeout_s)


def _by_plan(
    session: Session,
    snapshot: str,
    wish: dict[str, Any],
    *,
    safety: bool,
    yes: bool,
    timeout_s: float,
) -> Answer | None:
    """The restore, begun by a plan that was shown and confirmed; None when there is nothing to do."""
    # A filter that selects nothing comes to no plan.
    alike = "All that is selected" if "filter" in wish else "Everything"
    outdated = ""
    for left in reversed(range(_PLANS)):
        answer = _plan(session, snapshot, wish, limit=_NAMED, timeout_s=timeout_s)
        found = answer.json()
        if outdated:
            session.note(f"{outdated}. This is the plan now.")
        if not any(found["changes"][name] for name in _CHANGES):
            session.tell(answer, lambda _: f"{alike} is as in the snapshot already: nothing was restored.")
            return None
        session.note(planned(found))
        _confirm(f"Restore {snapshot} by this plan?", yes=yes)
        try:
            return session.api.post(
                path("snapshots", snapshot, "restore"), {"plan": found["plan"], "safetySnapshot": safety}, once=True
            )
        except Refused as refused:
            # Something that is in the way is named; without that, it is the plan that does not hold any more.
            if refused.status != HTTPStatus.CONFLICT or refused.location is not None:
                raise
            if not left:
                raise Failed(
                    ExitCode.CONFLICT,
                    f"{refused.message}; entities are written faster than plans can be carried out: "
                    "--no-plan restores whatever is live at its cutover",
                ) from refused
            outdated = refused.message
    raise AssertionError("the last plan is carried out or refused")


def _at_once(session: Session, snapshot: str, wish: dict[str, Any], safety: bool, yes: bool) -> Answer:  # noqa: FBT001 - as the options are
    what = "the selected entities" if "filter" in wish else "all entities"
    where = f" of {wish['target']['service']}" if "target" in wish else ""
    _confirm(f"Restore {what}{where} from {snapshot}, without a plan?", yes=yes)
    return session.api.post(path("snapshots", snapshot, "restore"), {**wish, "safetySnapshot": safety}, once=True)


def _confirm(question: str, *, yes: bool) -> None:
    if not yes and not typer.confirm(question, err=True):
        raise Failed(ExitCode.FAILED, "nothing was restored")


def _outcome(told: Any, there: str) -> str:  # noqa: ANN401 - an answer
    said = [f"Restore {told['id']} of {told['snapshotId']} is {told['status']}."]
    if "changes" in told:
        said.append(f"Entities: {counts(told['changes'])}.")
    if safety := told.get("safetySnapshotId"):
        said.append(f"What was replaced is {safety}; to undo: tidemark snapshots restore {safety}{there}")
    return "\n".join(said)

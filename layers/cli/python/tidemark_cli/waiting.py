"""Following what goes on in the service until it is over: snapshots, copies, imports, plans, and restores phase by
phase.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from tidemark_cli.api import Api, path
from tidemark_cli.failures import ExitCode, Failed
from tidemark_cli.sending import Answer
from tidemark_cli.session import Session
from tidemark_cli.shown import clean

INTERRUPTED: Final = 130
_FIRST_PAUSE_S: Final = 0.4
_GROWTH: Final = 1.4
_LONGEST_PAUSE_S: Final = 3.0
_WHOLE: Final = 100

WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is over.")]
TimeoutOption = Annotated[int, typer.Option("--timeout", min=1, metavar="SECONDS", help="Wait no longer than this.")]
DEFAULT_TIMEOUT_S: Final = 3600


def until_over(
    session: Session, read: Callable[[], Answer], over: Callable[[Any], bool], *, timeout_s: float, goes_on: str
) -> Answer:
    """The first answer that is `over`. `goes_on` says what becomes of it when we stop waiting.

    Raises Failed when it takes longer than the timeout.
    """
    around = session.around
    deadline_s, pause_s = around.monotonic_s() + timeout_s, _FIRST_PAUSE_S
    while True:
        answer = read()
        if over(answer.json()):
            return answer
        left_s = deadline_s - around.monotonic_s()
        if left_s <= 0:
            raise Failed(ExitCode.UNAVAILABLE, f"it is not over after {timeout_s:.0f} s; {goes_on}")
        around.sleep(min(pause_s, left_s))
        pause_s = min(_LONGEST_PAUSE_S, pause_s * _GROWTH)


def snapshot_completed(session: Session, api: Api, snapshot_id: str, *, timeout_s: float, doing: str) -> Answer:
    """A snapshot, once it is completed. Raises Failed when it fails."""
    where, goes_on = path("snapshots", snapshot_id), f"it goes on: tidemark snapshots show {snapshot_id}"
    goes_on += in_tenant(session, api.tenant)
    with detached(session, goes_on), waiting_for(session, doing):
        answer = until_over(
            session,
            lambda: api.get(where),
            lambda told: told["status"] != "creating",
            timeout_s=timeout_s,
            goes_on=goes_on,
        )
    told = answer.json()
    if told["status"] == "failed":
        raise Failed(ExitCode.FAILED, f"snapshot {snapshot_id} failed: {failure_of(told)}")
    return answer


def in_tenant(session: Session, tenant: str | None) -> str:
    """What a command that is told to people needs besides, where it is about another tenant than this one."""
    return "" if tenant in {None, session.api.tenant} else f" --tenant {tenant}"


def failure_of(document: Any) -> str:  # noqa: ANN401 - an answer
    """Why a snapshot or restore failed, as it says."""
    error = document.get("error") or {}
    return f"{error.get('description', 'it gives no reason')} ({error.get('code', 'unknown')})"


@contextmanager
def detached(session: Session, goes_on: str) -> Iterator[None]:
    """Ctrl-C ends the watching alone, and says so."""
    try:
        yield
    except KeyboardInterrupt:
        session.note(f"Stopped watching; {goes_on}")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def waiting_for(session: Session, doing: str) -> Iterator[None]:
    """Show that something is going on, where somebody looks."""
    console = session.errors
    if not console.is_terminal:
        yield
        return
    with console.status(clean(doing)):
        yield


@dataclass
class RestoreProgress:
    """How far a restore is, as it is shown: the percentage and the number of entities never go back."""

    percent: int = 0
    done: int = 0
    total: int = 0
    phase: str = ""
    seen: list[str] = field(default_factory=list)

    def update(self, told: Any) -> list[str]:  # noqa: ANN401 - an answer
        """Take in an answer; the phases that have ended since the last one, each with how long it took."""
        self.percent = max(self.percent, told.get("percent", 0))
        self.done = max(self.done, told.get("done", 0))
        self.total = max(self.total, told.get("total", 0))
        self.phase = told.get("phase", self.phase)
        starts = [(one["phase"], _moment(one["startedAt"])) for one in told.get("phases", [])]
        ends = [moment for _, moment in starts[1:]]
        if told.get("status") != "restoring" and "finishedAt" in told:
            ends.append(_moment(told["finishedAt"]))
        ended = [
            f"{phase} {(end - start).total_seconds():.1f} s" for (phase, start), end in zip(starts, ends, strict=False)
        ]
        new = ended[len(self.seen) :]
        self.seen += new
        return new


def follow_restore(session: Session, api: Api, restore_id: str, *, timeout_s: float) -> Answer:
    """A restore, once it is over, with its progress shown on the way. Raises Failed when it takes too long."""
    where, progress = path("restores", restore_id), RestoreProgress()
    there = in_tenant(session, api.tenant)
    goes_on = f"it goes on; follow it with tidemark restores watch {restore_id}{there}, end it with restores cancel"
    console = session.errors
    with detached(session, goes_on), _bar(console) as bar:
        task = None if bar is None else bar.add_task("Restore", total=_WHOLE, entities="")

        def read() -> Answer:
            answer = api.get(where)
            for line in progress.update(answer.json()):
                (bar.console if bar else console).print(f"  {clean(line)}")
            if bar is not None and task is not None:
                bar.update(
                    task,
                    completed=progress.percent,
                    description=clean(progress.phase),
                    entities=f"{progress.done:,} of {progress.total:,} entities",
                )
            return answer

        return until_over(
            session, read, lambda told: told["status"] != "restoring", timeout_s=timeout_s, goes_on=goes_on
        )


def is_counting(plan: Any) -> bool:  # noqa: ANN401 - an answer
    """Whether the dry run that makes the plan goes on."""
    return bool(plan.get("status") == "counting")


def follow_plan(session: Session, plan_id: str, *, limit: int, timeout_s: float) -> Answer:
    """A plan, once it is made, with how far it is shown on the way. Raises Failed when there will be none, or it takes
    too long.
    """
    where, goes_on = path("plans", plan_id), f"it goes on: tidemark plans show {plan_id}"
    with detached(session, goes_on), _bar(session.errors) as bar:
        task = None if bar is None else bar.add_task("Comparing with what is live", total=_WHOLE, entities="")

        def read() -> Answer:
            answer = session.api.get(where, {"limit": limit})
            if bar is not None and task is not None:
                bar.update(task, completed=answer.json().get("percent", _WHOLE))
            return answer

        answer = until_over(session, read, lambda told: not is_counting(told), timeout_s=timeout_s, goes_on=goes_on)
    told = answer.json()
    if told["status"] == "failed":
        raise Failed(ExitCode.FAILED, f"plan {plan_id} could not be made: {failure_of(told)}")
    return answer


@contextmanager
def _bar(console: Console) -> Iterator[Progress | None]:
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[entities]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        yield bar


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)

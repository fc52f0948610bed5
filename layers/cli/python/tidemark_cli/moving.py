"""Pieces moved to and from addresses that carry their own permission, many side by side, and how far that is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from tidemark_cli.api import FIRST_PAUSE_S, TRIES, refusal
from tidemark_cli.failures import ExitCode, Failed, Unreachable
from tidemark_cli.sending import Answer
from tidemark_cli.session import Session


def each[T](items: Sequence[T], work: Callable[[T], None], at_once: int) -> None:
    """Do it for each, some at a time; the first failure ends it."""
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def bar(console: Console, total_bytes: int, what: str = "Files") -> Iterator[Callable[[int], None]]:
    """A function to call with the size of what has been moved; shown where somebody looks."""
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as shown:
        task = shown.add_task(what, total=total_bytes)
        yield lambda count: shown.advance(task, count)


def put(session: Session, what: str, body: bytes, url: str, renew: Callable[[str], str]) -> None:
    """Send a piece to its address; see `at_address`. Raises Failed."""
    answer = at_address(session, "PUT", url, renew, body=body)
    if isinstance(answer, Unreachable):
        raise Failed(ExitCode.UNAVAILABLE, f"{what} could not be sent: {answer.reason}")
    if answer.status != HTTPStatus.OK:
        raise refusal(answer)


def at_address(
    session: Session,
    method: str,
    url: str,
    renew: Callable[[str], str],
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer | Unreachable:
    """What an address answers, or why it does not, after as many tries as may help.

    `renew` gives the address that there is instead of one that is refused, and may raise to stop.
    """
    outcome: Answer | Unreachable
    for attempt in range(TRIES):
        try:
            outcome = session.around.sender.send(method, url, headers or {}, body)
        except Unreachable as error:
            outcome = error
        else:
            if outcome.status == HTTPStatus.FORBIDDEN:
                # S3 says so of an address whose time is over.
                url = renew(url)
                continue
            if outcome.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                break
        session.around.sleep(FIRST_PAUSE_S * 2**attempt)
    return outcome

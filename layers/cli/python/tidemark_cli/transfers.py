"""`tidemark snapshots copy`, `export` and `import`: snapshots that leave, arrive, or go to another tenant.

Files go to and from addresses that the service gives out, which carry their own permission: no key is sent to them.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Final

import typer

from tidemark_cli import shown
from tidemark_cli.api import FIRST_PAUSE_S, TRIES, Api, path
from tidemark_cli.failures import ExitCode, Failed, Unreachable
from tidemark_cli.moving import bar, each, put
from tidemark_cli.sending import Answer
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import QuietOption, SnapshotArgument, print_ids
from tidemark_cli.waiting import (
    DEFAULT_TIMEOUT_S,
    TimeoutOption,
    WaitOption,
    detached,
    snapshot_completed,
    until_over,
    waiting_for,
)

MANIFEST: Final = "manifest.json"
_AT_ONCE: Final = 4
_PAGE: Final = 500
_CHUNK_BYTES: Final = 1024 * 1024
# What is about one answer and not about the snapshot.
_FLEETING: Final = ("expiresAt", "url")


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    operation(group, "copy")(copy)
    operation(group, "export")(export)
    operation(group, "import")(import_)


def copy(
    session: Session,
    snapshot: SnapshotArgument,
    *,
    into: Annotated[str, typer.Option("--into", metavar="TENANT", help="Whose the copy will be.")],
    description: Annotated[str, typer.Option("--description", "-d", help="What it is for.")] = "",
    wait: WaitOption = True,
    timeout: TimeoutOption = DEFAULT_TIMEOUT_S,
    quiet: QuietOption = False,
) -> None:
    """Copy a snapshot to another tenant, or within one. The key must hold both."""
    wanted = {"service": into, **({"description": description} if description else {})}
    answer = session.api.post(path("snapshots", snapshot, "copy"), wanted, once=True)
    _arrived(session, session.api.of(into), answer, "Copying", wait=wait, timeout_s=timeout, quiet=quiet)


def export(
    session: Session,
    snapshot: SnapshotArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go; made if need be.")],
    *,
    timeout: TimeoutOption = DEFAULT_TIMEOUT_S,
) -> None:
    """Export a snapshot: plain zstd NDJSON files and a manifest with their checksums and one digest of all.

    An export that was cut off goes on where it stopped.
    """
    manifest = _manifest(session, snapshot, timeout)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _download_all(session, snapshot, manifest, directory)
        for one in (manifest, *manifest["parts"]):
            for name in _FLEETING:
                one.pop(name, None)
        text = json.dumps(manifest, indent=2) + "\n"
        (directory / MANIFEST).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failed(ExitCode.FAILED, f"{error.filename or directory}: {error.strerror}") from error
    whole = Answer(HTTPStatus.OK, {}, json.dumps(manifest).encode())
    size = sum(part["sizeBytes"] for part in manifest["parts"])
    session.tell(
        whole,
        lambda told: (
            f"{told['records']:,} entities, {shown.size(size)}, in {len(told['parts'])} files in {directory}; "
            f"digest {told['digest']}"
        ),
    )


def import_(
    session: Session,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="Directory of an export, or a file of NGSIv2 entities: NDJSON or a JSON array, plain, gzip or zstd.",
        ),
    ],
    *,
    description: Annotated[str, typer.Option("--description", "-d", help="What it is for.")] = "",
    service_path: Annotated[
        str | None, typer.Option(help="Service path of entities that do not name one (default: /).")
    ] = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = DEFAULT_TIMEOUT_S,
    quiet: QuietOption = False,
) -> None:
    """Bring in a snapshot: an export, or entities from a file; all or nothing."""
    files, wanted = _files_of(source)
    if description:
        wanted["description"] = description
    if service_path is not None:
        wanted["servicePath"] = service_path
    opened = session.api.post("/v2/snapshots/import", wanted, once=True).json()
    with bar(session.errors, sum(one["sizeBytes"] for one in opened["files"])) as arrived:
        addresses = _Addresses(session, opened)
        parts = list(_parts(files, opened["files"]))
        each(parts, lambda part: _upload(session, part, addresses, arrived), _AT_ONCE)
    answer = session.api.post(path("snapshots", opened["id"], "import"), safe=True)
    _arrived(session, session.api, answer, "Importing", wait=wait, timeout_s=timeout, quiet=quiet)


def _arrived(
    session: Session, api: Api, answer: Answer, doing: str, *, wait: bool, timeout_s: float, quiet: bool
) -> None:
    """Tell of a snapshot that is being made, once it is completed where that is waited for."""
    snapshot_id = answer.json()["id"]
    if wait:
        answer = snapshot_completed(session, api, snapshot_id, timeout_s=timeout_s, doing=doing)
    if quiet and not session.json:
        print_ids([answer.json()])
        return
    session.tell(answer, shown.card)


# --- export


def _manifest(session: Session, snapshot: str, timeout_s: float) -> dict[str, Any]:
    """The manifest with all its parts."""
    where = path("snapshots", snapshot, "export")
    doing, goes_on = "Preparing the export", "it goes on; ask again with the same command"
    with detached(session, goes_on), waiting_for(session, doing):
        first = until_over(
            session,
            lambda: session.api.get(where, {"limit": _PAGE}),
            lambda told: "parts" in told,
            timeout_s=timeout_s,
            goes_on=goes_on,
        )
    manifest: dict[str, Any] = first.json()
    while len(manifest["parts"]) < manifest["partCount"]:
        page = session.api.get(where, {"limit": _PAGE, "offset": len(manifest["parts"])}).json()
        if page.get("digest") != manifest["digest"] or not page.get("parts"):
            raise Failed(ExitCode.FAILED, "the export changed while it was listed; run the command again")
        manifest["parts"] += page["parts"]
    return manifest


def _download_all(session: Session, snapshot: str, manifest: dict[str, Any], directory: Path) -> None:
    parts = manifest["parts"]
    with bar(session.errors, sum(part["sizeBytes"] for part in parts)) as arrived:
        each(parts, lambda part: _download(session, snapshot, part, directory, arrived), _AT_ONCE)


def _download(
    session: Session, snapshot: str, part: dict[str, Any], directory: Path, arrived: Callable[[int], None]
) -> None:
    name = part["name"]
    if Path(name).name != name or name in {"", ".", "..", MANIFEST}:
        raise Failed(ExitCode.FAILED, f"the service names a file {name[:100]!r}, which can't be written")
    target, unfinished = directory / name, directory / f"{name}.part"
    if target.is_file() and target.stat().st_size == part["sizeBytes"] and _sha256(target) == part["sha256"]:
        arrived(part["sizeBytes"])
        return
    for attempt in range(1, TRIES + 1):
        try:
            status, digest = session.around.sender.download(part["url"], unfinished, arrived)
        except Unreachable as error:
            status, digest, reason = 0, "", error.reason
        else:
            reason = f"its address answers {status}" if status != HTTPStatus.OK else "its bytes are not those announced"
        if status == HTTPStatus.OK and digest == part["sha256"]:
            unfinished.replace(target)
            return
        if status == HTTPStatus.FORBIDDEN:
            break
        session.around.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
    unfinished.unlink(missing_ok=True)
    raise Failed(
        ExitCode.UNAVAILABLE,
        f"{name} could not be fetched: {reason}; run the command again, it goes on: "
        f"tidemark snapshots export {snapshot} {directory}",
    )


def _sha256(path_: Path) -> str:
    with path_.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- import


@dataclass(frozen=True)
class _Part:
    """A piece of a file: the `number`-th, from 0, of the `file`-th."""

    path: Path
    offset: int
    size_bytes: int
    file: int
    number: int


class _Arrived(Exception):
    """A part is there already, and so has no address."""


class _Addresses:
    """Where each part is PUT. Addresses end after a time; then there are new ones of the parts that are missing."""

    def __init__(self, session: Session, opened: dict[str, Any]) -> None:
        self._session = session
        self._import = path("snapshots", opened["id"], "import")
        self._files = opened["files"]
        self._lock = Lock()

    def of(self, part: _Part) -> str:
        """The address of a part. Raises _Arrived."""
        found: str | None = self._files[part.file]["urls"][part.number]
        if found is None:
            raise _Arrived
        return found

    def instead_of(self, refused: str, part: _Part) -> str:
        """The address of a part whose last one is refused. Raises _Arrived."""
        with self._lock:
            if self.of(part) == refused:
                self._files = self._session.api.get(self._import).json()["files"]
            return self.of(part)


def _files_of(source: Path) -> tuple[list[Path], dict[str, Any]]:
    """The files to upload, and what the request says of them. Raises Failed when they are not there as announced."""
    try:
        if not source.is_dir():
            return [source], {"files": [{"name": source.name, "sizeBytes": source.stat().st_size}]}
        manifest = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
        files = [source / Path(part["name"]).name for part in manifest["parts"]]
        for part, file in zip(manifest["parts"], files, strict=True):
            if file.stat().st_size != part["sizeBytes"]:
                raise Failed(ExitCode.FAILED, f"{file} does not have the {part['sizeBytes']} bytes of its manifest")
    except OSError as error:
        raise Failed(ExitCode.NOT_FOUND, f"{error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(ExitCode.FAILED, f"{source / MANIFEST} is not the manifest of an export") from error
    return files, {"manifest": manifest}


def _parts(files: list[Path], opened: list[dict[str, Any]]) -> Iterator[_Part]:
    for index, (file, told) in enumerate(zip(files, opened, strict=True)):
        step = told["partSizeBytes"]
        for number in range(len(told["urls"])):
            yield _Part(file, number * step, min(step, told["sizeBytes"] - number * step), index, number)


def _upload(session: Session, part: _Part, addresses: _Addresses, arrived: Callable[[int], None]) -> None:
    try:
        with part.path.open("rb") as file:
            file.seek(part.offset)
            body = file.read(part.size_bytes)
    except OSError as error:
        raise Failed(ExitCode.FAILED, f"{part.path}: {error.strerror}") from error
    with suppress(_Arrived):
        put(session, str(part.path), body, addresses.of(part), lambda refused: addresses.instead_of(refused, part))
    arrived(part.size_bytes)

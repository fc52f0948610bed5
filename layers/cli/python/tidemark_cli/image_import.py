"""`tidemark volumes import`: a snapshot of a volume from a raw image of any cloud.

Parts go to addresses that the service gives out, which carry their own permission: no key is sent to them. Parts of
zeros are not sent, and holes of the file not even read.
"""

import hashlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, BinaryIO, Final

import typer

from tidemark_cli import areas, shown
from tidemark_cli.areas import EnvironmentOption
from tidemark_cli.failures import ExitCode, Failed
from tidemark_cli.moving import bar, each, put
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import QuietOption
from tidemark_cli.volume_snapshots import follow
from tidemark_cli.waiting import DEFAULT_TIMEOUT_S, TimeoutOption, WaitOption

_AT_ONCE: Final = 4
_PAGE: Final = 500
_GIB: Final = 1024**3


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    operation(group, "import")(import_)


def import_(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A raw image, or a block device.")],
    *,
    name: Annotated[str | None, typer.Option(help="What the snapshot is to be called.")] = None,
    volume: Annotated[
        str | None, typer.Option("--volume", metavar="ID", help="The volume that it is of (default: a new one).")
    ] = None,
    volume_name: Annotated[
        str | None, typer.Option(help="What a new volume is to be called (default: as the file).")
    ] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Of a new volume: ROOT or DATADISK (default).")] = None,
    environment: EnvironmentOption = None,
    resume: Annotated[
        str | None, typer.Option(metavar="SNAPSHOT", help="Go on with an import that was cut off.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="It is raw, even if it looks packed.")] = False,
    wait: WaitOption = True,
    timeout: TimeoutOption = DEFAULT_TIMEOUT_S,
    quiet: QuietOption = False,
) -> None:
    """Make a snapshot of a raw image, in parts side by side. Its last GiB is filled up with zeros."""
    if volume is not None and (volume_name is not None or kind is not None):
        raise Failed(ExitCode.USAGE, "with --volume, name and type are those of that volume")
    size_bytes = _checked(file, packed_too=not raw)
    where = areas.place(environment, "snapshots")
    if resume is None:
        told = {
            "sizeBytes": size_bytes,
            "name": name,
            "volumeId": volume,
            "volume": (volume_name or file.name) if volume is None else None,
            "volumeType": kind,
        }
        document = {member: value for member, value in told.items() if value is not None}
        resume = session.api.post(where, document, {"operation": "import"}, once=True).json()["snapshot"]["id"]
    place = areas.place(environment, "snapshots", resume, "uploads")
    try:
        sent = _sent(session, _Addresses(session, place), file, size_bytes)
        session.note(
            shown.clean(
                f"Sent {shown.size(sent.size_bytes)} of {shown.size(size_bytes)}; the rest is zeros. The volume has "
                f"{-(-size_bytes // _GIB)} GiB."
            )
        )
        begun = session.api.post(place, {"digest": sent.digest}, {"operation": "complete"}, safe=True)
    except Failed as failed:
        if failed.code is ExitCode.NOT_FOUND:
            raise
        raise Failed(failed.code, f"{failed.message}; to go on: {_again(file, resume, environment, raw)}") from failed
    except OSError as error:
        raise Failed(ExitCode.FAILED, f"{file}: {error.strerror}") from error
    follow(session, begun, "Storing the image", wait=wait, timeout_s=timeout, quiet=quiet)


class _Sent:
    """What was sent: the SHA-256 of each part, how many bytes that is, and the digest of the image."""

    def __init__(self) -> None:
        from tidemark.domain.digest import SetDigest  # noqa: PLC0415 - as in `image_export`

        self._lock = Lock()
        self._parts: dict[int, str] = {}
        self._digest = SetDigest()
        self.size_bytes = 0

    def add(self, number: int, body: bytes, part_bytes: int) -> None:
        """Note a part."""
        from tidemark.domain.blocks import BLOCK_BYTES, ZEROS, digest_of  # noqa: PLC0415 - as in `image_export`

        blocks = []
        for start in range(0, len(body), BLOCK_BYTES):
            block = body[start : start + BLOCK_BYTES].ljust(BLOCK_BYTES, b"\0")
            if block != ZEROS:
                blocks.append(((number * part_bytes + start) // BLOCK_BYTES, hashlib.sha256(block).digest()))
        sha256, digest = hashlib.sha256(body).hexdigest(), digest_of(blocks)
        with self._lock:
            self._parts[number] = sha256
            self._digest.add_hex(digest.hex, digest.count)
            self.size_bytes += len(body)

    @property
    def digest(self) -> str:
        """That of the image."""
        return self._digest.hex

    @property
    def index(self) -> bytes:
        """The list of parts, as `sha256sum` would print it."""
        return "".join(f"{sha256}  {number:08d}\n" for number, sha256 in sorted(self._parts.items())).encode()


class _Addresses:
    """Where each part is PUT. Addresses end after a time; then there are new ones."""

    def __init__(self, session: Session, where: str) -> None:
        self._session = session
        self._where = where
        self._lock = Lock()
        self._pages: dict[int, dict[int, Any]] = {}
        self.told = self._page(0)

    @property
    def index_url(self) -> str:
        """Where the list of parts goes."""
        url: str = self.told["indexUrl"]
        return url

    def part(self, number: int, *, refused: str | None = None) -> Any:  # noqa: ANN401 - a part of an answer
        """What is said of a part; anew, if its address was refused."""
        page = number // _PAGE
        with self._lock:
            if page not in self._pages or self._pages[page][number]["url"] == refused:
                self._page(page)
            return self._pages[page][number]

    def renewed_index_url(self) -> str:
        """Where the list of parts goes, anew."""
        self.told = self._page(0)
        return self.index_url

    def _page(self, page: int) -> Any:  # noqa: ANN401 - an answer
        told = self._session.api.get(self._where, {"limit": _PAGE, "offset": page * _PAGE}).json()["data"]
        self._pages[page] = {one["number"]: one for one in told["parts"]}
        return told


def _sent(session: Session, addresses: _Addresses, file: Path, size_bytes: int) -> _Sent:
    """Send the parts that are not zeros, and then the list of them."""
    if addresses.told["sizeBytes"] != size_bytes:
        raise Failed(
            ExitCode.CONFLICT,
            f"{file} has {size_bytes} bytes, and the import was begun for {addresses.told['sizeBytes']}",
        )
    part_bytes, sent = addresses.told["partBytes"], _Sent()
    with bar(session.errors, size_bytes, "Image") as arrived:

        def send(number: int) -> None:
            with file.open("rb") as opened:
                opened.seek(number * part_bytes)
                body = opened.read(min(part_bytes, size_bytes - number * part_bytes))
            if body.count(0) != len(body):
                part = addresses.part(number)
                if not part["arrived"]:
                    put(
                        session,
                        f"part {number}",
                        body,
                        part["url"],
                        lambda url: addresses.part(number, refused=url)["url"],
                    )
                sent.add(number, body, part_bytes)
            arrived(len(body))

        with file.open("rb") as opened:
            numbers = list(_parts_with_data(opened, size_bytes, part_bytes))
        each(numbers, send, _AT_ONCE)
    put(session, "the list of parts", sent.index, addresses.index_url, lambda _: addresses.renewed_index_url())
    return sent


def _checked(file: Path, *, packed_too: bool) -> int:
    """The size of a file that can be imported. Raises Failed for one that can't, and says what to do."""
    from tidemark.domain.disk_formats import (  # noqa: PLC0415 - as in `image_export`
        HEAD_BYTES,
        TAIL_BYTES,
        other_format,
        packed_format,
    )

    try:
        with file.open("rb") as opened:
            # That of a device is not in what the system says of its name.
            size_bytes = opened.seek(0, os.SEEK_END)
            opened.seek(0)
            head = opened.read(HEAD_BYTES)
            opened.seek(max(0, size_bytes - TAIL_BYTES))
            tail = opened.read(TAIL_BYTES)
    except OSError as error:
        raise Failed(ExitCode.NOT_FOUND, f"{file}: {error.strerror}") from error
    if not size_bytes:
        raise Failed(ExitCode.USAGE, f"{file} is empty")
    why = other_format(file.name, head, tail)
    if why is not None:
        raise Failed(ExitCode.USAGE, why)
    packed = packed_format(head) if packed_too else None
    if packed is not None:
        raise Failed(
            ExitCode.USAGE,
            f"{file} is packed ({packed}), and only a raw image can be imported: unpack it first, or give --raw if a "
            "disk holds just this",
        )
    return size_bytes


def _parts_with_data(file: BinaryIO, size_bytes: int, part_bytes: int) -> Iterator[int]:
    """The parts that are not holes from end to end, in their order; all of them where holes can't be told."""
    last = -1
    for start, end in _extents(file, size_bytes):
        for number in range(max(last + 1, start // part_bytes), -(-end // part_bytes)):
            yield number
            last = number


def _extents(file: BinaryIO, size_bytes: int) -> Iterator[tuple[int, int]]:
    seek_data, seek_hole = getattr(os, "SEEK_DATA", None), getattr(os, "SEEK_HOLE", None)
    if seek_data is None or seek_hole is None:
        yield 0, size_bytes
        return
    end = 0
    while end < size_bytes:
        try:
            start = os.lseek(file.fileno(), end, seek_data)
            end = os.lseek(file.fileno(), start, seek_hole)
        except OSError:
            # Nothing but a hole is left; or, at the beginning, a file system or device that knows no holes.
            if end == 0 and not _all_hole(file, seek_hole):
                yield 0, size_bytes
            return
        yield start, min(end, size_bytes)


def _all_hole(file: BinaryIO, seek_hole: int) -> bool:
    try:
        return os.lseek(file.fileno(), 0, seek_hole) == 0
    except OSError:
        return False


def _again(file: Path, snapshot: str, environment: str | None, raw: bool) -> str:  # noqa: FBT001 - a flag of the command
    command = ["tidemark", "volumes", "import", str(file), "--resume", snapshot, "--environment", environment or ""]
    return shlex.join([*command, *(["--raw"] if raw else [])])

"""`tidemark volumes export`: the image of a volume's snapshot, as a sparse raw file.

What reads a stored image is the service's own code, which is imported only here, and only when it is needed; it needs
neither AWS's packages nor a right but the addresses that the service gives out.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import batched
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

import typer

from tidemark_cli import areas, shown
from tidemark_cli.areas import EnvironmentOption
from tidemark_cli.failures import ExitCode, Failed, Unreachable
from tidemark_cli.moving import at_address, bar, each
from tidemark_cli.sending import Answer
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import SnapshotArgument

if TYPE_CHECKING:
    from tidemark.domain.manifest import Manifest
    from tidemark.engine.blocks.layers import Located

_FORMAT: Final = ("tidemark-image", 1)
_AT_ONCE: Final = 8
_PAGE: Final = 500
# What one worker reads and writes at a time, and what it leaves out of that where it is zeros.
_BLOCKS_A_JOB: Final = 32
_HOLE_BYTES: Final = 64 * 1024
_DIGITS: Final = 12


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    operation(group, "export")(export)


def export(
    session: Session,
    snapshot: SnapshotArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the raw image goes.")],
    *,
    environment: EnvironmentOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write the image of a snapshot to a raw file: sparse, and every block of it verified.

    The file has its name only once it is whole. An export that was cut off goes on where it stopped.
    """
    if file.exists() and not (force and file.is_file()):
        raise Failed(ExitCode.CONFLICT, f"{file} is there; give another name, or --force to write over a file")
    stored = _Addresses(session, areas.place(environment, "snapshots", snapshot, "image"))
    if (stored.told["format"], stored.told["version"]) != _FORMAT:
        raise Failed(ExitCode.FAILED, "the image is of a format that this command can't read; use a newer one")
    image: dict[str, Any] = {name: stored.told[name] for name in ("snapshotId", "sizeBytes", "blocks", "digest")}
    try:
        _written(session, stored, image, file)
    except OSError as error:
        raise Failed(ExitCode.FAILED, f"{error.filename or file}: {error.strerror}") from error
    except ImportError as error:
        raise Failed(
            ExitCode.FAILED,
            f"images are read with the package {error.name}: install tidemark with its extra 'images', as in "
            "pip install '.[images]'",
        ) from error
    session.tell(
        Answer(HTTPStatus.OK, {}, json.dumps({**image, "file": str(file)}).encode()),
        lambda told: (
            f"{shown.size(told['sizeBytes'])} image in {file}, {told['blocks']:,} blocks of it not zeros; digest "
            f"{told['digest']}"
        ),
    )


def _written(session: Session, stored: "_Addresses", image: dict[str, Any], file: Path) -> None:
    from tidemark import errors  # noqa: PLC0415 - see the module
    from tidemark.domain.blocks import BLOCK_BYTES  # noqa: PLC0415 - see the module
    from tidemark.engine.blocks.layers import map_of  # noqa: PLC0415 - see the module

    try:
        manifest = _manifest(stored, image)
        unfinished = _Unfinished.of(file, image)
        with bar(session.errors, image["blocks"] * BLOCK_BYTES, "Blocks") as arrived:
            for shard in manifest.shards:
                jobs = list(batched(map_of(_Reading(stored), shard).values(), _BLOCKS_A_JOB, strict=False))
                each(jobs, lambda some: unfinished.write(stored, some, arrived), _AT_ONCE)
        if unfinished.blocks != image["blocks"]:
            raise Failed(ExitCode.FAILED, f"the image has {image['blocks']} blocks, of which {unfinished.blocks} came")
        unfinished.finish()
    except errors.TidemarkError as error:
        # What is stored is damaged: trying again would not help.
        raise Failed(ExitCode.FAILED, error.message) from error


def _manifest(stored: "_Addresses", image: dict[str, Any]) -> "Manifest":
    """The manifest, which must be that of the image that was told of."""
    from tidemark.domain.snapshot import ManifestRef  # noqa: PLC0415 - see the module
    from tidemark.engine import manifests  # noqa: PLC0415 - see the module

    told = stored.told["manifest"]
    manifest = manifests.read(stored, ManifestRef(told["key"], told["sizeBytes"], told["sha256"]))
    size_bytes = None if manifest.image is None else manifest.image.size_bytes
    if (manifest.digest, size_bytes, manifest.records) != (image["digest"], image["sizeBytes"], image["blocks"]):
        raise Failed(ExitCode.FAILED, "the manifest is that of another image than the service told of")
    stored.number([pack.key for pack in manifest.packs])
    return manifest


@dataclass
class _Unfinished:
    """The file while it is written. Its name has the image's digest, so that none is finished with another's blocks.

    `resumed`: it was there before, and what it holds is as good as its checksum says.
    """

    path: Path
    target: Path
    size_bytes: int
    resumed: bool
    blocks: int = 0
    _lock: Lock = field(default_factory=Lock)

    @staticmethod
    def of(target: Path, image: dict[str, Any]) -> "_Unfinished":
        path = target.with_name(f"{target.name}.{image['digest'][:_DIGITS]}.part")
        resumed = path.exists()
        with path.open("r+b" if resumed else "xb") as file:
            # A hole from end to end, where nothing is written yet.
            file.truncate(image["sizeBytes"])
        return _Unfinished(path, target, image["sizeBytes"], resumed)

    def write(self, stored: "_Addresses", wanted: "Iterable[Located]", arrived: Callable[[int], None]) -> None:
        """Write blocks to where they are. Raises PackCorrupt, naming one that is not what it was."""
        from tidemark.domain.blocks import BLOCK_BYTES  # noqa: PLC0415 - see the module
        from tidemark.engine.blocks.layers import read_blocks  # noqa: PLC0415 - see the module

        some = list(wanted)
        with self.path.open("r+b", buffering=0) as file:
            missing = [one for one in some if not (self.resumed and self._holds(file, one))]
            for block in read_blocks(stored, missing):
                self._put(file, block.index * BLOCK_BYTES, block.body or b"")
        with self._lock:
            self.blocks += len(some)
        arrived(len(some) * BLOCK_BYTES)

    def finish(self) -> None:
        """Give the file its name, once it is on the disk."""
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())
        self.path.replace(self.target)

    def _holds(self, file: BinaryIO, located: "Located") -> bool:
        from tidemark.domain.blocks import BLOCK_BYTES  # noqa: PLC0415 - see the module

        file.seek(located.entry.index * BLOCK_BYTES)
        return hashlib.sha256(file.read(BLOCK_BYTES)).digest() == located.sha256

    def _put(self, file: BinaryIO, offset: int, body: bytes) -> None:
        for start in range(0, len(body), _HOLE_BYTES):
            piece = body[start : start + _HOLE_BYTES]
            # Where something was written before, zeros are written over it; else they stay a hole.
            if self.resumed or piece.strip(b"\0"):
                file.seek(offset + start)
                file.write(piece)


class _Reading:
    """What the engine finds blocks with; it reads tables side by side."""

    def __init__(self, stored: "_Addresses") -> None:
        self.payloads = stored
        self.parallel = _Tables()


class _Tables:
    """Calls side by side, in their order."""

    def map[T, R](self, call: Callable[[T], R], items: Iterable[T]) -> list[R]:
        asked = list(items)
        answers: dict[int, R] = {}
        each(range(len(asked)), lambda number: answers.update({number: call(asked[number])}), _AT_ONCE)
        return [answers[number] for number in range(len(asked))]


class _Addresses:
    """Stored objects behind the addresses of an image. Addresses end after a time; then there are new ones.

    `told` is what the service says of the image. No key is sent to an address.
    """

    def __init__(self, session: Session, where: str) -> None:
        self._session = session
        self._where = where
        self._lock = Lock()
        self._numbers: dict[str, int] = {}
        self._pages: dict[int, dict[str, str]] = {}
        self.told: Any = self._page(0)

    def number(self, keys: Iterable[str]) -> None:
        """Learn in which order the addresses of packs come."""
        self._numbers = {key: number for number, key in enumerate(keys)}

    def get(self, key: str) -> bytes:
        return self._read(key, {})

    def get_range(self, key: str, offset: int, length_bytes: int) -> bytes:
        return self._read(key, {"Range": f"bytes={offset}-{offset + length_bytes - 1}"}) if length_bytes else b""

    def _read(self, key: str, headers: dict[str, str]) -> bytes:
        name, url = key.rpartition("/")[2], self._url(key)
        answer = at_address(
            self._session, "GET", url, lambda refused: self._url(key, instead_of=refused), headers=headers
        )
        if isinstance(answer, Unreachable):
            reason = answer.reason
        elif answer.status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            return answer.body
        else:
            reason = f"its address answers {answer.status}"
        raise Failed(
            ExitCode.UNAVAILABLE, f"{name} could not be read: {reason}; run the command again, it goes on where it is"
        )

    def _url(self, key: str, *, instead_of: str | None = None) -> str:
        page = self._numbers.get(key, 0) // _PAGE
        with self._lock:
            if page not in self._pages or self._pages[page].get(key) == instead_of:
                self._page(page)
            return self._pages[page][key]

    def _page(self, page: int) -> Any:  # noqa: ANN401 - an answer
        told = self._session.api.get(self._where, {"limit": _PAGE, "offset": page * _PAGE}).json()["data"]
        self._pages[page] = {one["key"]: one["url"] for one in (told["manifest"], *told["packs"])}
        return told

"""Raw images with a real ext4 file system in them, by e2fsprogs, where a machine has it.

Nothing is mounted, so nobody needs to be root. The same folder gives the same image, byte for byte, if its files have
the same times.

Source: the manual pages of mke2fs(8) (`-d`, `-E`, `-U`, E2FSPROGS_FAKE_TIME), e2fsck(8) (exit codes), debugfs(8).
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

TOOLS = ("mkfs.ext4", "e2fsck", "debugfs")
_PLACES = "/usr/sbin:/sbin:/usr/local/sbin:/opt/homebrew/opt/e2fsprogs/sbin:/usr/local/opt/e2fsprogs/sbin"
_BLOCK_BYTES = 4096
# "Level Entries Logical Physical Length": level and entry of how many, then first and last block, in file and image.
_EXTENT = re.compile(r"^ *\d+/ *\d+ +\d+/ *\d+ +(\d+) - +(\d+) +(\d+) - +\d+ +\d+", re.MULTILINE)
_IDENTITY = "5d3c7a52-6f0e-4b0d-9a51-2f6c1e8b7d40"
_MADE_AT_S = "1768471200"  # 2026-01-15T10:00:00Z


class ToolMissing(Exception):
    """A program of e2fsprogs is not on this machine."""


class ImageError(Exception):
    """An image can't be made, or is not as it should be."""


def missing_tools() -> str | None:
    """What to tell somebody whose machine can't make images; None if it can."""
    missing = [name for name in TOOLS if _find(name) is None]
    if not missing:
        return None
    return f"no {', '.join(missing)} on this machine: install e2fsprogs to have a real ext4 file system in the volume"


def make(image: Path, size_bytes: int, folder: Path) -> None:
    """Make a new sparse image of an ext4 file system that holds a folder's files.

    Raises:
        ToolMissing: this machine has no mkfs.ext4.
        ImageError: it can't be made, as told by mkfs.ext4.
        FileExistsError: there is a file already.
    """
    with image.open("xb") as made:
        made.truncate(size_bytes)
    options = ["-q", "-F", "-b", str(_BLOCK_BYTES), "-L", "tidemark", "-U", _IDENTITY, "-E", f"hash_seed={_IDENTITY}"]
    _run("mkfs.ext4", *options, "-d", str(folder), str(image))


def check(image: Path) -> None:
    """Have e2fsck read the whole file system, changing nothing.

    Raises:
        ToolMissing: this machine has no e2fsck.
        ImageError: it finds a fault, which the message tells.
    """
    _run("e2fsck", "-f", "-n", str(image))


def read(image: Path, name: str) -> bytes:
    """The content of a file in the file system.

    Raises:
        ToolMissing: this machine has no debugfs.
        ImageError: there is no such file, or it is empty.
    """
    _blocks(image, name)
    return _run("debugfs", "-R", f"cat {name}", str(image))


def overwrite(image: Path, name: str, content: bytes) -> None:
    """Write over the first bytes of a file in the file system, in the blocks that it has, as a running system does.

    Raises:
        ToolMissing: this machine has no debugfs.
        ImageError: there is no such file, or it is shorter.
    """
    places = _blocks(image, name)
    with image.open("r+b") as opened:
        for number in range(-(-len(content) // _BLOCK_BYTES)):
            if number not in places:
                raise ImageError(f"{name} has no block {number}: it is too short for {len(content)} bytes")
            part = content[number * _BLOCK_BYTES : (number + 1) * _BLOCK_BYTES]
            os.pwrite(opened.fileno(), part, places[number] * _BLOCK_BYTES)


def _blocks(image: Path, name: str) -> dict[int, int]:
    """Where in the file system each of a file's blocks is: only those of its data, not those of its extents."""
    extents = _EXTENT.findall(_run("debugfs", "-R", f"dump_extents -l {name}", str(image)).decode())
    if not extents:
        raise ImageError(f"there is no file {name} in {image.name}, or it is empty")
    return {
        int(logical) + number: int(physical) + number
        for logical, last, physical in extents
        for number in range(int(last) - int(logical) + 1)
    }


def _find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_PLACES}")


def _run(name: str, *arguments: str) -> bytes:
    program = _find(name)
    if program is None:
        raise ToolMissing(missing_tools() or name)
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "E2FSPROGS_FAKE_TIME": _MADE_AT_S}
    ended = subprocess.run([program, *arguments], capture_output=True, check=False, env=environment)
    if ended.returncode:
        said = (ended.stdout + ended.stderr).decode(errors="replace").strip()
        raise ImageError(f"{name} ended with {ended.returncode}: {said[-2000:]}")
    return ended.stdout

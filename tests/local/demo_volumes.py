"""The demo's disk: a volume with a real file system, snapshots of it, and three ways back that end in the same bytes.

Without e2fsprogs the volume holds random bytes instead, and the story says so.
"""

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.local import ext4, volume_blocks, volumes
from tests.local.city import SEED
from tests.local.demo_client import Client, DemoFailed
from tests.local.demo_story import Step, Story
from tests.local.environments import ENVIRONMENT_NAME, SERVICE_CODE, seed_environment
from tests.local.stack import TEMPLATE, LocalStack
from tests.local.volume_blocks import BLOCK_BYTES, GIB_BYTES

ENVIRONMENT = f"{SERVICE_CODE}/{ENVIRONMENT_NAME}"
# What the changed blocks may cost besides their bytes: what says where each of them is.
ALLOWED = 1.01
_PATH = f"/v1/services/{ENVIRONMENT}"
_STORED = f"volume-images/{ENVIRONMENT}/"
_FILE = "ledger.db"
_FILE_BYTES = 64 * BLOCK_BYTES
_RAW_OFFSET_BYTES = 40 * BLOCK_BYTES  # of the bytes, where there is no file system
_MIB = 1024 * 1024
_POLL_INTERVAL_S = 0.1
_TIMEOUT_S = 120
_COMMAND_TIMEOUT_S = 120
_LAYERS = TEMPLATE.parent / "layers"


class Disk:
    """These steps, with the state that they share. The volume has `size_gib`."""

    def __init__(self, story: Story, stack: LocalStack, key: str, *, size_gib: int = 1) -> None:
        self._story = story
        self._stack = stack
        self._key = key
        self._size_gib = size_gib
        self._blocks = size_gib * GIB_BYTES // BLOCK_BYTES
        self._client = Client(stack.url, {"MC-Api-Key": key})
        self._chance = random.Random(SEED)
        self._missing = ext4.missing_tools()
        self._source = ""

    def play(self) -> None:
        """All of them.

        Raises:
            DemoFailed: something was not as it must be.
        """
        with self._client, tempfile.TemporaryDirectory(dir=volume_blocks.directory()) as place:
            image, exported, restored = (Path(place) / name for name in ("volume.raw", "exported.raw", "restored.raw"))
            volume = self._make(image)
            self._first(volume)
            second = self._second(volume, image)
            new = self._restore(second)
            self._export(second, exported)
            volumes.save(new, restored)
            self._prove({"volume": image, "restored volume": restored, "exported file": exported})

    def _make(self, image: Path) -> dict[str, Any]:
        what = "random bytes" if self._missing else "an ext4 file system"
        with self._story.step(f"Make a volume with {what} in it") as step:
            if self._missing:
                step.tell(self._missing)
                with image.open("xb") as made:
                    made.truncate(self._size_gib * GIB_BYTES)
                self._overwrite(image, _FILE_BYTES)
            else:
                self._format(image)
            seeded = seed_environment(self._stack, size_gib=self._size_gib, image=image)
            self._source = seeded.volume_id
            listed = self._client.expect(200, "GET", f"{_PATH}/volumes").json()["data"]
            [volume] = [one for one in listed if one["id"] == seeded.shown_as]
            step.tell(f"{self._source} is {volume['id']} of {ENVIRONMENT}")
            step.result = f"{volumes.written_blocks(self._source)} of {self._blocks:,} blocks hold something"
        return dict(volume)

    def _format(self, image: Path) -> None:
        folder = image.parent / "files"
        folder.mkdir()
        (folder / "README").write_text("A disk that Tidemark takes snapshots of.\n", encoding="utf-8")
        (folder / _FILE).write_bytes(self._chance.randbytes(_FILE_BYTES))
        ext4.make(image, self._size_gib * GIB_BYTES, folder)

    def _overwrite(self, image: Path, length_bytes: int) -> None:
        """Write new bytes where the file is, as the machine does that has the volume."""
        content = self._chance.randbytes(length_bytes)
        if self._missing:
            with image.open("r+b") as opened:
                os.pwrite(opened.fileno(), content, _RAW_OFFSET_BYTES)
        else:
            ext4.overwrite(image, _FILE, content)

    def _first(self, volume: dict[str, Any]) -> None:
        with self._story.step("Snapshot the volume over HTTP") as step:
            snapshot = self._snapshot(step, volume)
            expected = {"volumeId": volume["id"], "volume": volume["name"], "intervalType": "MANUAL"}
            told = {name: snapshot[name] for name in expected}
            if told != expected:
                raise DemoFailed(f"the snapshot must say {expected}; it says {told}")
            step.result = f"{snapshot['state']}; {_mib(self._stored_bytes())} stored"

    def _second(self, volume: dict[str, Any], image: Path) -> str:
        """Change a hundredth of the blocks; what the next snapshot adds is those."""
        with self._story.step("Change 1 % of its blocks, and snapshot it again") as step:
            before, stored_bytes = volumes.checksums(self._source), self._stored_bytes()
            # Wherever in a block it begins, one more byte than whole blocks less one is in that many.
            self._overwrite(image, (self._blocks // 100 - 1) * BLOCK_BYTES + 1)
            volumes.fill(self._source, image)
            after = volumes.checksums(self._source)
            changed = sum(before.get(index) != after.get(index) for index in before.keys() | after.keys())
            step.tell(f"{changed} of {self._blocks:,} blocks changed, {_mib(changed * BLOCK_BYTES)}")
            snapshot = self._snapshot(step, volume)
            added_bytes = self._stored_bytes() - stored_bytes
            require_no_more(added_bytes, changed)
            step.result = f"{snapshot['state']}; {_mib(added_bytes)} stored for {_mib(changed * BLOCK_BYTES)} changed"
        return str(snapshot["id"])

    def _restore(self, snapshot: str) -> str:
        """A new volume, found in EC2 by what was not there before."""
        with self._story.step("Restore that into a new volume") as step:
            before = self._volumes()
            path = f"{_PATH}/snapshots/{snapshot}?operation=restore"
            made = self._task(step, self._client.expect(202, "POST", path, {"name": "restored"}))
            listed = self._client.expect(200, "GET", f"{_PATH}/volumes/{made['id']}").json()["data"]
            new = self._volumes() - before
            if len(new) != 1 or (listed["name"], listed["sizeInGb"]) != ("restored", self._size_gib):
                raise DemoFailed(
                    f"one volume of {self._size_gib} GiB must be new, 'restored'; new are {sorted(new)}, and {listed}"
                )
            left = self._stack.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
            if left:
                raise DemoFailed(f"no snapshot of EC2 must be left; there is {left[0]['SnapshotId']}")
            step.result = f"{listed['state']}, {listed['sizeInGb']} GiB in {listed['zoneName']}; EC2 keeps no snapshot"
        return new.pop()

    def _export(self, snapshot: str, file: Path) -> None:
        with self._story.step("Export it with the command line, as a raw file") as step:
            command = ["volumes", "export", snapshot, str(file), "--environment", ENVIRONMENT]
            step.tell(f"tidemark volumes export {snapshot} exported.raw")
            self._run(*command)
            found = file.stat()
            if found.st_size != self._size_gib * GIB_BYTES:
                raise DemoFailed(f"the exported file must have {self._size_gib} GiB; it has {found.st_size} bytes")
            # st_blocks counts in 512 bytes, whatever the file system's own blocks are.
            step.result = f"{found.st_size >> 30} GiB, sparse: {_mib(found.st_blocks * 512)} on disk"

    def _prove(self, files: dict[str, Path]) -> None:
        with self._story.step("Compare volume, restored volume and exported file") as step:
            same = require_same(files)
            if self._missing:
                step.tell(f"not looked at by e2fsck: {self._missing}")
            else:
                require_clean(files)
                step.tell("e2fsck -n finds nothing wrong with any of them")
            step.result = f"equal to the last byte: {same[:16]}..."

    def _snapshot(self, step: Step, volume: dict[str, Any]) -> dict[str, Any]:
        """Take a snapshot, and give it as it is when its task is over."""
        answer = self._client.expect(202, "POST", f"{_PATH}/snapshots?operation=create", {"volumeId": volume["id"]})
        made = self._task(step, answer)
        snapshot = self._client.expect(200, "GET", f"{_PATH}/snapshots/{made['id']}").json()["data"]
        if snapshot["state"] != "BackedUp":
            raise DemoFailed(f"the snapshot must be BackedUp; it is {snapshot}")
        step.tell(f"{snapshot['id']}  {snapshot['name']}")
        return dict(snapshot)

    def _task(self, step: Step, answer: Any) -> dict[str, Any]:
        """Poll a task until it is over, telling how it stands; what it made."""
        begun = answer.json()
        step.tell(f"task {begun['taskId']} {begun['taskStatus']}")
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            told = self._client.expect(200, "GET", f"/v1/tasks/{begun['taskId']}").json()
            if told["taskStatus"] != "PENDING":
                break
            if time.monotonic() > deadline:
                raise DemoFailed(f"task {begun['taskId']} is not over after {_TIMEOUT_S} s")
            time.sleep(_POLL_INTERVAL_S)
        if told["taskStatus"] != "SUCCESS":
            raise DemoFailed(f"task {begun['taskId']} must succeed; it says {told}")
        return dict(told["data"]["result"])

    def _run(self, *arguments: str) -> None:
        """One command of the command line, as a shell would run it."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(_LAYERS / name / "python") for name in ("cli", "tidemark")),
            "TIDEMARK_URL": self._stack.url,
            "TIDEMARK_API_KEY": self._key,
        }
        ended = subprocess.run(
            [sys.executable, "-m", "tidemark_cli", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_TIMEOUT_S,
        )
        if ended.returncode:
            raise DemoFailed(f"tidemark {' '.join(arguments)} ended with {ended.returncode}: {ended.stderr[-500:]}")

    def _stored_bytes(self) -> int:
        """What the bucket has of the environment: packs, manifests and all."""
        bucket = self._stack.outputs["BucketName"]
        pages = self._stack.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=_STORED)
        return sum(found["Size"] for page in pages for found in page.get("Contents", ()))

    def _volumes(self) -> set[str]:
        return {one["VolumeId"] for one in self._stack.client("ec2").describe_volumes()["Volumes"]}


def require_no_more(added_bytes: int, changed: int) -> None:
    """What a snapshot added is no more than the blocks that changed, and 1 %.

    Raises:
        DemoFailed: it is, or nothing changed.
    """
    if not changed or added_bytes > changed * BLOCK_BYTES * ALLOWED:
        raise DemoFailed(
            f"{changed} blocks of {BLOCK_BYTES} bytes changed, and the second snapshot stored {added_bytes} bytes: "
            "that must be no more than these blocks and 1 %"
        )


def require_same(files: Mapping[str, Path]) -> str:
    """The digest that all of the images have.

    Raises:
        DemoFailed: they are not equal.
    """
    digests = {what: digest(path) for what, path in files.items()}
    if len(set(digests.values())) != 1:
        raise DemoFailed(f"{', '.join(digests)} must be equal; their digests are {digests}")
    return next(iter(digests.values()))


def require_clean(files: Mapping[str, Path]) -> None:
    """e2fsck reads the whole file system of each image and finds nothing wrong.

    Raises:
        DemoFailed: it does.
    """
    for what, path in files.items():
        try:
            ext4.check(path)
        except ext4.ImageError as error:
            raise DemoFailed(f"the file system of the {what} is damaged: {error}") from error


def digest(image: Path) -> str:
    """SHA-256 of an image's size and of every block that is not all zeros, with its place.

    Two images have the same if and only if they are equal, holes or written zeros; reading the holes of three of them
    would take most of the story's time.
    """
    total = hashlib.sha256(str(image.stat().st_size).encode())
    for index, block in _blocks(image):
        total.update(f" {index} ".encode())
        total.update(hashlib.sha256(block).digest())
    return total.hexdigest()


def _blocks(image: Path) -> Iterator[tuple[int, bytes]]:
    zeros = bytes(BLOCK_BYTES)
    with image.open("rb") as opened:
        for index in volume_blocks.written_blocks(opened.fileno()):
            block = os.pread(opened.fileno(), BLOCK_BYTES, index * BLOCK_BYTES).ljust(BLOCK_BYTES, b"\0")
            if block != zeros:
                yield index, block


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:,.1f} MiB"

"""`tidemark volumes`: images leave as sparse files and come back the same, whatever breaks on the way."""

import contextlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.running import URL, CommandLine, Said
from tests.fakes import ManualClock, MemoryLinks, MemoryPayloads
from tests.fakes.links import LinkExpired
from tests.handlers.volume_api import VolumeApi, in_use
from tests.unit.volumes.backing import REGION, Content, World, body, run
from tests.unit.volumes.examples import TEST_AREA
from tests.unit.volumes.go_client import Asked
from tests.unit.volumes.uploading import HELD, LAST_PART, SIZE_BYTES, TAIL, RawFile, left_of
from tidemark.domain.blocks import BLOCK_BYTES, ZEROS
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState, volume_id
from tidemark_cli import api, image_export, image_import, moving
from tidemark_cli.failures import Unreachable
from tidemark_cli.sending import Answer

FILE = RawFile()
GIB = 1024**3


@dataclass
class Service:
    """The API over a world, and the store behind its addresses. What was begun runs before a task is asked about.

    `breaks` is asked before each request to the store, and may answer in its place or raise.
    """

    world: World
    breaks: Callable[[str, str], Answer | None] = lambda _method, _key: None
    asked: list[tuple[str, str]] = field(default_factory=list)
    stored: list[tuple[str, str]] = field(default_factory=list)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Serve a request."""
        if not url.startswith(URL):
            return self._object(method, url, headers, body)
        where = url.removeprefix(URL)
        self.asked.append((method, where))
        if where.startswith("/v1/tasks/"):
            self.work()
        # What a function prints is its log.
        with contextlib.redirect_stdout(io.StringIO()):
            answered = VolumeApi(self.world).send(Asked(method, where, dict(headers), body or b""))
        return Answer(answered.status, {}, answered.body.encode())

    def download(self, url: str, path: Path, arrived: Callable[[int], None]) -> tuple[int, str]:
        """No file is taken as a whole."""
        del arrived
        raise Unreachable(f"{url} for {path}", sent=False)

    def work(self) -> None:
        """What the state machine does meanwhile."""
        for one in list(self.world.ports.volumes.volume_snapshots(TEST_AREA)):
            if isinstance(one, VolumeSnapshot) and one.running and not one.awaits_upload:
                run(self.world.ports, one.id)

    def _object(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        assert "Authorization" not in headers, "a key was sent to an address"
        links = self.world.ports.links
        assert isinstance(links, MemoryLinks)
        key = urlsplit(url).path[1:]
        self.stored.append((method, key))
        instead = self.breaks(method, key)
        if instead is not None:
            return instead
        try:
            if method == "PUT":
                links.send(url, body or b"")
                return Answer(200, {}, b"")
            held = links.fetch(url)
        except LinkExpired:
            return Answer(403, {}, b"<Error>Request has expired</Error>")
        if "Range" not in headers:
            return Answer(200, {}, held)
        first, last = headers["Range"].removeprefix("bytes=").split("-")
        return Answer(206, {}, held[int(first) : int(last) + 1])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("TIDEMARK_ENVIRONMENT", TEST_AREA)
    with in_use(World(), monkeypatch) as found:
        yield found


@pytest.fixture
def service(world: World) -> Service:
    return Service(world)


@pytest.fixture
def tidemark(service: Service) -> CommandLine:
    return CommandLine(service, key=VolumeApi(service.world).key(), tenant=None)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A sparse raw file."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(SIZE_BYTES)
        for index, held in HELD.items():
            file.seek(index * BLOCK_BYTES)
            file.write(held)
        file.seek(SIZE_BYTES - len(TAIL))
        file.write(TAIL)
    return path


def one_line(said: Said) -> str:
    assert said.err.count("\n") == 1, said
    return said.err


def held(path: Path) -> Content:
    """The blocks of a file that are not zeros, of which it has at least those that are no holes."""
    found, end, size_bytes = {}, 0, path.stat().st_size
    with path.open("rb") as file:
        while end < size_bytes:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            for index in range(start // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
                file.seek(index * BLOCK_BYTES)
                found[index] = file.read(BLOCK_BYTES).ljust(BLOCK_BYTES, b"\0")
    return {index: block for index, block in found.items() if block != ZEROS}


def imported(tidemark: CommandLine, disk: Path, *options: str) -> str:
    """The id of a snapshot that was made of the file."""
    said = tidemark("volumes", "import", str(disk), "--quiet", *options)
    assert said.code == 0, said
    return said.out.strip()


# --- there and back


def test_image_that_was_imported_is_exported_with_the_same_bytes_and_the_same_digest(
    tidemark: CommandLine, service: Service, disk: Path, tmp_path: Path
) -> None:
    snapshot = imported(tidemark, disk)
    target = tmp_path / "again.raw"
    said = tidemark("volumes", "export", snapshot, str(target), "--json")
    assert said.code == 0, said
    assert said.json() == {
        "snapshotId": snapshot,
        "sizeBytes": 3 * GIB,
        "blocks": len(FILE.content),
        "digest": FILE.digest,
        "file": str(target),
    }
    assert {one.name for one in tmp_path.iterdir()} == {"disk.raw", "again.raw"}
    assert target.stat().st_size == 3 * GIB
    # Of the last block, most is zeros.
    assert target.stat().st_blocks * 512 <= (len(FILE.content) - 1) * BLOCK_BYTES + 128 * 1024
    assert held(target) == held(disk) == FILE.content
    again = imported(tidemark, target)
    record = service.world.record(again)
    assert record.image is not None
    assert record.image.digest == FILE.digest
    assert left_of(service.world) == []


def test_export_holds_what_the_volume_held(tidemark: CommandLine, service: Service, tmp_path: Path) -> None:
    world = service.world
    world.take()
    world.change(b7=body("later"), b0=None)
    held = dict(world.held)
    taken = world.take()
    target = tmp_path / "volume.raw"
    said = tidemark("volumes", "export", taken.id, str(target))
    assert (said.code, said.err) == (0, ""), said
    assert f"3.2 GB image in {target}, 2 blocks of it not zeros; digest" in said.out
    with target.open("rb") as file:
        for index in (0, 7, 4100):
            file.seek(index * BLOCK_BYTES)
            assert file.read(BLOCK_BYTES) == held.get(index, bytes(BLOCK_BYTES))
    assert target.stat().st_blocks * 512 <= 2 * BLOCK_BYTES + 64 * 1024


def test_zeros_and_holes_are_not_sent(tidemark: CommandLine, service: Service, disk: Path) -> None:
    with disk.open("r+b") as file:
        # Zeros that are written are none of the file's holes, and are not sent either.
        file.seek(3 * GIB // 2)
        file.write(bytes(BLOCK_BYTES))
    imported(tidemark, disk)
    sent = sorted(key.rpartition("/")[2] for method, key in service.stored if method == "PUT")
    assert sent == ["00000000", f"{LAST_PART:08d}", "index"]


def test_import_says_what_it_sent_and_how_large_the_volume_is(tidemark: CommandLine, disk: Path) -> None:
    said = tidemark("volumes", "import", str(disk), "--name", "from elsewhere", "--type", "ROOT")
    assert said.code == 0, said
    assert "Sent 17.3 MB of 2.1 GB; the rest is zeros. The volume has 3 GiB." in said.err
    assert "from elsewhere" in said.out
    assert "BackedUp" in said.out
    assert "disk.raw" in said.out


def test_import_of_a_volume_that_is_there_stores_what_changed(
    tidemark: CommandLine, service: Service, disk: Path
) -> None:
    world = service.world
    taken = world.take()
    snapshot = imported(tidemark, disk, "--volume", volume_id(REGION, world.source_id))
    record = world.record(snapshot)
    assert (record.parent_id, record.volume_name) == (taken.id, "foo")
    assert world.content(record) == FILE.content


def test_import_that_is_not_waited_for_says_how_to_follow_it(
    tidemark: CommandLine, service: Service, disk: Path
) -> None:
    said = tidemark("volumes", "import", str(disk), "--no-wait")
    assert said.code == 0
    assert "tidemark volumes task" in said.err
    task = said.err.partition("tidemark volumes task ")[2].split()[0]
    done = tidemark("volumes", "task", task, "--wait")
    assert (done.code, "SUCCESS" in done.out) == (0, True)


# --- what breaks on the way


def test_file_has_its_name_only_once_it_is_whole_and_an_export_goes_on_where_it_stopped(
    tidemark: CommandLine, service: Service, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = imported(tidemark, disk)
    target = tmp_path / "again.raw"
    monkeypatch.setattr(image_export, "_AT_ONCE", 1)
    last = max(_packs(service.world))

    def gone(method: str, key: str) -> Answer | None:
        return Answer(404, {}, b"") if method == "GET" and key == last else None

    service.breaks = gone
    said = tidemark("volumes", "export", snapshot, str(target))
    assert said.code == 6
    assert "run the command again" in one_line(said)
    assert not target.exists()
    (unfinished,) = tmp_path.glob("again.raw.*.part")
    assert FILE.digest[:12] in unfinished.name
    with unfinished.open("r+b") as file:
        # As it is where the machine stopped while a block was written.
        file.seek(5 * BLOCK_BYTES + 1000)
        file.write(b"torn")
    service.breaks = lambda _method, _key: None
    service.stored.clear()
    assert tidemark("volumes", "export", snapshot, str(target)).code == 0
    assert held(target) == held(disk) == FILE.content
    assert list(tmp_path.glob("*.part")) == []


def test_export_is_refused_when_the_file_is_there_unless_it_is_to_be_written_over(
    tidemark: CommandLine, disk: Path, tmp_path: Path
) -> None:
    snapshot = imported(tidemark, disk)
    target = tmp_path / "there.raw"
    target.write_bytes(b"mine")
    said = tidemark("volumes", "export", snapshot, str(target))
    assert (said.code, target.read_bytes()) == (4, b"mine")
    assert "--force" in one_line(said)
    assert tidemark("volumes", "export", snapshot, str(target), "--force").code == 0
    assert target.stat().st_size == 3 * GIB


@pytest.mark.parametrize("place", ["frame", "manifest"])
def test_export_names_what_is_damaged_and_leaves_no_file(
    tidemark: CommandLine, service: Service, disk: Path, tmp_path: Path, place: str
) -> None:
    snapshot = imported(tidemark, disk)
    payloads = service.world.ports.payloads
    assert isinstance(payloads, MemoryPayloads)
    record = service.world.record(snapshot)
    assert record.image is not None
    key = record.image.manifest.key if place == "manifest" else min(_packs(service.world))
    altered = bytearray(payloads.objects[key])
    altered[20] ^= 1
    healthy, payloads.objects[key] = payloads.objects[key], bytes(altered)

    # The service itself reads the manifest, too: that is damaged on its way.
    if place == "manifest":
        payloads.objects[key] = healthy
        service.breaks = lambda _method, asked: Answer(200, {}, bytes(altered)) if asked == key else None
    said = tidemark("volumes", "export", snapshot, str(tmp_path / "again.raw"))
    assert said.code == 1
    assert ("manifest" if place == "manifest" else "block 0") in one_line(said)
    assert not (tmp_path / "again.raw").exists()


def test_addresses_that_end_are_exchanged_for_new_ones(
    tidemark: CommandLine, service: Service, disk: Path, tmp_path: Path
) -> None:
    clock = service.world.ports.clock
    assert isinstance(clock, ManualClock)
    late: list[str] = []

    def ends(method: str, key: str) -> None:
        if key not in late and key.endswith((".pack", "00000000", "index")):
            late.append(key)
            clock.advance(4000)

    service.breaks = ends
    snapshot = imported(tidemark, disk)
    assert tidemark("volumes", "export", snapshot, str(tmp_path / "again.raw")).code == 0
    assert len(late) == 4


def test_silence_and_failures_of_the_store_are_tried_again(
    tidemark: CommandLine, service: Service, disk: Path, tmp_path: Path
) -> None:
    seen: dict[str, int] = {}

    def breaks(method: str, key: str) -> Answer | None:
        seen[method + key] = seen.get(method + key, 0) + 1
        if seen[method + key] == 1:
            raise Unreachable("the connection was cut", sent=True)
        return Answer(503, {}, b"") if seen[method + key] == 2 else None

    service.breaks = breaks
    snapshot = imported(tidemark, disk)
    assert tidemark("volumes", "export", snapshot, str(tmp_path / "again.raw")).code == 0
    assert max(seen.values()) > 2


def test_part_that_is_refused_for_good_is_sent_once(tidemark: CommandLine, service: Service, disk: Path) -> None:
    seen = Counter[str]()

    def refuses(method: str, key: str) -> Answer | None:
        seen.update([key] if method == "PUT" else [])
        return Answer(400, {}, b"EntityTooLarge") if method == "PUT" else None

    service.breaks = refuses
    said = tidemark("volumes", "import", str(disk))
    assert (said.code, tidemark.slept_s) == (1, [])
    assert "EntityTooLarge (400)" in one_line(said)
    assert set(seen.values()) == {1}


def test_import_that_was_cut_off_goes_on_and_sends_only_what_is_missing(
    tidemark: CommandLine, service: Service, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "TRIES", 1)
    monkeypatch.setattr(moving, "TRIES", 1)
    monkeypatch.setattr(image_import, "_AT_ONCE", 1)
    last = f"{LAST_PART:08d}"
    service.breaks = lambda _method, key: Answer(500, {}, b"") if key.endswith(last) else None
    said = tidemark("volumes", "import", str(disk))
    assert said.code == 1
    told = one_line(said)
    assert f"tidemark volumes import {disk} --resume" in told
    snapshot = told.partition("--resume ")[2].split()[0]
    assert service.world.record(snapshot).awaits_upload
    service.breaks = lambda _method, _key: None
    service.stored.clear()
    assert imported(tidemark, disk, "--resume", snapshot) == snapshot
    assert sorted(key.rpartition("/")[2] for method, key in service.stored) == [last, "index"]
    assert service.world.content(service.world.record(snapshot)) == FILE.content


def test_import_whose_part_is_missing_in_the_end_says_how_to_go_on(
    tidemark: CommandLine, service: Service, disk: Path
) -> None:
    payloads = service.world.ports.payloads
    assert isinstance(payloads, MemoryPayloads)
    spaced = disk.rename(disk.with_name("a disk.raw"))

    def loses(_method: str, key: str) -> None:
        if key.endswith("index"):
            del payloads.objects[next(one for one in payloads.objects if one.endswith("parts/00000000"))]

    service.breaks = loses
    said = tidemark("volumes", "import", str(spaced), "--raw")
    assert said.code != 0
    told = said.err.splitlines()[-1]
    assert "part 00000000 of the image (blocks 0 to 31) is missing" in told
    assert f"tidemark volumes import '{spaced}' --resume" in told
    assert told.endswith("--environment compute-on/test_area --raw")
    snapshot = told.partition("--resume ")[2].split()[0]
    service.breaks = lambda _method, _key: None
    assert imported(tidemark, spaced, "--resume", snapshot) == snapshot


def test_import_does_not_go_on_with_another_file(tidemark: CommandLine, service: Service, disk: Path) -> None:
    document = {"sizeBytes": 1}
    _, begun = VolumeApi(service.world).call(
        "POST", "/v1/services/compute-on/test_area/snapshots?operation=import", tidemark.key, document
    )
    said = tidemark("volumes", "import", str(disk), "--resume", begun["snapshot"]["id"])
    assert said.code == 4
    assert f"has {SIZE_BYTES} bytes, and the import was begun for 1" in one_line(said)


def test_import_that_is_unknown_is_not_gone_on_with(tidemark: CommandLine, disk: Path) -> None:
    said = tidemark("volumes", "import", str(disk), "--resume", "1bd672f4-b274-4371-a792-b0a6c6778cc7")
    assert (said.code, "to go on" in one_line(said)) == (3, False)


def test_file_that_changes_while_it_is_sent_ends_in_an_error_that_names_the_part(
    tidemark: CommandLine, service: Service, disk: Path
) -> None:
    payloads = service.world.ports.payloads
    assert isinstance(payloads, MemoryPayloads)

    def spoils(method: str, key: str) -> None:
        if key.endswith("index"):
            (part,) = (one for one in payloads.objects if one.endswith("parts/00000000"))
            payloads.objects[part] = payloads.objects[part][:-1] + b"?"

    service.breaks = spoils
    said = tidemark("volumes", "import", str(disk))
    assert said.code == 1
    assert "part 00000000 of the image (blocks 0 to 31)" in said.err
    assert left_of(service.world) == []


# --- what is refused


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"QFI\xfb", "qcow2 image"),
        (b"KDMV", "VMDK image"),
        (b"vhdxfile", "VHDX image"),
        (b"\x1f\x8b\x08", "packed (gzip)"),
        (b"", "is empty"),
    ],
)
def test_file_that_is_not_raw_is_refused_before_anything_is_asked(
    tidemark: CommandLine, service: Service, tmp_path: Path, head: bytes, told: str
) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(head and head.ljust(2048, b"\0"))
    said = tidemark("volumes", "import", str(path))
    assert said.code == 2
    assert told in one_line(said)
    assert "image" not in told or "qemu-img convert -O raw" in said.err
    assert service.asked == []


def test_fixed_vhd_is_known_by_its_end(tidemark: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    path.write_bytes(bytes(4096) + b"conectix".ljust(512, b"\0"))
    assert "VHD image" in one_line(tidemark("volumes", "import", str(path)))


def test_disk_that_holds_what_looks_packed_is_taken_for_raw_when_that_is_said(
    tidemark: CommandLine, service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"PK\x03\x04".ljust(2048, b"\1"))
    assert tidemark("volumes", "import", str(path)).code == 2
    snapshot = imported(tidemark, path, "--raw")
    assert service.world.record(snapshot).state is VolumeSnapshotState.STORED


def test_file_that_is_not_there_and_options_that_do_not_fit_are_told(tidemark: CommandLine, tmp_path: Path) -> None:
    said = tidemark("volumes", "import", str(tmp_path / "none"))
    assert (said.code, "No such file" in one_line(said)) == (3, True)
    said = tidemark("volumes", "import", "x", "--volume", "v", "--volume-name", "n")
    assert (said.code, "--volume" in one_line(said)) == (2, True)
    said = tidemark("volumes", "list", env={"TIDEMARK_ENVIRONMENT": None})
    assert (said.code, "TIDEMARK_ENVIRONMENT" in one_line(said)) == (2, True)
    assert tidemark("volumes", "list", "--environment", "compute-on").code == 2


def test_snapshot_that_is_not_stored_is_not_exported(tidemark: CommandLine, service: Service, tmp_path: Path) -> None:
    said = tidemark("volumes", "export", service.world.ask(), str(tmp_path / "x"))
    assert said.code == 4
    assert "its state is Allocated; it would have to be BackedUp" in one_line(said)
    assert not (tmp_path / "x").exists()


# --- volumes and their snapshots


def test_volumes_and_snapshots_are_listed(tidemark: CommandLine, service: Service) -> None:
    volume = tidemark("volumes", "list", "--quiet").out.strip()
    assert volume == volume_id(REGION, service.world.source_id)
    assert "foo" in tidemark("volumes", "list").out
    made = tidemark("volumes", "snapshots", "create", volume, "--name", "mine", "--quiet")
    assert made.code == 0, made
    snapshot = made.out.strip()
    listed = tidemark("volumes", "snapshots", "list", "--volume", volume)
    assert snapshot in listed.out
    assert "BackedUp" in listed.out
    assert tidemark("volumes", "snapshots", "list", "--json").json()["metadata"] == {"recordCount": 1}
    shown = tidemark("volumes", "snapshots", "get", snapshot)
    assert "mine" in shown.out
    assert tidemark("volumes", "snapshots", "delete", snapshot).code == 0
    assert tidemark("volumes", "snapshots", "list", "--quiet").out == ""
    assert tidemark("volumes", "snapshots", "get", snapshot).code == 3


def test_deletion_that_is_not_waited_for_is_told_as_a_task(tidemark: CommandLine, service: Service) -> None:
    volume = volume_id(REGION, service.world.source_id)
    snapshot = tidemark("volumes", "snapshots", "create", volume, "--quiet").out.strip()
    said = tidemark("volumes", "snapshots", "delete", snapshot, "--no-wait")
    assert (said.code, "Deleted" in said.err) == (0, False)
    command = said.err.partition("tidemark ")[2].split()
    assert tidemark(*command).code == 0


def test_snapshot_that_fails_ends_the_command_with_its_reason(tidemark: CommandLine, service: Service) -> None:
    service.world.disks.damaged.add(7)
    volume = volume_id(REGION, service.world.source_id)
    said = tidemark("volumes", "snapshots", "create", volume)
    assert said.code == 1
    assert "failed: " in one_line(said)
    task = said.err.split()[2]
    assert tidemark("volumes", "task", task).code == 1


def test_refusals_of_volumes_are_told_with_codes_of_their_own(tidemark: CommandLine, service: Service) -> None:
    volume = volume_id(REGION, service.world.source_id)
    assert tidemark("volumes", "snapshots", "create", volume, "--no-wait").code == 0
    busy = tidemark("volumes", "snapshots", "create", volume)
    assert (busy.code, "is being made" in one_line(busy)) == (4, True)
    assert tidemark("volumes", "snapshots", "create", "x").code == 1
    other: Any = CommandLine(service, key=VolumeApi(service.world).key(environments=("compute-on/other",)))
    denied = other("volumes", "list")
    assert (denied.code, "environment" in one_line(denied)) == (5, True)


def _packs(world: World) -> list[str]:
    return [one.key for one in world.ports.payloads.list("volume-images/") if one.key.endswith(".pack")]

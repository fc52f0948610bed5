"""Snapshots of volumes that are made of uploaded images."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes import ManualClock, MemoryPayloads, MemoryWorkflows
from tests.unit.volumes.backing import REGION, World, body, run
from tests.unit.volumes.examples import TEST_AREA
from tests.unit.volumes.uploading import (
    LAST_PART,
    SIZE_BYTES,
    RawFile,
    begun,
    index_of,
    left_of,
    opened,
    send,
    upload_of,
)
from tidemark.domain.blocks import SHARD_BLOCKS, BlockRange
from tidemark.domain.task import TaskStatus
from tidemark.domain.upload import AWAITED_FOR, MAX_IMAGE_BYTES, PART_BLOCKS, PART_BYTES, Upload
from tidemark.domain.volume import VolumeId, VolumeKind, VolumeSnapshotState, volume_id
from tidemark.engine.blocks import uploads
from tidemark.engine.transfer import plans
from tidemark.errors import (
    EnvironmentNotFound,
    ImportIncomplete,
    ImportNotOpen,
    ImportRefused,
    InvalidRequest,
    NameTaken,
    VolumeNotFound,
    VolumeSnapshotNotFound,
    WrongState,
)
from tidemark.usecases.close_volume_backups import close_volume_backups
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.import_volume_image import (
    ImageWanted,
    complete_upload,
    import_volume_image,
    open_upload,
)
from tidemark.usecases.read_volume_snapshots import get_task, list_volume_snapshots
from tidemark.usecases.volume_phases import backup

_S = VolumeSnapshotState
GIB = 1024**3
UNKNOWN = VolumeId("00000000-0000-4000-8000-000000000000")


def test_import_holds_the_bytes_of_the_file_and_zeros_up_to_the_whole_gib() -> None:
    world, file = World(), RawFile()
    begun_import = begun(world, file)
    stored = run(world.ports, begun_import.snapshot.id)
    assert stored.state is _S.STORED, stored.failure
    assert stored.size_bytes == 3 * GIB
    assert world.content(stored) == file.content
    assert stored.image is not None
    assert stored.image.digest == file.digest
    assert get_task(world.ports, "*", begun_import.task.id).task.status is TaskStatus.SUCCESS


def test_import_leaves_neither_parts_nor_snapshots_of_ec2_behind() -> None:
    world = World()
    stored = run(world.ports, begun(world, RawFile()).snapshot.id)
    assert stored.state is _S.STORED
    assert left_of(world) == []
    world.nothing_is_left()


def test_import_of_an_empty_image_stores_nothing() -> None:
    world = World()
    snapshot = opened(world, size_bytes=5)
    send(world.ports, snapshot, {})
    complete_upload(world.ports, TEST_AREA, snapshot.id)
    stored = run(world.ports, snapshot.id)
    assert stored.state is _S.STORED
    assert (stored.size_bytes, world.content(stored)) == (GIB, {})


def test_import_has_a_volume_of_its_own_unless_one_is_named() -> None:
    world = World()
    wanted = ImageWanted(1, volume_name="disk.raw", volume_kind=VolumeKind.ROOT)
    snapshot = import_volume_image(world.ports, TEST_AREA, wanted).snapshot
    assert (snapshot.volume_name, snapshot.volume_kind) == ("disk.raw", VolumeKind.ROOT)
    assert snapshot.name.startswith("imported_disk.raw_2026")
    another = import_volume_image(world.ports, TEST_AREA, wanted).snapshot
    assert another.volume_id != snapshot.volume_id
    assert another.name == f"{snapshot.name}-2"


def test_import_stores_only_what_changed_since_the_volumes_last_snapshot() -> None:
    world, file = World(), RawFile()
    first = run(world.ports, begun(world, file).snapshot.id)
    changed = RawFile({**file.held, 5: body("five later")})
    second = run(world.ports, begun(world, changed, first.volume_id).snapshot.id)
    assert second.parent_id == first.id
    assert (second.volume_name, second.volume_kind) == (first.volume_name, first.volume_kind)
    assert world.content(second) == changed.content
    assert first.image is not None
    assert second.image is not None
    assert second.image.new_bytes < first.image.new_bytes / 2
    assert world.content(first) == file.content
    world.nothing_is_left()


def test_import_is_of_a_volume_that_is_there_and_is_stored_upon_its_snapshot() -> None:
    world = World()
    taken = world.take()
    snapshot = opened(world, volume_id(REGION, world.source_id))
    assert (snapshot.volume_id, snapshot.volume_name) == (taken.volume_id, "foo")
    file = RawFile()
    send(world.ports, snapshot, file.parts)
    complete_upload(world.ports, TEST_AREA, snapshot.id)
    stored = run(world.ports, snapshot.id)
    assert (stored.state, stored.parent_id) == (_S.STORED, taken.id)
    assert world.content(stored) == file.content


def test_snapshots_of_the_volume_are_taken_while_an_import_waits_for_its_parts() -> None:
    world = World()
    opened(world, volume_id(REGION, world.source_id))
    opened(world, volume_id(REGION, world.source_id))
    assert world.take().state is _S.STORED


@pytest.mark.parametrize("size_bytes", [0, -1, MAX_IMAGE_BYTES + 1])
def test_import_is_refused_when_no_volume_can_have_that_size(size_bytes: int) -> None:
    with pytest.raises(InvalidRequest, match=str(size_bytes)):
        opened(World(), size_bytes=size_bytes)


def test_import_is_refused_when_volume_name_or_environment_is_not_right() -> None:
    world = World()
    with pytest.raises(VolumeNotFound, match=UNKNOWN):
        opened(world, UNKNOWN)
    import_volume_image(world.ports, TEST_AREA, ImageWanted(1, name="a"))
    with pytest.raises(NameTaken):
        import_volume_image(world.ports, TEST_AREA, ImageWanted(1, name="a"))
    with pytest.raises(InvalidRequest):
        import_volume_image(world.ports, TEST_AREA, ImageWanted(1, name=" a"))
    other = TEST_AREA.replace("test_area", "other")
    with pytest.raises(EnvironmentNotFound):
        import_volume_image(world.ports, type(TEST_AREA)(other), ImageWanted(1))


# --- parts


def test_nothing_begins_while_a_part_is_missing_or_of_another_size_and_it_is_named() -> None:
    world, file = World(), RawFile()
    snapshot = opened(world)
    with pytest.raises(ImportIncomplete, match="list of parts has not arrived"):
        complete_upload(world.ports, TEST_AREA, snapshot.id)
    first, last = file.parts[0], file.parts[LAST_PART]
    send(world.ports, snapshot, {0: first}, index_of(file.parts))
    with pytest.raises(ImportIncomplete, match=f"part {LAST_PART:08d} of the image .* is missing"):
        complete_upload(world.ports, TEST_AREA, snapshot.id)
    send(world.ports, snapshot, {0: first, LAST_PART: last + b"x"}, index_of(file.parts))
    with pytest.raises(ImportIncomplete, match=f"has {len(last) + 1} bytes instead of {len(last)}"):
        complete_upload(world.ports, TEST_AREA, snapshot.id)
    assert world.record(snapshot.id).awaits_upload
    send(world.ports, snapshot, file.parts)
    complete_upload(world.ports, TEST_AREA, snapshot.id)
    assert run(world.ports, snapshot.id).state is _S.STORED


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (b"no sum", "line 1"),
        (b"a" * 64 + b"  00000000\n\n" + b"a" * 64 + b"  0", "line 3"),
        (b"a" * 64 + b"  00000000\n" + b"a" * 64 + b" *./00000000", "a second time"),
        (b"a" * 64 + b"  00000999", f"has part 999; the image has {LAST_PART + 1}"),
        (b"A" * 64 + b"  00000000", "line 1"),
        (b"x" * 40_000, "longer than"),
    ],
)
def test_list_of_parts_is_refused_when_it_is_none(lines: bytes, why: str) -> None:
    world = World()
    snapshot = opened(world)
    send(world.ports, snapshot, {}, lines)
    with pytest.raises(ImportRefused, match=why):
        complete_upload(world.ports, TEST_AREA, snapshot.id)
    assert world.record(snapshot.id).awaits_upload


def test_list_of_parts_is_what_sha256sum_prints_of_files_in_any_folder() -> None:
    one, two = "1" * 64, "2" * 64
    text = f"{one}  parts/00000001\n{two} *00000000\n".encode()
    upload = Upload(SIZE_BYTES, until=World().ports.clock.now())
    assert uploads.parse_index(text, upload) == {1: one, 0: two}


@pytest.mark.parametrize("part", [0, LAST_PART])
def test_import_ends_in_error_naming_the_part_whose_bytes_are_not_those_of_the_list(part: int) -> None:
    world, file = World(), RawFile()
    snapshot = opened(world)
    altered = {number: held[:-1] + b"?" if number == part else held for number, held in file.parts.items()}
    send(world.ports, snapshot, altered, index_of(file.parts))
    complete_upload(world.ports, TEST_AREA, snapshot.id)
    failed = run(world.ports, snapshot.id)
    assert failed.state is _S.FAILED
    assert failed.failure is not None
    assert failed.failure.code == "ImportRefused"
    first = part * PART_BLOCKS
    assert f"part {part:08d} of the image (blocks {first} to {first + PART_BLOCKS - 1})" in failed.failure.message
    assert left_of(world) == []
    world.nothing_is_left()


@pytest.mark.parametrize("change", ["gone", "shorter"])
def test_import_ends_in_error_naming_the_part_that_is_lost_after_it_had_arrived(change: str) -> None:
    world, file = World(), RawFile()
    snapshot = begun(world, file).snapshot
    key = uploads.part_key(snapshot, LAST_PART)
    world.ports.payloads.delete(key)
    if change == "shorter":
        world.ports.payloads.put(key, b"x")
    failed = run(world.ports, snapshot.id)
    assert failed.failure is not None
    assert failed.failure.code == "ImportIncomplete"
    assert f"part {LAST_PART:08d}" in failed.failure.message
    assert left_of(world) == []


def test_import_ends_in_error_when_the_image_is_not_the_one_that_was_told() -> None:
    world, file = World(), RawFile()
    failed = run(world.ports, begun(world, file, digest="0" * 64).snapshot.id)
    assert failed.failure is not None
    assert failed.failure.code == "ImportRefused"
    assert file.digest in failed.failure.message
    assert left_of(world) == []


def test_parts_that_are_written_again_after_all_have_arrived_are_noticed() -> None:
    world, file = World(), RawFile()
    snapshot = begun(world, file).snapshot
    other = RawFile({**file.held, 5: body("not what was said")})
    send(world.ports, snapshot, other.parts)
    failed = run(world.ports, snapshot.id)
    assert failed.failure is not None
    assert "part 00000000" in failed.failure.message


def test_index_that_counts_can_not_be_altered_unnoticed() -> None:
    world = World()
    snapshot = begun(world, RawFile()).snapshot
    payloads = world.ports.payloads
    assert isinstance(payloads, MemoryPayloads)
    (kept,) = (key for key in left_of(world) if "/index-" in key)
    payloads.objects[kept] = b""
    failed = run(world.ports, snapshot.id)
    assert failed.failure is not None
    assert "list of parts is not the one that was stored" in failed.failure.message


@pytest.mark.parametrize(
    ("number", "at", "magic", "form"),
    [
        (0, 0, b"QFI\xfb", "qcow2"),
        (0, 0, b"KDMV", "VMDK"),
        (0, 0, b"vhdxfile", "VHDX"),
        (0, 0x40, b"\x7f\x10\xda\xbe", "VDI"),
        (LAST_PART, -512, b"conectix", "VHD"),
    ],
)
def test_image_of_another_format_is_refused_with_what_to_do_before_anything_is_stored(
    number: int, at: int, magic: bytes, form: str
) -> None:
    world, file = World(), RawFile()
    snapshot = opened(world)
    sent = file.parts
    held = bytearray(sent[number])
    begin = at % len(held)
    held[begin : begin + len(magic)] = magic
    sent[number] = bytes(held)
    send(world.ports, snapshot, sent)
    with pytest.raises(ImportRefused, match=rf"a {form} image, .* qemu-img convert -O raw"):
        complete_upload(world.ports, TEST_AREA, snapshot.id)
    assert world.record(snapshot.id).awaits_upload


def test_parts_of_a_range_go_when_it_was_read_back_so_that_few_are_left_at_the_end() -> None:
    world, file = World(), RawFile()
    snapshot = begun(world, file).snapshot
    backup.begin(world.ports, TEST_AREA, snapshot.id)
    for shard in backup.await_source(world.ports, TEST_AREA, snapshot.id).shards:
        backup.copy_range(world.ports, TEST_AREA, snapshot.id, shard=shard)
    backup.seal(world.ports, TEST_AREA, snapshot.id)
    assert uploads.arrived(world.ports, snapshot, range(LAST_PART + 1)).keys() == {0, LAST_PART}
    backup.read_back(world.ports, TEST_AREA, snapshot.id, shard=0)
    assert uploads.arrived(world.ports, snapshot, range(LAST_PART + 1)).keys() == {LAST_PART}


# --- its life


def test_saying_that_all_parts_have_arrived_again_changes_nothing() -> None:
    world, file = World(), RawFile()
    first = begun(world, file)
    workflows = world.ports.workflows
    assert isinstance(workflows, MemoryWorkflows)
    started = list(workflows.started)
    again = complete_upload(world.ports, TEST_AREA, first.snapshot.id, digest="f" * 64)
    assert (again.task.id, again.snapshot.uploaded) == (first.task.id, first.snapshot.uploaded)
    assert workflows.started == started
    stored = run(world.ports, first.snapshot.id)
    assert complete_upload(world.ports, TEST_AREA, first.snapshot.id).snapshot == stored


def test_uploads_are_not_open_for_what_is_no_import_or_has_begun() -> None:
    world = World()
    taken = world.take()
    with pytest.raises(ImportNotOpen, match="not an import"):
        open_upload(world.ports, TEST_AREA, taken.id)
    with pytest.raises(ImportNotOpen, match="not an import"):
        complete_upload(world.ports, TEST_AREA, taken.id)
    snapshot = begun(world, RawFile()).snapshot
    with pytest.raises(ImportNotOpen, match="has begun"):
        open_upload(world.ports, TEST_AREA, snapshot.id)
    with pytest.raises(VolumeSnapshotNotFound):
        open_upload(world.ports, TEST_AREA, UNKNOWN)


def test_import_that_waits_for_its_parts_is_given_up_by_deleting_it() -> None:
    world = World()
    snapshot = opened(world)
    send(world.ports, snapshot, RawFile().parts)
    delete_volume_snapshot(world.ports, TEST_AREA, snapshot.id)
    assert left_of(world) == []
    assert list_volume_snapshots(world.ports, TEST_AREA).snapshots == []
    gone = world.record(snapshot.id)
    assert gone.failure is not None
    assert gone.failure.code == "TransferCancelled"
    with pytest.raises(VolumeSnapshotNotFound):
        complete_upload(world.ports, TEST_AREA, snapshot.id)


def test_import_that_is_being_stored_is_not_deleted() -> None:
    world = World()
    snapshot = begun(world, RawFile()).snapshot
    with pytest.raises(WrongState):
        delete_volume_snapshot(world.ports, TEST_AREA, snapshot.id)


def test_collector_starts_no_execution_for_an_import_that_waits_and_gives_up_one_that_waits_too_long() -> None:
    world = World()
    snapshot = opened(world)
    workflows, clock = world.ports.workflows, world.ports.clock
    assert isinstance(workflows, MemoryWorkflows)
    assert isinstance(clock, ManualClock)
    close_volume_backups(world.ports, TEST_AREA)
    assert world.record(snapshot.id).awaits_upload
    assert workflows.started == []
    send(world.ports, snapshot, {0: b""})
    clock.advance(AWAITED_FOR / timedelta(seconds=1))
    close_volume_backups(world.ports, TEST_AREA)
    failed = world.record(snapshot.id)
    assert failed.failure is not None
    assert failed.failure.code == "ImportIncomplete"
    assert left_of(world) == []
    assert workflows.started == []


def test_collector_starts_an_import_whose_parts_have_arrived_and_that_nobody_started() -> None:
    world, file = World(), RawFile()
    snapshot = opened(world)
    send(world.ports, snapshot, file.parts)
    refusing = replace(world.ports, workflows=_Refusing())
    with pytest.raises(ImportRefused):
        complete_upload(refusing, TEST_AREA, snapshot.id)
    assert world.record(snapshot.id).running
    close_volume_backups(world.ports, TEST_AREA)
    workflows = world.ports.workflows
    assert isinstance(workflows, MemoryWorkflows)
    assert len(workflows.started) == 1


class _Refusing(MemoryWorkflows):
    def start_volume_backup(self, *_args: object, **_named: object) -> None:
        raise ImportRefused("whatever it is")


def test_parts_that_have_arrived_are_found_by_thousands() -> None:
    world = World()
    snapshot = opened(world, size_bytes=3000 * PART_BYTES)
    send(world.ports, snapshot, dict.fromkeys((0, 999, 1000, 2500), b"x"))
    assert uploads.arrived(world.ports, snapshot, range(999, 2500)) == {999: 1, 1000: 1}
    assert uploads.arrived(world.ports, snapshot, range(3000)) == dict.fromkeys((0, 999, 1000, 2500), 1)
    assert uploads.arrived(world.ports, snapshot, range(0)) == {}


def test_parts_lie_in_shards_as_a_whole_and_are_counted_up_to_the_end_of_the_file() -> None:
    upload = upload_of(opened(World()))
    assert SHARD_BLOCKS % PART_BLOCKS == 0
    assert upload.parts == LAST_PART + 1
    assert list(upload.parts_of(BlockRange(0, SHARD_BLOCKS))) == list(range(LAST_PART))
    assert list(upload.parts_of(BlockRange(SHARD_BLOCKS, 6144))) == [LAST_PART]
    assert uploads.IMPORTS == plans.IMPORTS

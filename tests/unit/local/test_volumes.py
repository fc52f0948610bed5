"""What is in volumes of the local stack, and the environment that has one."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.local import ext4, volume_blocks, volumes
from tests.local.environments import TAGS, seed_environment, seed_with_files
from tests.local.stack import LocalStack
from tests.local.volume_blocks import BLOCK_BYTES, BlockFile
from tests.unit.local.ebs_calls import ZEROS, ZONE, block_of, content_of, snapshot_of, started, state_of, volume_of


def test_takes_a_snapshot_of_two_gibibytes_without_reading_them(ec2: Any, tmp_path: Path) -> None:
    image = tmp_path / "large.raw"
    with image.open("wb") as made:
        made.truncate(2 * 1024**3)
        for index in range(0, 4096, 64):
            made.seek(index * BLOCK_BYTES)
            made.write(block_of(index))
    volume_id = volume_of(ec2, {}, size_gib=2)
    volumes.fill(volume_id, image)
    kept_before = volume_blocks.FILE.kept

    snapshots = [ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"] for _ in range(10)]

    assert volumes.written_blocks(volume_id) == 64
    assert volume_blocks.FILE.kept == kept_before
    assert len(set(snapshots)) == 10


def test_saves_what_it_was_filled_with_as_a_sparse_file(ec2: Any, tmp_path: Path) -> None:
    image, saved = tmp_path / "image.raw", tmp_path / "saved.raw"
    middle = b"in the middle" * 100_000
    with image.open("wb") as made:
        made.truncate(1024**3)
        made.seek(700_000_000)
        made.write(middle)
    volume_id = volume_of(ec2, {2000: block_of("what goes")})

    volumes.fill(volume_id, image)
    volumes.save(volume_id, saved)

    with saved.open("rb") as found:
        assert os.pread(found.fileno(), len(middle) + 2, 700_000_000 - 1) == b"\0" + middle + b"\0"
        assert os.pread(found.fileno(), BLOCK_BYTES, 2000 * BLOCK_BYTES) == ZEROS
    assert saved.stat().st_size == 1024**3
    assert saved.stat().st_blocks * 512 < 4 * 1024**2
    with pytest.raises(FileExistsError):
        volumes.save(volume_id, saved)


def test_writes_and_reads_across_blocks(ec2: Any) -> None:
    volume_id = volume_of(ec2, {0: block_of(0), 1: block_of(1), 2: block_of(2)})
    expected = bytearray(block_of(0) + block_of(1) + block_of(2))
    expected[BLOCK_BYTES - 3 : 2 * BLOCK_BYTES + 4] = b"x" * (BLOCK_BYTES + 7)

    volumes.write(volume_id, BLOCK_BYTES - 3, b"x" * (BLOCK_BYTES + 7))

    assert volumes.read(volume_id, 0, 3 * BLOCK_BYTES) == bytes(expected)
    assert volumes.read(volume_id, BLOCK_BYTES - 5, 4) == bytes(expected[BLOCK_BYTES - 5 : BLOCK_BYTES - 1])
    with pytest.raises(volumes.VolumeError, match="make a larger volume"):
        volumes.write(volume_id, 1024**3 - 1, b"ab")
    with pytest.raises(volumes.VolumeError, match="vol-1 in eu-west-1: make one"):
        volumes.size_bytes("vol-1")


def test_uses_the_place_of_a_block_again_when_nobody_has_it() -> None:
    kept = BlockFile()
    first, second = kept.keep(block_of("a")), kept.keep(block_of("b"))
    place = first.place
    assert kept.keep(block_of("a")) is first

    del first
    third = kept.keep(block_of("c"))

    assert third.place == place
    assert [kept.read(block) for block in (second, third)] == [block_of("b"), block_of("c")]
    kept.close()


# --- The environment --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(ext4.missing_tools() is not None, reason=str(ext4.missing_tools()))
def test_brings_a_file_system_through_both_apis_unharmed(
    either: LocalStack, ec2: Any, ebs: Any, tmp_path: Path
) -> None:
    seeded, holding = seed_with_files(either)
    assert holding == "ext4"
    blocks = content_of(ebs, snapshot_of(ec2, seeded.volume_id))
    ec2.detach_volume(VolumeId=seeded.volume_id, InstanceId=seeded.instance_id)
    ec2.delete_volume(VolumeId=seeded.volume_id)

    restored_id = started(ebs, blocks)
    assert state_of(ec2, restored_id) == "completed"
    volume_id = ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=restored_id)["VolumeId"]
    volumes.save(volume_id, tmp_path / "restored.raw")

    ext4.check(tmp_path / "restored.raw")
    assert ext4.read(tmp_path / "restored.raw", "README") == b"A file in a volume of the local stack.\n"


def test_says_why_the_volume_is_empty_where_nothing_makes_file_systems(
    either: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ext4, "missing_tools", lambda: "no mkfs.ext4 on this machine")

    seeded, holding = seed_with_files(either)

    assert holding == "no mkfs.ext4 on this machine"
    assert volumes.written_blocks(seeded.volume_id) == 0


def test_has_the_environment_of_the_page_with_its_volume(either: LocalStack, ec2: Any, tmp_path: Path) -> None:
    image = tmp_path / "image.raw"
    image.write_bytes(block_of("content"))
    snapshots_before = len(ec2.describe_snapshots()["Snapshots"])

    seeded = seed_environment(either, image=image)

    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in TAGS.items()]
    found = [one for one in ec2.describe_volumes(Filters=filters)["Volumes"] if one["VolumeId"] == seeded.volume_id]
    assert len(found) == 1
    assert len(ec2.describe_volumes(Filters=filters)["Volumes"]) < len(ec2.describe_volumes()["Volumes"])
    assert found[0]["Attachments"][0]["InstanceId"] == seeded.instance_id
    assert {tag["Key"]: tag["Value"] for tag in found[0]["Tags"]} == {**TAGS, "Name": "foo"}
    assert volumes.read(seeded.volume_id, 0, BLOCK_BYTES) == block_of("content")
    assert len(ec2.describe_snapshots()["Snapshots"]) == snapshots_before

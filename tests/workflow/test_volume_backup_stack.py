"""Backups of a volume with the real functions on a local stack: exact, small, and clean when they fail."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.moto_ebs import damaged_block
from tests.local.moto_ec2 import snapshots_settle
from tests.local.stack import LocalStack
from tests.local.volume_blocks import BLOCK_BYTES
from tests.unit.blocks.imaging import body
from tests.workflow.conftest import SMALL
from tests.workflow.volume import OTHER_SHARD, Volume
from tidemark.domain.blocks import ZEROS
from tidemark.domain.snapshot import Failure
from tidemark.domain.volume import VolumeSnapshotState
from tidemark.errors import VolumeBusy

# Blocks of 512 KiB are read and compared one by one by a pretended AWS.
pytestmark = pytest.mark.timeout(300)

STORED = VolumeSnapshotState.STORED


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with LocalStack.in_process(parameters={**SMALL, "VolumeConcurrency": "2"}, wait_scale=0) as started:
        yield started


@pytest.fixture(scope="module")
def volume(stack: LocalStack) -> Volume:
    made = Volume(stack)
    # So much that what each test changes is little beside it, and nothing is stored anew.
    filling = {index: body(index) for base in (100, OTHER_SHARD + 100) for index in range(base, base + 24)}
    made.write({0: body("a"), 7: body("b"), OTHER_SHARD: body("c"), **filling})
    return made


def test_snapshot_of_a_volume_is_stored_and_read_back_and_ec2s_removed(volume: Volume) -> None:
    with snapshots_settle(looks=2):
        snapshot_id = volume.ask()
        ended = volume.ended(snapshot_id)
    assert ended.status == "SUCCEEDED", ended
    snapshot = volume.record(snapshot_id)
    assert (snapshot.state, snapshot.source_id) == (STORED, None)
    assert volume.content(snapshot) == volume.now
    assert volume.at_ec2() == set()
    waiting = ["AwaitSource", "SourceReady", "WaitForSource"] * 2
    stored = ["AwaitSource", "SourceReady", "CopyRanges", "Seal", "ReadBackRanges", "Finish", "HowItEnded", "BackedUp"]
    assert volume.path(snapshot_id) == ["Begin", "StillWanted", *waiting, *stored]


@pytest.mark.parametrize("keeps_source", [False, True], ids=["compared", "told by EBS"])
def test_next_snapshot_stores_what_has_changed_and_no_more(volume: Volume, keeps_source: bool) -> None:
    first = volume.take(keeps_source=keeps_source)
    assert volume.at_ec2() == ({first.source_id} if keeps_source else set())
    changed = {7: body(f"changed {keeps_source}"), 9: body(f"new {keeps_source}"), OTHER_SHARD: ZEROS}
    volume.write(changed)
    second = volume.take()
    assert second.image is not None
    assert (second.state, second.parent_id) == (STORED, first.id)
    assert 2 * BLOCK_BYTES <= second.image.new_bytes <= 2 * BLOCK_BYTES * 1.01
    assert volume.content(second) == volume.now
    volume.write({OTHER_SHARD: body("c")})
    volume.forget(first)


def test_block_that_is_damaged_ends_the_snapshot_naming_it_and_leaves_nothing_at_ec2(volume: Volume) -> None:
    volume.take()
    volume.write({7: body("damaged"), OTHER_SHARD: body("d")})
    with damaged_block(7):
        snapshot_id = volume.ask()
        ended = volume.ended(snapshot_id)
    failed = volume.record(snapshot_id)
    assert (failed.state, failed.source_id) == (VolumeSnapshotState.FAILED, None)
    assert failed.failure is not None
    assert failed.failure.code == "BlockDamaged"
    assert "block 7 of snap-" in failed.failure.message
    assert (ended.status, ended.error, ended.cause) == ("FAILED", failed.failure.code, failed.failure.message)
    assert volume.path(snapshot_id)[-4:] == ["CopyRanges", "Abort", "Outcome", "BackupFailed"]
    assert volume.at_ec2() == set()
    assert volume.content(volume.take()) == volume.now


def test_snapshot_fails_with_a_reason_when_ec2_could_not_make_its_own(volume: Volume) -> None:
    with snapshots_settle(looks=1, ending="error"):
        snapshot_id = volume.ask()
        assert volume.ended(snapshot_id).error == "DiskSnapshotFailed"
    failure = volume.record(snapshot_id).failure
    assert failure is not None
    assert "EC2 could not make snap-" in failure.message
    assert volume.at_ec2() == set()


def test_block_that_does_not_read_back_ends_the_snapshot_naming_it(volume: Volume) -> None:
    volume.write({12: body("not read back")})

    def damage(event: dict[str, Any]) -> None:
        s3, bucket = volume.stack.client("s3"), volume.stack.outputs["BucketName"]
        for pack in volume.packs(event["snapshotId"]) if event["shard"] == 0 else ():
            stored = bytearray(s3.get_object(Bucket=bucket, Key=pack["Key"])["Body"].read())
            stored[100] ^= 1
            s3.put_object(Bucket=bucket, Key=pack["Key"], Body=bytes(stored))

    with volume.before("ReadBackFunction", damage):
        snapshot_id = volume.ask()
        ended = volume.ended(snapshot_id)
    failure = volume.record(snapshot_id).failure
    assert failure is not None
    assert failure.code == ended.error == "PackCorrupt"
    assert "block 12" in failure.message
    assert volume.path(snapshot_id)[-4:] == ["ReadBackRanges", "Abort", "Outcome", "BackupFailed"]
    assert volume.at_ec2() == set()


def test_next_attempt_goes_on_with_the_same_moment_when_an_execution_was_killed(volume: Volume) -> None:
    volume.write({20: body("killed"), OTHER_SHARD: body("killed too")})
    moment = volume.now

    def kill(event: dict[str, Any]) -> None:
        if event["shard"] == 1:
            states = volume.stack.client("stepfunctions")
            states.stop_execution(executionArn=volume.arn(event["snapshotId"]))

    with volume.before("CopyRangeFunction", kill):
        snapshot_id = volume.ask()
        ended = volume.ended(snapshot_id)
        assert ended.status == "ABORTED", (ended.error, ended.cause)
    assert volume.record(snapshot_id).running
    stored = volume.packs(snapshot_id)
    volume.write({20: body("later")})
    with pytest.raises(VolumeBusy):
        volume.ask()
    again = volume.ended(snapshot_id, attempt=2)
    assert again.status == "SUCCEEDED", again
    snapshot = volume.record(snapshot_id)
    assert volume.content(snapshot) == moment
    assert stored
    assert {one["VersionId"] for one in stored} <= {one["VersionId"] for one in volume.packs(snapshot_id)}
    assert volume.at_ec2() == set()


def test_execution_that_finds_the_backup_over_ends_well(volume: Volume) -> None:
    snapshot = volume.take()
    volume.ports.workflows.start_volume_backup(volume.environment, snapshot.id, attempt=2)
    assert volume.ended(snapshot.id, attempt=2).status == "SUCCEEDED"
    assert volume.path(snapshot.id, attempt=2) == ["Begin", "StillWanted", "Finish", "HowItEnded", "BackedUp"]
    assert volume.record(snapshot.id) == snapshot


def test_execution_ends_well_when_somebody_gave_the_backup_up_meanwhile(volume: Volume) -> None:
    def give_up(event: dict[str, Any]) -> None:
        told = {"environment": event["environment"], "snapshotId": event["snapshotId"]}
        volume.stack.invoke("AbortVolumeBackupFunction", {**told, "error": "States.Timeout", "cause": ""})

    with volume.before("CopyRangeFunction", give_up):
        snapshot_id = volume.ask()
        assert volume.ended(snapshot_id).status == "SUCCEEDED"
    assert volume.path(snapshot_id)[-5:] == ["CopyRanges", "Seal", "Finish", "HowItEnded", "AlreadyOver"]
    assert volume.record(snapshot_id).failure == Failure(
        "Unavailable", "AWS did not let a phase come to its end, however often it was tried (States.Timeout)."
    )
    assert volume.at_ec2() == set()


def test_range_takes_several_calls_when_its_blocks_do_not_fit_one(volume: Volume) -> None:
    first = volume.take(keeps_source=True)
    volume.write({index: body(("slow", index)) for index in (30, 31, 32)})
    calls: list[dict[str, Any]] = []
    # What a phase keeps back for its answer: nothing is left but the one block that each call reads.
    with volume.before("CopyRangeFunction", calls.append, timeout_s=60):
        snapshot = volume.take()
    assert snapshot.state is STORED
    assert volume.content(snapshot) == volume.now
    # The last two read nothing: one finds out that nothing follows, and leaves noting the range to the other.
    assert [call["place"] for call in calls if call["shard"] == 0] == [0, 31, 32, 33, 4096]
    assert volume.at_ec2() == {first.source_id}
    volume.forget(first)


def test_second_snapshot_of_2_gib_of_which_1_percent_changed_stores_that_and_at_most_1_percent_more(
    stack: LocalStack,
) -> None:
    volume, blocks = Volume(stack, size_gib=2), 2 * 1024**3 // BLOCK_BYTES
    volume.write({index: body(("first", index)) for index in range(0, blocks, 20)})
    first = volume.take()
    changed = range(0, blocks, 100)
    volume.write({index: body(("second", index)) for index in changed})
    second = volume.take()
    assert first.image is not None
    assert second.image is not None
    assert first.image.new_bytes >= BLOCK_BYTES * blocks // 20
    assert second.image.new_bytes <= len(changed) * BLOCK_BYTES * 1.01
    assert second.image.stored_bytes == first.image.new_bytes + second.image.new_bytes
    assert volume.content(second) == volume.now

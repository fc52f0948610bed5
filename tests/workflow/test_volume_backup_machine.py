"""The state machine of a volume's backup: which way an execution takes, whatever its phases answer."""

import pytest

from tests.workflow.scripted import Machines, Script
from tidemark.errors import BackupEnded, BlockDamaged, DiskSnapshotFailed, PackCorrupt, Throttled, WriteConflict

MACHINE = "VolumeBackupStateMachine"
IDS = {"environment": "compute-on/test_area", "snapshotId": "33a27b8d-5a27-42a5-aec4-37606e372bda"}
TOLD = {**IDS, "attempt": 1}
WORK_KEY = "work-lists/volume-backups/scripted.json"
READY = {"ready": True, "over": False, "ranges": 3, "workKey": WORK_KEY, "waitSeconds": 0}
PENDING = {"ready": False, "over": False, "ranges": 0, "workKey": "", "waitSeconds": 5}
OVER = {"ready": True, "over": True, "ranges": 0, "workKey": "", "waitSeconds": 0}
COPIED = {"done": True, "place": 4096, "blocks": 9}
STORED = {"state": "stored", "newBytes": 100}
DAMAGED = {"state": "failed", "error": "BlockDamaged", "message": "block 7 of snap-1 was read 3 times"}
SOURCE = ["AwaitSource", "SourceReady"]
STORING = ["CopyRanges", "Seal", "ReadBackRanges", "Finish", "HowItEnded", "BackedUp"]


@pytest.fixture
def script(machines: Machines) -> Script:
    """Phases in which all goes well."""
    script = Script(
        {
            "begin": {"state": "cut", "over": False},
            "await_source": READY,
            "copy_range": COPIED,
            "seal": {"ranges": 3},
            "read_back": {"sizeBytes": 100},
            "finish": STORED,
            "abort": DAMAGED,
        }
    )
    machines.use(script)
    machines.put(WORK_KEY, [{"shard": shard, "place": shard * 4096} for shard in range(3)])
    return script


def test_backup_copies_seals_and_reads_back_every_range_when_all_goes_well(machines: Machines, script: Script) -> None:
    run = machines.run(MACHINE, TOLD)
    assert run.path == ["Begin", "StillWanted", *SOURCE, *STORING]
    assert run.status == "SUCCEEDED"
    assert run.output["snapshot"] == STORED
    for phase in ("begin", "await_source", "seal", "finish"):
        assert script.calls[phase] == [IDS], phase
    copied = sorted(script.calls["copy_range"], key=lambda call: call["shard"])
    assert copied == [{**IDS, "shard": shard, "place": shard * 4096} for shard in range(3)]
    read = sorted(script.calls["read_back"], key=lambda call: call["shard"])
    assert read == [{**IDS, "shard": shard} for shard in range(3)]
    assert script.calls["abort"] == []


def test_backup_asks_again_until_ec2s_snapshot_is_completed(machines: Machines, script: Script) -> None:
    script.say("await_source", PENDING, PENDING, READY)
    run = machines.run(MACHINE, TOLD)
    assert run.path[2:8] == [*SOURCE, "WaitForSource", *SOURCE, "WaitForSource"]
    assert run.status == "SUCCEEDED"


def test_range_is_copied_on_from_where_a_call_stopped(machines: Machines, script: Script) -> None:
    machines.put(WORK_KEY, [{"shard": 0, "place": 0}])
    stopped = [{"done": False, "place": place, "blocks": 0} for place in (100, 300)]
    script.say("copy_range", *stopped, COPIED)
    assert machines.run(MACHINE, TOLD).status == "SUCCEEDED"
    assert script.calls["copy_range"] == [{**IDS, "shard": 0, "place": place} for place in (0, 100, 300)]


@pytest.mark.parametrize(("state", "last"), [("stored", "BackedUp"), ("failed", "AlreadyOver")])
def test_backup_that_is_over_is_cleared_up_after_and_ends_well(
    machines: Machines, script: Script, state: str, last: str
) -> None:
    script.say("finish", {"state": state, "newBytes": 0})
    script.say("begin", {"state": state, "over": True})
    assert machines.run(MACHINE, TOLD).path == ["Begin", "StillWanted", "Finish", "HowItEnded", last]
    script.say("begin", {"state": "cut", "over": False})
    script.say("await_source", OVER)
    run = machines.run(MACHINE, TOLD)
    assert (run.status, run.path) == ("SUCCEEDED", ["Begin", "StillWanted", *SOURCE, "Finish", "HowItEnded", last])


@pytest.mark.parametrize("phase", ["await_source", "copy_range", "seal", "read_back"])
def test_backup_that_somebody_ends_meanwhile_is_no_failure(machines: Machines, script: Script, phase: str) -> None:
    script.say(phase, BackupEnded("the snapshot is deleted"))
    script.say("finish", {"state": "deleted", "newBytes": 0})
    run = machines.run(MACHINE, TOLD)
    assert (run.status, run.path[-3:]) == ("SUCCEEDED", ["Finish", "HowItEnded", "AlreadyOver"])
    assert script.calls["abort"] == []


@pytest.mark.parametrize("phase", ["begin", "await_source", "copy_range", "seal", "read_back", "finish"])
@pytest.mark.parametrize("error", [Throttled("slow down"), WriteConflict("somebody was faster")])
def test_backup_tries_again_when_a_failure_may_pass(
    machines: Machines, script: Script, phase: str, error: Exception
) -> None:
    script.say(phase, error, error, script.answer(phase))
    assert machines.run(MACHINE, TOLD).status == "SUCCEEDED"
    assert script.calls["abort"] == []


@pytest.mark.parametrize("phase", ["begin", "await_source", "seal", "finish"])
def test_backup_aborts_and_says_why_when_a_phase_fails(machines: Machines, script: Script, phase: str) -> None:
    script.say(phase, DiskSnapshotFailed("EC2 could not make snap-1"))
    run = machines.run(MACHINE, TOLD)
    assert run.path[-3:] == ["Abort", "Outcome", "BackupFailed"]
    assert (run.status, run.error, run.cause) == ("FAILED", DAMAGED["error"], DAMAGED["message"])
    (aborted,) = script.calls["abort"]
    assert aborted["error"] == "DiskSnapshotFailed"
    assert "EC2 could not make snap-1" in aborted["cause"]
    assert {name: aborted[name] for name in IDS} == IDS


@pytest.mark.parametrize(
    ("phase", "error"),
    [("copy_range", BlockDamaged("block 7 of snap-1")), ("read_back", PackCorrupt("block 7 in pack p"))],
)
def test_what_is_wrong_with_a_range_is_recorded_before_its_map_forgets_it(
    machines: Machines, script: Script, phase: str, error: Exception
) -> None:
    machines.put(WORK_KEY, [{"shard": 0, "place": 0}])
    script.say(phase, error)
    run = machines.run(MACHINE, TOLD)
    assert len(script.calls[phase]) == 1, "damage stays, so it is not tried again"
    of_range, of_all = script.calls["abort"]
    assert (of_range["error"], of_range["environment"]) == (type(error).__name__, IDS["environment"])
    assert "block 7" in of_range["cause"]
    assert of_all["error"] == "States.ExceedToleratedFailureThreshold"
    assert (run.status, run.error, run.cause) == ("FAILED", DAMAGED["error"], DAMAGED["message"])


@pytest.mark.parametrize("phase", ["copy_range", "read_back"])
def test_backup_fails_though_not_even_the_failure_of_a_range_could_be_recorded(
    machines: Machines, script: Script, phase: str
) -> None:
    machines.put(WORK_KEY, [{"shard": 0, "place": 0}])
    script.say(phase, BlockDamaged("block 7 of snap-1"))
    script.say("abort", RuntimeError("no network"), DAMAGED)
    run = machines.run(MACHINE, TOLD)
    assert (run.status, run.path[-1]) == ("FAILED", "BackupFailed")
    assert len(script.calls["abort"]) == 2


def test_backup_fails_when_its_list_of_work_is_gone(machines: Machines, script: Script) -> None:
    script.say("await_source", {**READY, "workKey": "work-lists/volume-backups/gone.json"})
    assert machines.run(MACHINE, TOLD).status == "FAILED"
    (aborted,) = script.calls["abort"]
    assert aborted["error"] == "States.ItemReaderFailed"


@pytest.mark.parametrize(("state", "last"), [("stored", "BackedUp"), ("deleted", "AlreadyOver")])
def test_backup_that_was_ended_though_its_answer_was_lost_is_no_failure(
    machines: Machines, script: Script, state: str, last: str
) -> None:
    script.say("finish", RuntimeError("connection closed"))
    script.say("abort", {**DAMAGED, "state": state})
    run = machines.run(MACHINE, TOLD)
    assert (run.status, run.path[-3:]) == ("SUCCEEDED", ["Abort", "Outcome", last])


def test_backup_says_how_to_go_on_when_even_abort_fails(machines: Machines, script: Script) -> None:
    script.say("begin", DiskSnapshotFailed("EC2 could not make snap-1"))
    script.say("abort", RuntimeError("no network"))
    run = machines.run(MACHINE, TOLD)
    assert run.error == "AbortFailed"
    assert run.cause is not None
    assert "next attempt number" in run.cause
    assert "no network" in run.cause

"""The state machine of restores and templates: which way an execution takes, whatever its phases answer."""

import pytest

from tests.workflow.scripted import Machines, Script
from tidemark.errors import BlockDamaged, DisksRefused, PackCorrupt, TaskEnded, Throttled

MACHINE = "VolumeRestoreStateMachine"
TOLD = {"environment": "compute-on/test_area", "taskId": "c2c13744-8610-4012-800a-0907bea110a5"}
IDS = {**TOLD, "attempt": 1}
WORK_KEY = "work-lists/volume-restores/c2c13744-8610-4012-800a-0907bea110a5.json"
BEGUN = {"operation": "restore", "shards": 2, "workKey": WORK_KEY, "over": False}
READY = {"ready": True, "waitSeconds": 0}
LATER = {"ready": False, "waitSeconds": 2}
FAILED = {"status": "failed", "error": "PackCorrupt", "message": "block 7 in pack 1 is damaged"}
WRITTEN = ["Begin", "StillWanted", "WriteShards", "Complete", "AwaitTarget", "TargetReady"]
MADE = [*WRITTEN, "MakeVolume", "VolumeReady", "Finish", "HowItEnded", "Made"]
ABORTED = ["Abort", "Outcome", "RestoreFailed"]


@pytest.fixture
def script(machines: Machines) -> Script:
    """Phases in which all goes well."""
    script = Script(
        {
            "begin": BEGUN,
            "write_shard": {"done": True},
            "complete": {"completed": True},
            "await_target": READY,
            "make_volume": READY,
            "register_image": READY,
            "finish": {"status": "success", "madeId": "vol-1"},
            "abort": FAILED,
        }
    )
    machines.use(script)
    machines.put(WORK_KEY, [{"shard": 0}, {"shard": 2}])
    return script


def test_restore_writes_every_shard_and_makes_a_volume_when_all_goes_well(machines: Machines, script: Script) -> None:
    run = machines.run(MACHINE, IDS)
    assert (run.status, run.path) == ("SUCCEEDED", MADE)
    assert sorted(call["shard"] for call in script.calls["write_shard"]) == [0, 2]
    assert all({**call, "shard": 0} == {**TOLD, "shard": 0} for call in script.calls["write_shard"])
    for phase in ("begin", "complete", "await_target", "make_volume", "finish"):
        assert script.calls[phase] == [TOLD], phase
    assert script.calls["register_image"] == []


def test_template_registers_an_image_and_makes_no_volume(machines: Machines, script: Script) -> None:
    script.say("begin", {**BEGUN, "operation": "create-template"})
    run = machines.run(MACHINE, IDS)
    assert run.path == [*WRITTEN, "RegisterImage", "ImageReady", "Finish", "HowItEnded", "Made"]
    assert (script.calls["register_image"], script.calls["make_volume"]) == ([TOLD], [])


def test_image_of_zeros_is_completed_without_a_shard(machines: Machines, script: Script) -> None:
    script.say("begin", {**BEGUN, "shards": 0})
    run = machines.run(MACHINE, IDS)
    assert run.path == [state for state in MADE if state != "WriteShards"]
    assert script.calls["write_shard"] == []


def test_shard_whose_time_was_not_enough_is_written_on(machines: Machines, script: Script) -> None:
    machines.put(WORK_KEY, [{"shard": 1}])
    script.say("write_shard", {"done": False}, {"done": False}, {"done": True})
    assert machines.run(MACHINE, IDS).path == MADE
    assert script.calls["write_shard"] == [{**TOLD, "shard": 1}] * 3


@pytest.mark.parametrize(
    ("operation", "phase", "loop"),
    [
        ("restore", "await_target", ["WaitForTarget", "AwaitTarget", "TargetReady"]),
        ("restore", "make_volume", ["WaitForVolume", "MakeVolume", "VolumeReady"]),
        ("create-template", "register_image", ["WaitForImage", "RegisterImage", "ImageReady"]),
    ],
)
def test_what_is_not_ready_is_looked_at_again(
    machines: Machines, script: Script, operation: str, phase: str, loop: list[str]
) -> None:
    script.say("begin", {**BEGUN, "operation": operation})
    script.say(phase, LATER, LATER, READY)
    run = machines.run(MACHINE, IDS)
    assert run.status == "SUCCEEDED"
    at = run.path.index(loop[0])
    assert run.path[at : at + 6] == [*loop, *loop]
    assert len(script.calls[phase]) == 3


def test_task_that_is_over_already_is_only_cleared_away(machines: Machines, script: Script) -> None:
    script.say("begin", {**BEGUN, "over": True, "shards": 0, "workKey": ""})
    script.say("finish", {"status": "failed", "madeId": None})
    run = machines.run(MACHINE, IDS)
    assert (run.status, run.path) == ("SUCCEEDED", ["Begin", "StillWanted", "Finish", "HowItEnded", "AlreadyOver"])


@pytest.mark.parametrize("phase", ["write_shard", "complete", "await_target", "make_volume"])
def test_cancelled_task_ends_well_wherever_that_is_noticed(machines: Machines, script: Script, phase: str) -> None:
    over = TaskEnded("the task is over: it is failed")
    phases = ["write_shard", "complete", "await_target", "make_volume"]
    for later in phases[phases.index(phase) :]:
        script.say(later, over)
    script.say("finish", {"status": "failed", "madeId": None})
    run = machines.run(MACHINE, IDS)
    assert (run.status, run.path[-3:]) == ("SUCCEEDED", ["Finish", "HowItEnded", "AlreadyOver"])
    assert script.calls["abort"] == []


@pytest.mark.parametrize("phase", ["begin", "complete", "await_target", "make_volume"])
def test_failure_of_a_phase_is_recorded_and_fails_the_execution(machines: Machines, script: Script, phase: str) -> None:
    script.say(phase, DisksRefused("EC2 refuses it to this account"))
    run = machines.run(MACHINE, IDS)
    assert (run.status, run.path[-3:]) == ("FAILED", ABORTED)
    assert (run.error, run.cause) == (FAILED["error"], FAILED["message"])
    [call] = script.calls["abort"]
    assert (call["error"], "EC2 refuses it" in call["cause"]) == ("DisksRefused", True)


def test_damaged_block_is_named_by_the_shard_that_met_it_and_is_not_tried_again(
    machines: Machines, script: Script
) -> None:
    machines.put(WORK_KEY, [{"shard": 0}])
    script.say("write_shard", PackCorrupt("block 7 in pack 1 is damaged"))
    run = machines.run(MACHINE, IDS)
    assert (run.status, run.path[-3:]) == ("FAILED", ABORTED)
    assert len(script.calls["write_shard"]) == 1
    first, second = script.calls["abort"]
    assert (first["error"], "block 7 in pack 1" in first["cause"]) == ("PackCorrupt", True)
    assert second["error"] == "States.ExceedToleratedFailureThreshold"


@pytest.mark.parametrize("phase", ["begin", "write_shard", "complete", "await_target", "make_volume", "finish"])
def test_throttled_phase_is_tried_again(machines: Machines, script: Script, phase: str) -> None:
    machines.put(WORK_KEY, [{"shard": 0}])
    answer = script.answer(phase)
    script.say(phase, Throttled("EBS is busy"), Throttled("EBS is busy"), answer)
    assert machines.run(MACHINE, IDS).path == MADE
    assert len(script.calls[phase]) == 3


def test_wrong_checksum_of_the_whole_is_not_tried_again(machines: Machines, script: Script) -> None:
    script.say("complete", BlockDamaged("snap-1 has other blocks"))
    assert machines.run(MACHINE, IDS).path[-3:] == ABORTED
    assert len(script.calls["complete"]) == 1


def test_task_that_had_succeeded_stays_so_when_finish_fails(machines: Machines, script: Script) -> None:
    script.say("finish", DisksRefused("EC2 refuses it to this account"))
    script.say("abort", {"status": "success", "error": "DisksRefused", "message": "EC2 refuses it to this account"})
    run = machines.run(MACHINE, IDS)
    assert (run.status, run.path[-3:]) == ("SUCCEEDED", ["Abort", "Outcome", "Made"])


def test_task_that_was_cancelled_while_a_phase_failed_is_no_failure_of_the_service(
    machines: Machines, script: Script
) -> None:
    script.say("complete", BlockDamaged("snap-1 has other blocks"))
    script.say("abort", {"status": "failed", "error": "TaskCancelled", "message": "the task was cancelled"})
    run = machines.run(MACHINE, IDS)
    assert (run.status, run.path[-3:]) == ("SUCCEEDED", ["Abort", "Outcome", "AlreadyOver"])


def test_task_that_cannot_be_ended_says_what_to_do(machines: Machines, script: Script) -> None:
    script.say("complete", BlockDamaged("snap-1 has other blocks"))
    script.say("abort", DisksRefused("EC2 refuses it to this account"))
    run = machines.run(MACHINE, IDS)
    assert (run.status, run.error) == ("FAILED", "AbortFailed")
    assert "next collection" in (run.cause or "")

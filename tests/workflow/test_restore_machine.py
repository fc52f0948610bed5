"""restore.asl.json: the way that a restore takes through its phases, whatever they answer."""

from typing import Any

import pytest

from tests.workflow.scripted import Machines, Script
from tidemark.errors import (
    AwsFailure,
    GatesClosed,
    PackCorrupt,
    RestoreCancelled,
    RestoreOutpaced,
    Throttled,
    VerificationFailed,
)

MACHINE = "RestoreStateMachine"
TOLD = {"tenant": "smartcity", "restoreId": "restore_1", "attempt": 1}
WORK_KEY = "work-lists/smartcity/restore_1.json"
WORK: list[dict[str, Any]] = [
    {"part": 0, "shard": 0, "fromKey": None, "toKey": "Room\x1froom-5\x1f/"},
    {"part": 1, "shard": 0, "fromKey": "Room\x1froom-5\x1f/", "toKey": None},
    {"part": 2, "shard": 1, "fromKey": None, "toKey": None},
]
PLANNED = {"token": 7, "resumeAt": "Stage", "workKey": WORK_KEY, "parts": 3, "shards": [0, 1], "partial": False}
CUT_OVER = {"preserve": True, "safetySnapshotId": "snapshot_2", "shards": [0, 1]}
NOT_PRESERVING: dict[str, Any] = {"preserve": False, "safetySnapshotId": None, "shards": []}
ROLLED_BACK = {
    "done": True,
    "status": "failed",
    "token": 8,
    "resumeAt": None,
    "error": "PackCorrupt",
    "message": "pack p is damaged",
}
IDS = {"tenant": "smartcity", "restoreId": "restore_1"}
BEFORE = ["Plan", "Resume", "Stage", "Verify", "KeepsOthers", "Cutover"]
CATCHING_UP = ["CatchUp", "CaughtUp"]
PRESERVING = ["SafetyWanted", "Preserve", "SealSafetySnapshot"]
RETIRING = ["DrainReads", "Retire", "Retired"]


@pytest.fixture
def script(machines: Machines) -> Script:
    """Phases in which all goes well."""
    script = Script(
        {
            "plan": PLANNED,
            "stage": {"records": 4, "done": True},
            "verify": {"records": 6},
            "catch_up": {"done": True},
            "cutover": CUT_OVER,
            "copy_shard": {"records": 6},
            "seal": {"snapshotId": "snapshot_2", "status": "completed", "entityCount": 12},
            "retire": {"done": True},
            "rollback": ROLLED_BACK,
        }
    )
    machines.put(WORK_KEY, WORK)
    machines.use(script)
    return script


def _by(calls: list[Any], member: str) -> list[Any]:
    return sorted(calls, key=lambda call: call[member])


def test_restore_goes_through_every_phase_when_all_goes_well(machines: Machines, script: Script) -> None:
    run = machines.run(MACHINE, TOLD)
    assert run.status == "SUCCEEDED"
    assert run.path == [*BEFORE, *PRESERVING, *RETIRING, "Completed"]
    fenced = {**IDS, "token": 7}
    assert script.calls["plan"] == [TOLD]
    assert _by(script.calls["stage"], "part") == [{**fenced, **part} for part in WORK]
    assert _by(script.calls["verify"], "shard") == [{**fenced, "shard": shard} for shard in (0, 1)]
    assert script.calls["cutover"] == [fenced]
    safety = {"tenant": "smartcity", "snapshotId": "snapshot_2", "token": 7}
    assert _by(script.calls["copy_shard"], "shard") == [{**safety, "shard": shard} for shard in (0, 1)]
    assert script.calls["seal"] == [safety]
    assert script.calls["retire"] == [fenced]
    assert script.calls["rollback"] == []


def test_restore_preserves_nothing_when_that_was_declined(machines: Machines, script: Script) -> None:
    script.say("cutover", NOT_PRESERVING)
    run = machines.run(MACHINE, TOLD)
    assert run.path == [*BEFORE, "SafetyWanted", *RETIRING, "Completed"]


def test_restore_calls_retire_until_nothing_is_left(machines: Machines, script: Script) -> None:
    script.say("retire", {"done": False}, {"done": False}, {"done": True})
    run = machines.run(MACHINE, TOLD)
    assert run.status == "SUCCEEDED"
    assert run.path.count("Retire") == 3


def test_restore_goes_on_with_a_part_until_all_of_it_is_staged(machines: Machines, script: Script) -> None:
    some = {"records": 4, "done": False}
    machines.put(WORK_KEY, WORK[:1])
    script.say("stage", some, some, {"records": 1, "done": True})
    run = machines.run(MACHINE, TOLD)
    assert run.status == "SUCCEEDED"
    assert script.calls["stage"] == [{**IDS, "token": 7, **WORK[0]}] * 3


def test_partial_restore_catches_up_until_little_is_left(machines: Machines, script: Script) -> None:
    script.say("plan", {**PLANNED, "partial": True})
    script.say("catch_up", {"done": False}, {"done": True})
    run = machines.run(MACHINE, TOLD)
    assert run.status == "SUCCEEDED"
    assert run.path == [*BEFORE[:-1], *CATCHING_UP, *CATCHING_UP, "Cutover", *PRESERVING, *RETIRING, "Completed"]
    assert script.calls["catch_up"] == [{**IDS, "token": 7}] * 2


def test_restore_goes_on_catching_up_when_an_earlier_attempt_had_staged_all(machines: Machines, script: Script) -> None:
    script.say("plan", {**PLANNED, "partial": True, "resumeAt": "CatchUp"})
    run = machines.run(MACHINE, {**TOLD, "attempt": 2})
    assert run.path == ["Plan", "Resume", *CATCHING_UP, "Cutover", *PRESERVING, *RETIRING, "Completed"]


def test_restore_of_an_empty_snapshot_has_no_work_to_map_over(machines: Machines, script: Script) -> None:
    script.say("plan", {**PLANNED, "parts": 0, "workKey": "work-lists/smartcity/none.json"})
    run = machines.run(MACHINE, TOLD)
    assert run.status == "SUCCEEDED"
    assert run.path == [*(state for state in BEFORE if state != "Stage"), *PRESERVING, *RETIRING, "Completed"]


def test_restore_rolls_back_and_says_why_when_writers_are_too_fast_for_it(machines: Machines, script: Script) -> None:
    script.say("plan", {**PLANNED, "partial": True})
    script.say("catch_up", {"done": False}, RestoreOutpaced("writers are too fast"))
    script.say("rollback", {**ROLLED_BACK, "error": "RestoreOutpaced", "message": "writers are too fast"})
    run = machines.run(MACHINE, TOLD)
    assert run.path[-5:] == ["CaughtUp", "CatchUp", "Rollback", "Outcome", "RolledBack"]
    assert (run.error, run.cause) == ("RestoreOutpaced", "writers are too fast")
    assert len(script.calls["catch_up"]) == 2
    assert script.calls["cutover"] == []
    assert script.calls["rollback"][0]["error"] == "RestoreOutpaced"


def test_restore_does_nothing_when_it_was_over_already(machines: Machines, script: Script) -> None:
    script.say("plan", {"token": 7, "resumeAt": None, "workKey": "", "parts": 0, "shards": [], "partial": False})
    run = machines.run(MACHINE, TOLD)
    assert run.path == ["Plan", "Resume", "AlreadyOver"]
    assert run.status == "SUCCEEDED"


def test_restore_stages_nothing_when_an_earlier_attempt_had_cut_over(machines: Machines, script: Script) -> None:
    script.say("plan", {**PLANNED, "resumeAt": "Cutover"})
    run = machines.run(MACHINE, {**TOLD, "attempt": 2})
    assert run.path == ["Plan", "Resume", "ConfirmCutover", *PRESERVING, *RETIRING, "Completed"]
    assert script.calls["stage"] == []


@pytest.mark.parametrize("phase", ["plan", "stage", "verify", "cutover"])
def test_restore_rolls_back_and_says_why_when_a_phase_fails(machines: Machines, script: Script, phase: str) -> None:
    script.say(phase, PackCorrupt("pack p is damaged"))
    run = machines.run(MACHINE, TOLD)
    assert run.status == "FAILED"
    assert run.path[-3:] == ["Rollback", "Outcome", "RolledBack"]
    assert (run.error, run.cause) == ("PackCorrupt", "pack p is damaged")
    assert script.calls["retire"] == []
    assert script.calls["copy_shard"] == []
    (rollback,) = script.calls["rollback"]
    # A Distributed Map does not pass on why an item failed: the phase notes it on the restore's record.
    caught = "States.ExceedToleratedFailureThreshold" if phase == "stage" else "PackCorrupt"
    assert (rollback["error"], rollback["attempt"]) == (caught, 1)


@pytest.mark.parametrize("phase", ["plan", "stage", "verify", "cutover"])
@pytest.mark.parametrize("error", [Throttled("slow down"), AwsFailure("503"), GatesClosed("a cut takes long")])
def test_restore_tries_again_when_a_failure_may_pass(
    machines: Machines, script: Script, phase: str, error: Exception
) -> None:
    well = script.answer(phase)
    script.say(phase, error, error, well)
    assert machines.run(MACHINE, TOLD).status == "SUCCEEDED"
    assert script.calls["rollback"] == []


def test_restore_gives_up_when_aws_throttles_for_ever(machines: Machines, script: Script) -> None:
    script.say("verify", Throttled("slow down"))
    run = machines.run(MACHINE, TOLD)
    assert run.path[-3:] == ["Rollback", "Outcome", "RolledBack"]
    assert script.calls["rollback"][0]["error"] == "Throttled"


def test_restore_rolls_back_when_its_list_of_work_is_missing(machines: Machines, script: Script) -> None:
    script.say("plan", {**PLANNED, "workKey": "work-lists/smartcity/nothing.json"})
    run = machines.run(MACHINE, TOLD)
    assert run.path[-3:] == ["Rollback", "Outcome", "RolledBack"]
    assert script.calls["stage"] == []


def test_restore_calls_rollback_until_nothing_is_left(machines: Machines, script: Script) -> None:
    script.say("verify", VerificationFailed("shard 1 differs"))
    unfinished = {**ROLLED_BACK, "done": False, "status": None, "error": None, "message": None}
    script.say("rollback", unfinished, unfinished, ROLLED_BACK)
    run = machines.run(MACHINE, TOLD)
    assert run.path.count("Rollback") == 3
    assert run.error == "PackCorrupt"


def test_restore_ends_well_when_it_was_cancelled(machines: Machines, script: Script) -> None:
    script.say("stage", RestoreCancelled("cancelled"))
    script.say("rollback", {**ROLLED_BACK, "status": "cancelled", "error": "RestoreCancelled"})
    run = machines.run(MACHINE, TOLD)
    assert run.status == "SUCCEEDED"
    assert run.path[-1] == "Cancelled"


@pytest.mark.parametrize("phase", ["cutover", "plan"])
def test_restore_goes_on_when_the_flip_had_happened_though_a_phase_failed(
    machines: Machines, script: Script, phase: str
) -> None:
    well = script.answer(phase)
    script.say(phase, RuntimeError("connection closed"), well)
    script.say("rollback", {**ROLLED_BACK, "status": None, "resumeAt": "Cutover", "error": None, "message": None})
    run = machines.run(MACHINE, TOLD)
    assert run.status == "SUCCEEDED"
    ending = ["Rollback", "Outcome", "GoOn", "ConfirmCutover", *PRESERVING, *RETIRING, "Completed"]
    assert run.path[-len(ending) :] == ending
    # Rollback took the lease under a new token, which alone is valid now.
    assert {call["token"] for call in script.calls["copy_shard"] + script.calls["retire"]} == {8}


@pytest.mark.parametrize("phase", ["copy_shard", "seal"])
def test_restore_is_never_undone_when_the_safety_snapshot_fails(machines: Machines, script: Script, phase: str) -> None:
    script.say(phase, RuntimeError("disk on fire"))
    run = machines.run(MACHINE, TOLD)
    assert (run.status, run.path[-1], run.error) == ("FAILED", "PreserveFailed", "PreserveFailed")
    assert run.cause is not None
    assert "The restore took effect" in run.cause
    assert "disk on fire" in run.cause
    assert script.calls["rollback"] == []
    assert script.calls["retire"] == []


def test_restore_keeps_trying_to_preserve_when_aws_fails_for_long(machines: Machines, script: Script) -> None:
    script.say("seal", *[AwsFailure("503")] * 30, script.answer("seal"))
    assert machines.run(MACHINE, TOLD).status == "SUCCEEDED"
    assert len(script.calls["seal"]) == 31


def test_restore_is_never_undone_when_the_old_generation_cannot_be_deleted(machines: Machines, script: Script) -> None:
    script.say("retire", RuntimeError("no permission"))
    run = machines.run(MACHINE, TOLD)
    assert (run.status, run.error) == ("FAILED", "RetireFailed")
    assert script.calls["rollback"] == []


def test_restore_says_how_to_go_on_when_even_rollback_fails(machines: Machines, script: Script) -> None:
    script.say("verify", VerificationFailed("shard 1 differs"))
    script.say("rollback", RuntimeError("no network"))
    run = machines.run(MACHINE, TOLD)
    assert run.error == "RollbackFailed"
    assert run.cause is not None
    assert "Live data is unchanged" in run.cause
    assert "next attempt number" in run.cause

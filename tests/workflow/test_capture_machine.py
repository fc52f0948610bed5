"""capture.asl.json: the way that a capture takes through its phases, whatever they answer."""

import pytest

from tests.workflow.scripted import Machines, Script
from tidemark.errors import LeaseLost, ManifestCorrupt, Throttled

MACHINE = "CaptureStateMachine"
TOLD = {"tenant": "smartcity", "snapshotId": "snapshot_1", "captureId": "capture_1", "attempt": 1, "delaySeconds": 0}
BEGUN = {"token": 5, "shards": [0, 1, 2], "over": False, "dryRun": False}
SEALED = {"snapshotId": "snapshot_1", "status": "completed", "entityCount": 12}


@pytest.fixture
def script(machines: Machines) -> Script:
    """Phases in which all goes well."""
    script = Script(
        {
            "begin": BEGUN,
            "copy_shard": {"records": 4},
            "seal": SEALED,
            "count_shard": {"records": 4},
            "conclude": {"records": 12},
            "abort": {"status": "failed", "error": "ManifestCorrupt", "message": "shard 1 is gone"},
        }
    )
    machines.use(script)
    return script


def test_capture_copies_every_shard_and_seals_when_all_goes_well(machines: Machines, script: Script) -> None:
    run = machines.run(MACHINE, TOLD)
    assert run.path == ["Delay", "Begin", "StillWanted", "CopyShards", "Seal", "Completed"]
    assert run.status == "SUCCEEDED"
    assert run.output["snapshot"] == SEALED
    ids = {"tenant": "smartcity", "snapshotId": "snapshot_1"}
    assert script.calls["begin"] == [{**ids, "captureId": "capture_1", "attempt": 1}]
    copied = sorted(script.calls["copy_shard"], key=lambda call: call["shard"])
    assert copied == [{**ids, "token": 5, "shard": shard} for shard in (0, 1, 2)]
    assert script.calls["seal"] == [{**ids, "token": 5}]


def test_capture_does_nothing_when_it_was_ended_meanwhile(machines: Machines, script: Script) -> None:
    script.say("begin", {**BEGUN, "shards": [], "over": True})
    run = machines.run(MACHINE, TOLD)
    assert run.path == ["Delay", "Begin", "StillWanted", "AlreadyOver"]
    assert run.status == "SUCCEEDED"


def test_dry_run_counts_every_shard_and_concludes(machines: Machines, script: Script) -> None:
    script.say("begin", {**BEGUN, "dryRun": True})
    run = machines.run(MACHINE, {**TOLD, "snapshotId": "plan_1", "captureId": "plan_1"})
    assert run.path == ["Delay", "Begin", "StillWanted", "CountShards", "Conclude", "Completed"]
    assert run.status == "SUCCEEDED"
    ids = {"tenant": "smartcity", "planId": "plan_1", "token": 5}
    counted = sorted(script.calls["count_shard"], key=lambda call: call["shard"])
    assert counted == [{**ids, "shard": shard} for shard in (0, 1, 2)]
    assert script.calls["conclude"] == [ids]
    assert script.calls["copy_shard"] == script.calls["seal"] == []


@pytest.mark.parametrize("phase", ["count_shard", "conclude"])
def test_dry_run_aborts_and_says_why_when_a_phase_fails(machines: Machines, script: Script, phase: str) -> None:
    script.say("begin", {**BEGUN, "dryRun": True})
    script.say(phase, ManifestCorrupt("shard 1 is gone"))
    run = machines.run(MACHINE, {**TOLD, "snapshotId": "plan_1", "captureId": "plan_1"})
    assert (run.status, run.path[-3:]) == ("FAILED", ["Abort", "Outcome", "CaptureFailed"])
    (aborted,) = script.calls["abort"]
    assert (aborted["snapshotId"], aborted["error"]) == ("plan_1", "ManifestCorrupt")


def test_capture_tries_again_when_aws_throttles(machines: Machines, script: Script) -> None:
    script.say("copy_shard", Throttled("slow down"), Throttled("slow down"), {"records": 4})
    run = machines.run(MACHINE, TOLD)
    assert run.status == "SUCCEEDED"
    assert len(script.calls["copy_shard"]) == 5


@pytest.mark.parametrize("phase", ["begin", "copy_shard", "seal"])
def test_capture_aborts_and_says_why_when_a_phase_fails(machines: Machines, script: Script, phase: str) -> None:
    script.say(phase, ManifestCorrupt("shard 1 is gone"))
    run = machines.run(MACHINE, TOLD)
    assert run.status == "FAILED"
    assert run.path[-3:] == ["Abort", "Outcome", "CaptureFailed"]
    assert (run.error, run.cause) == ("ManifestCorrupt", "shard 1 is gone")
    (aborted,) = script.calls["abort"]
    assert aborted["error"] == "ManifestCorrupt"
    assert "shard 1 is gone" in aborted["cause"]
    assert (aborted["captureId"], aborted["attempt"]) == ("capture_1", 1)


def test_capture_is_not_tried_again_when_its_lease_is_lost(machines: Machines, script: Script) -> None:
    script.say("seal", LeaseLost("somebody took over"))
    assert machines.run(MACHINE, TOLD).status == "FAILED"
    assert len(script.calls["seal"]) == 1


def test_capture_succeeds_when_only_the_answer_of_seal_was_lost(machines: Machines, script: Script) -> None:
    script.say("seal", RuntimeError("connection closed"))
    script.say("abort", {"status": "completed", "error": "InternalError", "message": "connection closed"})
    run = machines.run(MACHINE, TOLD)
    assert run.status == "SUCCEEDED"
    assert run.path[-2:] == ["Outcome", "Completed"]


def test_capture_says_how_to_go_on_when_even_abort_fails(machines: Machines, script: Script) -> None:
    script.say("begin", ManifestCorrupt("shard 1 is gone"))
    script.say("abort", RuntimeError("no network"))
    run = machines.run(MACHINE, TOLD)
    assert run.error == "AbortFailed"
    assert run.cause is not None
    assert "next attempt number" in run.cause
    assert "no network" in run.cause

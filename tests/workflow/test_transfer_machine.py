"""The state machine of transfers: which way an execution takes, whatever its phases answer."""

import pytest

from tests.workflow.scripted import Machines, Script
from tidemark.errors import ImportRefused, PackCorrupt, Throttled, TransferEnded

MACHINE = "TransferStateMachine"
IDS = {"tenant": "staging", "snapshotId": "snapshot_1", "transferId": "copy_1", "attempt": 1}
PLACE = {"form": "line", "number": 5, "offset": 70, "records": 5, "digest": "a1"}
SEALED = {"snapshotId": "snapshot_1", "status": "completed", "entityCount": 12}


@pytest.fixture
def script(machines: Machines) -> Script:
    """Phases in which all goes well."""
    script = Script(
        {
            "begin": {"kind": "copy", "shards": [0, 1, 2], "files": [], "over": False},
            "copy_packs": {"records": 4},
            "merge_shard": {"records": 4},
            "sort_file": {"done": True, "place": None},
            "build_shard": {"records": 4},
            "publish": {"digest": "d1"},
            "seal": SEALED,
            "abort": {"status": "failed", "error": "PackCorrupt", "message": "pack 1 is gone"},
        }
    )
    machines.use(script)
    return script


def test_copy_copies_every_shard_and_seals_when_all_goes_well(machines: Machines, script: Script) -> None:
    run = machines.run(MACHINE, IDS)
    assert run.path == ["Begin", "Kind", "CopyShards", "Seal", "Completed"]
    assert run.status == "SUCCEEDED"
    assert run.output["snapshot"] == SEALED
    assert script.calls["begin"] == script.calls["seal"] == [IDS]
    copied = sorted(script.calls["copy_packs"], key=lambda call: call["shard"])
    assert copied == [{**IDS, "shard": shard} for shard in (0, 1, 2)]


def test_export_merges_the_shards_that_begin_names_and_publishes(machines: Machines, script: Script) -> None:
    script.say("begin", {"kind": "export", "shards": [1, 3], "files": [], "over": False})
    run = machines.run(MACHINE, IDS)
    assert run.path == ["Begin", "Kind", "MergeShards", "Publish", "Completed"]
    assert run.output["published"] == {"digest": "d1"}
    assert sorted(call["shard"] for call in script.calls["merge_shard"]) == [1, 3]
    assert script.calls["publish"] == [IDS]
    assert script.calls["seal"] == []


def test_import_sorts_every_file_builds_every_shard_and_seals(machines: Machines, script: Script) -> None:
    script.say("begin", {"kind": "import", "shards": [0, 1], "files": [0], "over": False})
    first, second = PLACE, {**PLACE, "number": 9}
    script.say(
        "sort_file",
        {"done": False, "place": first},
        {"done": False, "place": second},
        {"done": True, "place": None},
    )
    run = machines.run(MACHINE, IDS)
    assert run.path == ["Begin", "Kind", "SortFiles", "BuildShards", "Seal", "Completed"]
    assert script.calls["sort_file"] == [{**IDS, "file": 0, "place": place} for place in (0, first, second)]
    assert sorted(call["shard"] for call in script.calls["build_shard"]) == [0, 1]


def test_import_without_files_is_sealed_at_once(machines: Machines, script: Script) -> None:
    script.say("begin", {"kind": "import", "shards": [0], "files": [], "over": False})
    assert machines.run(MACHINE, IDS).status == "SUCCEEDED"
    assert script.calls["sort_file"] == []


@pytest.mark.parametrize("phase", ["sort_file", "build_shard", "seal"])
def test_refused_import_is_no_failure_of_the_service(machines: Machines, script: Script, phase: str) -> None:
    script.say("begin", {"kind": "import", "shards": [0], "files": [0], "over": False})
    script.say(phase, ImportRefused("file 'a', line 2: it is not JSON"))
    script.say("abort", {"status": "failed", "error": "ImportRefused", "message": "file 'a', line 2: it is not JSON"})
    run = machines.run(MACHINE, IDS)
    assert (run.status, run.path[-3:]) == ("SUCCEEDED", ["Abort", "Outcome", "Refused"])
    (aborted,) = script.calls["abort"]
    assert aborted["error"] == "ImportRefused"
    assert "line 2" in aborted["cause"]


@pytest.mark.parametrize("phase", ["begin", "copy_packs", "seal"])
def test_transfer_that_somebody_cancels_is_no_failure_of_the_service(
    machines: Machines, script: Script, phase: str
) -> None:
    script.say(phase, TransferEnded("snapshot_1 is deleted"))
    script.say("abort", {"status": "deleted", "error": "TransferEnded", "message": "snapshot_1 is deleted"})
    run = machines.run(MACHINE, IDS)
    assert (run.status, run.path[-3:]) == ("SUCCEEDED", ["Abort", "Outcome", "Cancelled"])


def test_transfer_does_nothing_when_it_was_ended_meanwhile(machines: Machines, script: Script) -> None:
    script.say("begin", {"kind": "copy", "shards": [], "files": [], "over": True})
    run = machines.run(MACHINE, IDS)
    assert (run.path, run.status) == (["Begin", "Kind", "AlreadyOver"], "SUCCEEDED")


def test_transfer_tries_again_when_aws_throttles(machines: Machines, script: Script) -> None:
    script.say("copy_packs", Throttled("slow down"), Throttled("slow down"), {"records": 4})
    assert machines.run(MACHINE, IDS).status == "SUCCEEDED"
    assert len(script.calls["copy_packs"]) == 5


@pytest.mark.parametrize("phase", ["begin", "copy_packs", "seal"])
def test_transfer_aborts_and_says_why_when_a_phase_fails(machines: Machines, script: Script, phase: str) -> None:
    script.say(phase, PackCorrupt("pack 1 is gone"))
    run = machines.run(MACHINE, IDS)
    assert run.status == "FAILED"
    assert run.path[-3:] == ["Abort", "Outcome", "TransferFailed"]
    assert (run.error, run.cause) == ("PackCorrupt", "pack 1 is gone")
    (aborted,) = script.calls["abort"]
    assert aborted["error"] == "PackCorrupt"
    assert "pack 1 is gone" in aborted["cause"]
    assert {name: aborted[name] for name in IDS} == IDS


def test_transfer_is_not_tried_again_when_another_execution_drives_it(machines: Machines, script: Script) -> None:
    script.say("seal", TransferEnded("execution 2 drives it"))
    assert machines.run(MACHINE, IDS).status == "FAILED"
    assert len(script.calls["seal"]) == 1


def test_transfer_succeeds_when_only_the_answer_of_seal_was_lost(machines: Machines, script: Script) -> None:
    script.say("seal", RuntimeError("connection closed"))
    script.say("abort", {"status": "completed", "error": "InternalError", "message": "connection closed"})
    run = machines.run(MACHINE, IDS)
    assert (run.status, run.path[-2:]) == ("SUCCEEDED", ["Outcome", "Completed"])


def test_transfer_says_how_to_go_on_when_even_abort_fails(machines: Machines, script: Script) -> None:
    script.say("begin", PackCorrupt("pack 1 is gone"))
    script.say("abort", RuntimeError("no network"))
    run = machines.run(MACHINE, IDS)
    assert run.error == "AbortFailed"
    assert run.cause is not None
    assert "next attempt number" in run.cause
    assert "no network" in run.cause

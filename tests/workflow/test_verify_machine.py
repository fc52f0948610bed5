"""verify.asl.json and scrub.asl.json: the way that each takes, whatever its phases answer."""

import pytest

from tests.workflow.scripted import Machines, Script
from tidemark.errors import ManifestCorrupt, PackCorrupt, SnapshotNotFound, Throttled

VERIFY = "VerifyStateMachine"
SCRUB = "ScrubStateMachine"
IDS = {"tenant": "smartcity", "snapshotId": "snapshot_1"}
TOLD = {**IDS, "verificationId": "verification_1_3", "attempt": 1}
CHECKED = {"packs": 2, "sizeBytes": 900}


@pytest.fixture
def script(machines: Machines) -> Script:
    """Phases in which all goes well."""
    script = Script(
        {
            "list_packs": {"shards": [0, 2, 3]},
            "verify_shard": CHECKED,
            "record_verification": {"status": "passed"},
            "scrub": {"done": True, "packs": 4, "sizeBytes": 90, "damaged": 0, "next": {"day": 5}},
        }
    )
    machines.use(script)
    return script


def test_verify_reads_every_shard_and_records_what_was_read(machines: Machines, script: Script) -> None:
    run = machines.run(VERIFY, TOLD)
    assert run.path == ["ListPacks", "VerifyShards", "Record", "Recorded"]
    assert run.status == "SUCCEEDED"
    assert run.output["verification"] == {"status": "passed"}
    assert script.calls["list_packs"] == [IDS]
    read = sorted(script.calls["verify_shard"], key=lambda call: call["shard"])
    assert read == [{**IDS, "shard": shard} for shard in (0, 2, 3)]
    assert script.calls["record_verification"] == [{**IDS, "checked": [CHECKED] * 3}]


def test_verify_records_an_empty_snapshot_too(machines: Machines, script: Script) -> None:
    script.say("list_packs", {"shards": []})
    assert machines.run(VERIFY, TOLD).status == "SUCCEEDED"
    assert script.calls["record_verification"] == [{**IDS, "checked": []}]


@pytest.mark.parametrize(
    ("phase", "error"),
    [
        ("list_packs", ManifestCorrupt("manifest m is missing")),
        ("verify_shard", PackCorrupt("pack p is missing")),
        ("verify_shard", ManifestCorrupt("manifest m, shard 3, says 7 entities")),
    ],
)
def test_verify_records_the_damage_that_a_phase_finds(
    machines: Machines, script: Script, phase: str, error: Exception
) -> None:
    script.say(phase, error)
    script.say("record_verification", {"status": "failed"})
    run = machines.run(VERIFY, TOLD)
    assert run.path[-2:] == ["RecordDamage", "Recorded"]
    assert run.status == "SUCCEEDED"
    (told,) = script.calls["record_verification"]
    assert (told["tenant"], told["snapshotId"], told["error"]) == ("smartcity", "snapshot_1", type(error).__name__)
    assert str(error) in told["cause"]


@pytest.mark.parametrize("phase", ["list_packs", "verify_shard", "record_verification"])
@pytest.mark.parametrize("error", [SnapshotNotFound("it was deleted"), RuntimeError("out of order")])
def test_verify_fails_and_records_no_damage_when_it_could_not_find_out(
    machines: Machines, script: Script, phase: str, error: Exception
) -> None:
    script.say(phase, error)
    run = machines.run(VERIFY, TOLD)
    assert (run.status, run.path[-1], run.error) == ("FAILED", "NotVerified", type(error).__name__)
    assert all("error" not in told for told in script.calls["record_verification"])


@pytest.mark.parametrize("phase", ["list_packs", "verify_shard", "record_verification"])
def test_verify_tries_again_when_aws_throttles(machines: Machines, script: Script, phase: str) -> None:
    answer = script.answer(phase)
    script.say(phase, Throttled("slow down"), Throttled("slow down"), answer)
    run = machines.run(VERIFY, TOLD)
    assert run.status == "SUCCEEDED"
    assert run.output["verification"] == {"status": "passed"}


@pytest.mark.parametrize("told", [{}, {"day": 20_468}, {"day": 20_468, "tenant": "smartcity", "key": "k"}])
def test_scrub_goes_on_from_place_to_place_until_all_is_read(
    machines: Machines, script: Script, told: dict[str, object]
) -> None:
    answer = {"packs": 4, "sizeBytes": 90, "damaged": 1}
    places = [{"day": 5, "tenant": "a", "key": key} for key in ("k", "l")]
    script.say(
        "scrub",
        {**answer, "done": False, "next": places[0]},
        {**answer, "done": False, "next": places[1]},
        {**answer, "done": True, "next": places[1]},
    )
    run = machines.run(SCRUB, told)
    assert run.status == "SUCCEEDED"
    assert run.path == ["Begin", "Scrub", "IsAllRead", "Scrub", "IsAllRead", "Scrub", "IsAllRead", "Scrubbed"]
    assert script.calls["scrub"] == [told, *places]


def test_scrub_tries_again_when_aws_throttles(machines: Machines, script: Script) -> None:
    script.say("scrub", Throttled("slow down"), script.answer("scrub"))
    assert machines.run(SCRUB, {}).status == "SUCCEEDED"
    assert script.calls["scrub"] == [{}, {}]


def test_scrub_fails_by_name_when_it_can_not_go_on(machines: Machines, script: Script) -> None:
    script.say("scrub", RuntimeError("out of order"))
    run = machines.run(SCRUB, {})
    assert (run.status, run.path[-1], run.error) == ("FAILED", "ScrubFailed", "RuntimeError")
    assert "out of order" in (run.cause or "")

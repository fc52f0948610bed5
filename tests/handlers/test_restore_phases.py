"""The functions of a restore, run one after the other as the state machine does."""

import json
from dataclasses import replace
from typing import Any

import pytest

from functions.capture.copy_shard.handler import handler as copy_shard
from functions.capture.seal.handler import handler as seal
from functions.restore.catch_up.handler import handler as catch_up
from functions.restore.cutover.handler import handler as cutover
from functions.restore.plan.handler import handler as plan
from functions.restore.retire.handler import handler as retire
from functions.restore.rollback.handler import handler as rollback
from functions.restore.stage.handler import handler as stage
from functions.restore.verify.handler import handler as verify
from tests.fakes import MemoryPayloads
from tests.handlers.phases import TENANT, Handler, Left, run, stored, write
from tests.handlers.rest import sample
from tidemark import bootstrap
from tidemark.domain.restore import Phase, Restore, RestoreStatus
from tidemark.domain.snapshot import Failure
from tidemark.engine import manifests, staging
from tidemark.errors import InvalidRequest, PackCorrupt, RestoreCancelled, StageIncomplete
from tidemark.ports import Ports
from tidemark.tasks import Result
from tidemark.usecases.cancel_restore import cancel_restore
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot

ENTITIES = 40


class Restoring:
    """A restore that was accepted: `then` is what the snapshot holds, `now` what readers see before the cutover."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        write(ports, *range(ENTITIES))
        self.then = stored(ports)
        snapshot = create_snapshot(ports, TENANT)
        write(ports, *range(10, ENTITIES + 10), value=1)
        self.now = stored(ports)
        self.snapshot_id = snapshot.id
        self.id = restore_snapshot(ports, TENANT, snapshot.id).id
        self.planned: Result = {}

    @property
    def record(self) -> Restore:
        return self.ports.catalog.restore(TENANT, self.id)

    @property
    def fenced(self) -> dict[str, Any]:
        """The ids that every phase after Plan is given."""
        return {"restoreId": self.id, "token": self.planned["token"]}

    def plan(self, attempt: int = 1) -> Result:
        self.planned = run(plan, "restore", "plan", restoreId=self.id, attempt=attempt)
        return self.planned

    def work(self) -> list[dict[str, Any]]:
        """The list of work, as the Distributed Map reads it."""
        work: list[dict[str, Any]] = json.loads(self.ports.payloads.get(str(self.planned["workKey"])))
        return work

    def stage(self) -> int:
        """Every part staged; the entities in all."""
        return sum(_records(run(stage, "restore", "stage", **self.fenced, **part)) for part in self.work())

    def verify(self) -> int:
        """Every shard verified; the entities in all."""
        shards = _listed(self.planned["shards"])
        return sum(_records(run(verify, "restore", "verify", **self.fenced, shard=shard)) for shard in shards)

    def cut_over(self) -> Result:
        """Planned, staged, verified and cut over."""
        self.plan()
        self.stage()
        self.verify()
        return run(cutover, "restore", "cutover", **self.fenced)

    def preserve(self, cut_over: Result) -> Result:
        """The safety snapshot copied and sealed."""
        ids: dict[str, Any] = {"snapshotId": cut_over["safetySnapshotId"], "token": self.planned["token"]}
        for shard in _listed(cut_over["shards"]):
            run(copy_shard, "capture", "copy_shard", **ids, shard=shard)
        return run(seal, "capture", "seal", **ids)

    def roll_back(self, **said: Any) -> Result:
        return run(rollback, "restore", "rollback", restoreId=self.id, **said)


def _records(result: Result) -> int:
    records = result["records"]
    assert isinstance(records, int)
    return records


def _listed(shards: object) -> list[int]:
    assert isinstance(shards, list)
    return shards


@pytest.fixture
def restoring(ports: Ports) -> Restoring:
    """A restore whose state machine was started."""
    return Restoring(ports)


def test_plan_lists_work_that_covers_the_snapshot(restoring: Restoring) -> None:
    planned = restoring.plan()
    assert planned["resumeAt"] == "Stage"
    assert planned["workKey"] == f"work-lists/{TENANT}/{restoring.id}.json"
    assert [part["part"] for part in restoring.work()] == list(range(int(str(planned["parts"]))))
    assert restoring.stage() == ENTITIES


def test_plan_answers_the_same_when_it_is_repeated(restoring: Restoring) -> None:
    first = restoring.plan()
    assert restoring.plan() == first


def test_stage_hands_over_when_its_time_is_over(restoring: Restoring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "STEP_RECORDS", 1)
    restoring.plan()
    staged = [
        run(stage, "restore", "stage", **restoring.fenced, **part, left_ms=0)
        for part in restoring.work()
        for _ in range(_records_in(restoring, part))
    ]
    assert [one["records"] for one in staged] == [1] * ENTITIES
    assert sum(one["done"] is True for one in staged) == len(restoring.work())
    assert restoring.verify() == ENTITIES


def _records_in(restoring: Restoring, part: dict[str, Any]) -> int:
    """What a part has, told by what the snapshot has of its shard."""
    snapshot = restoring.ports.catalog.snapshot(TENANT, restoring.record.snapshot_id)
    assert snapshot.manifest is not None
    shard: int = part["shard"]
    return manifests.read(restoring.ports.payloads, snapshot.manifest).shards[shard].records


def test_stage_leaves_what_readers_see_alone(restoring: Restoring) -> None:
    restoring.plan()
    restoring.stage()
    assert restoring.verify() == ENTITIES
    assert stored(restoring.ports) == restoring.now


def test_cutover_shows_readers_the_snapshot_and_answers_the_same_when_repeated(restoring: Restoring) -> None:
    first = restoring.cut_over()
    assert stored(restoring.ports) == restoring.then
    assert first["preserve"] is True
    assert run(cutover, "restore", "cutover", **restoring.fenced) == first


def test_preserve_keeps_the_state_at_the_cutover_as_a_snapshot(restoring: Restoring) -> None:
    cut_over = restoring.cut_over()
    sealed = restoring.preserve(cut_over)
    assert sealed == {
        "snapshotId": cut_over["safetySnapshotId"],
        "status": "completed",
        "entityCount": len(restoring.now),
    }
    assert run(cutover, "restore", "cutover", **restoring.fenced)["preserve"] is False


def test_retire_refuses_while_the_replaced_generation_is_not_stored(restoring: Restoring) -> None:
    restoring.cut_over()
    with pytest.raises(StageIncomplete, match="no complete safety snapshot"):
        run(retire, "restore", "retire", **restoring.fenced)


def test_retire_ends_the_restore_once_nothing_is_left(restoring: Restoring) -> None:
    restoring.preserve(restoring.cut_over())
    # An invocation that has no time left deletes nothing; the state machine calls again.
    assert run(retire, "restore", "retire", **restoring.fenced, left_ms=0) == {"done": False}
    assert run(retire, "restore", "retire", **restoring.fenced) == {"done": True}
    assert restoring.record.status is RestoreStatus.COMPLETED
    assert stored(restoring.ports) == restoring.then
    assert restoring.plan(attempt=2)["resumeAt"] is None


def test_plan_goes_on_at_the_cutover_when_an_earlier_attempt_had_flipped(restoring: Restoring) -> None:
    restoring.cut_over()
    assert restoring.plan(attempt=2)["resumeAt"] == "Cutover"


def test_rollback_leaves_live_data_as_it_was_and_records_why(restoring: Restoring) -> None:
    restoring.plan()
    restoring.stage()
    rolled = restoring.roll_back(error="VerificationFailed", cause=json.dumps({"errorMessage": "shard 1 differs"}))
    assert (rolled["done"], rolled["status"], rolled["resumeAt"]) == (True, "failed", None)
    assert (rolled["error"], rolled["message"]) == ("VerificationFailed", "shard 1 differs")
    assert restoring.record.failure == Failure("VerificationFailed", "shard 1 differs")
    assert stored(restoring.ports) == restoring.now


def test_rollback_asks_to_be_called_again_when_its_time_is_over(restoring: Restoring) -> None:
    restoring.plan()
    restoring.stage()
    assert restoring.roll_back(left_ms=0)["done"] is False
    assert restoring.record.status is RestoreStatus.RESTORING
    assert restoring.roll_back()["done"] is True


def test_rollback_does_not_undo_a_flip_and_gives_the_token_to_go_on_with(restoring: Restoring) -> None:
    restoring.cut_over()
    rolled = restoring.roll_back()
    assert (rolled["done"], rolled["status"], rolled["resumeAt"]) == (True, None, "Cutover")
    assert stored(restoring.ports) == restoring.then
    again = run(cutover, "restore", "cutover", restoreId=restoring.id, token=rolled["token"])
    assert again["preserve"] is True


def test_stage_stops_and_rollback_says_cancelled_when_that_was_asked_for(restoring: Restoring) -> None:
    restoring.plan()
    cancel_restore(restoring.ports, TENANT, restoring.id)
    with pytest.raises(RestoreCancelled):
        restoring.stage()
    assert restoring.roll_back()["status"] == "cancelled"
    assert stored(restoring.ports) == restoring.now


def test_rollback_names_the_damaged_pack_though_the_map_does_not_pass_it_on(restoring: Restoring) -> None:
    restoring.plan()
    damaged, intact = MemoryPayloads(), restoring.ports.payloads
    for key in (found.key for found in intact.list("")):
        body = intact.get(key)
        damaged.put(key, b"\0" * len(body) if key.endswith(".pack") else body)
    with bootstrap.use(replace(restoring.ports, payloads=damaged)), pytest.raises(PackCorrupt):
        restoring.stage()
    rolled = restoring.roll_back()  # the sample event: States.ExceedToleratedFailureThreshold
    assert rolled["error"] == "PackCorrupt"
    assert f"{TENANT}/packs/" in str(rolled["message"])
    assert stored(restoring.ports) == restoring.now


@pytest.mark.parametrize(
    ("function", "handler"),
    [
        ("plan", plan),
        ("stage", stage),
        ("verify", verify),
        ("catch_up", catch_up),
        ("cutover", cutover),
        ("retire", retire),
        ("rollback", rollback),
    ],
)
def test_phases_refuse_an_input_that_is_not_theirs(ports: Ports, function: str, handler: Handler) -> None:
    event = sample("restore", function)
    for wrong in (
        {key: value for key, value in event.items() if key != "restoreId"},
        {**event, "surprise": 1},
        {**event, "restoreId": 7},
    ):
        with pytest.raises(InvalidRequest, match="is not what its state machine sends"):
            handler(wrong, Left())


def test_catch_up_has_nothing_to_do_when_all_is_restored(restoring: Restoring) -> None:
    restoring.plan()
    restoring.stage()
    assert run(catch_up, "restore", "catch_up", **restoring.fenced) == {"done": True}
    assert restoring.record.phase is Phase.STAGE

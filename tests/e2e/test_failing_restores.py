"""Restores that fail, through the state machine itself: what goes wrong before the cutover is rolled back."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.e2e import walk
from tests.e2e.inside import RESTORE_MACHINE, Inside, InsideCaller
from tests.local.stack import LocalStack
from tidemark.domain.restore import RestoreId

PARAMETERS = {
    "ShardsPerTenant": "2",
    "GatesPerTenant": "2",
    "StageConcurrency": "2",
    "ShardConcurrency": "2",
    "ReadDrainSeconds": "0",
}
UP_TO = {
    "Plan": ["Plan"],
    "Stage": ["Plan", "Resume", "Stage"],
    "Verify": ["Plan", "Resume", "Stage", "Verify"],
    "Cutover": ["Plan", "Resume", "Stage", "Verify", "KeepsOthers", "Cutover"],
}
ROLLED_BACK = ["Rollback", "Outcome", "RolledBack"]
ROOMS = 12


@pytest.fixture(scope="module")
def inside() -> Iterator[Inside]:
    with LocalStack.in_process(parameters=PARAMETERS, wait_scale=0) as stack:
        yield Inside(stack)


class Ward:
    """A tenant with a good snapshot, one that tests damage, and live data that differs from both."""

    def __init__(self, inside: Inside, tenant: str) -> None:
        self.inside = inside
        self.call: InsideCaller = inside.caller(tenant)
        walk.put_rooms(self.call, ROOMS, 1)
        self.good = walk.create(self.call, "good")["id"]
        walk.put_rooms(self.call, ROOMS, 2)
        self.bad = walk.create(self.call, "to be damaged")["id"]
        walk.put_rooms(self.call, ROOMS + 3, 3)
        self.live = walk.entities(self.call)

    @property
    def a_pack(self) -> str:
        """A pack of the bad snapshot alone."""
        return self.inside.manifest(self.call.tenant, self.bad).packs[0].key

    @property
    def the_manifest(self) -> str:
        """The manifest of the bad snapshot."""
        reference = self.inside.ports.catalog.snapshot(self.call.tenant, self.bad).manifest
        assert reference is not None
        return reference.key

    def restore_fails(self, phase: str, code: str, *said: str) -> dict[str, Any]:
        """Restore the bad snapshot: it must fail in this phase, say why, and leave everything as it was."""
        inside, tenant = self.inside, self.call.tenant
        before = inside.state(tenant)
        failed = walk.restore(self.call, self.bad)
        assert (failed["status"], failed["error"]["code"]) == ("failed", code)
        for words in said:
            assert words in failed["error"]["description"]
        assert "Traceback" not in json.dumps(failed)
        assert "safetySnapshotId" not in failed
        assert inside.path(RESTORE_MACHINE, tenant, failed["id"]) == [*UP_TO[phase], *ROLLED_BACK]
        self.nothing_is_left(failed["id"])
        after = inside.state(tenant)
        assert (after.generation, after.base) == (before.generation, before.base)
        return failed

    def nothing_is_left(self, restore_id: str) -> None:
        """The live data is what it was, nothing of the new generation is stored, and nobody holds anything."""
        inside, tenant = self.inside, self.call.tenant
        restore = inside.ports.catalog.restore(tenant, RestoreId(restore_id))
        assert inside.rows(tenant, restore.generation) == []
        state = inside.state(tenant)
        assert (state.generation, state.lease) == (restore.from_generation, None)
        gates = inside.ports.table.load(tenant, gates=range(state.gates)).gates
        assert {gate.closed_by for gate in gates.values()} == {None}
        assert walk.entities(self.call) == self.live
        snapshot = self.call("GET", f"/v2/snapshots/{self.bad}").json()
        assert snapshot["status"] == "completed"
        assert "usedBy" not in snapshot

    def works_again(self) -> None:
        """Entities can be written and the good snapshot be restored."""
        walk.put_rooms(self.call, 1, 4)
        assert walk.restore(self.call, self.good)["status"] == "completed"
        assert walk.entities(self.call) == [walk.room(number, 1) for number in range(ROOMS)]


@pytest.fixture
def ward(inside: Inside, tenant: str) -> Iterator[Ward]:
    """A ward of one test; after it everything must work again."""
    made = Ward(inside, tenant)
    yield made
    made.works_again()


@pytest.mark.parametrize("harm", [Inside.damage, Inside.remove])
def test_restore_fails_in_plan_when_a_pack_is_damaged_or_missing(
    ward: Ward, harm: Callable[[Inside, str], None]
) -> None:
    harm(ward.inside, ward.a_pack)
    ward.restore_fails("Plan", "PackCorrupt", ward.a_pack)


@pytest.mark.parametrize("harm", [Inside.damage, Inside.rot, Inside.remove])
def test_restore_fails_in_plan_when_the_manifest_is_damaged_or_missing(
    ward: Ward, harm: Callable[[Inside, str], None]
) -> None:
    harm(ward.inside, ward.the_manifest)
    ward.restore_fails("Plan", "ManifestCorrupt", ward.the_manifest)


def test_restore_fails_in_stage_when_a_pack_is_not_what_its_checksum_says(ward: Ward) -> None:
    ward.inside.rot(ward.a_pack)
    ward.restore_fails("Stage", "PackCorrupt", ward.a_pack)


@pytest.mark.parametrize("harm", [Inside.damage, Inside.remove])
def test_restore_fails_in_stage_when_a_pack_is_harmed_after_plan(
    ward: Ward, harm: Callable[[Inside, str], None]
) -> None:
    pack = ward.a_pack
    harming = threading.Lock()
    harmed: list[object] = []

    def once(event: Mapping[str, Any]) -> None:
        # Workers run side by side: none may read before it is done.
        with harming:
            if not harmed:
                harm(ward.inside, pack)
                harmed.append(event)

    with ward.inside.hooked("stage", once):
        ward.restore_fails("Stage", "PackCorrupt", pack)


def _staged(ward: Ward, event: Mapping[str, Any]) -> list[dict[str, Any]]:
    restore = ward.inside.ports.catalog.restore(ward.call.tenant, RestoreId(event["restoreId"]))
    return sorted(ward.inside.rows(ward.call.tenant, restore.generation), key=lambda row: str(row["sk"]["S"]))


def _lose_one(ward: Ward, event: Mapping[str, Any]) -> None:
    row = _staged(ward, event)[0]
    keys = {"pk": row["pk"], "sk": row["sk"]}
    ward.inside.stack.client("dynamodb").delete_item(TableName=ward.inside.entities_table, Key=keys)


def _alter_one(ward: Ward, event: Mapping[str, Any]) -> None:
    row = _staged(ward, event)[0]
    row["doc"]["S"] = row["doc"]["S"].replace('"value":2', '"value":5')
    ward.inside.stack.client("dynamodb").put_item(TableName=ward.inside.entities_table, Item=row)


def _add_one(ward: Ward, event: Mapping[str, Any]) -> None:
    row = _staged(ward, event)[0]
    row["sk"]["S"] = row["sk"]["S"].replace("Room:00", "Room:99")
    ward.inside.stack.client("dynamodb").put_item(TableName=ward.inside.entities_table, Item=row)


@pytest.mark.parametrize("harm", [_lose_one, _alter_one, _add_one])
def test_restore_fails_in_verify_when_a_write_was_lost_altered_or_added(
    ward: Ward, harm: Callable[[Ward, Mapping[str, Any]], None]
) -> None:
    harmed: list[object] = []

    def once(event: Mapping[str, Any]) -> None:
        if not harmed:
            harmed.append(event)
            harm(ward, event)

    # The shards are verified side by side, so it is done before any of them can be read.
    with ward.inside.hooked("verify", _one_at_a_time(once)):
        ward.restore_fails("Verify", "VerificationFailed", "shard")


@pytest.mark.parametrize("phase", ["Plan", "Stage", "Verify", "Cutover"])
def test_restore_is_rolled_back_when_a_phase_dies(ward: Ward, phase: str) -> None:
    def die(event: Mapping[str, Any]) -> None:
        raise MemoryError("of a kind that nobody foresaw")

    with ward.inside.hooked(phase.lower(), die):
        failed = ward.restore_fails(phase, "StageIncomplete" if phase == "Stage" else "InternalError")
    assert "nobody foresaw" not in failed["error"]["description"]


def test_restore_succeeds_when_the_failure_passes(ward: Ward) -> None:
    left = {"plan": 2, "stage": 2, "verify": 2, "cutover": 2, "retire": 2}

    class Throttled(Exception):
        """As a phase names it."""

    def fail_twice(phase: str) -> Callable[[Mapping[str, Any]], None]:
        def hook(event: Mapping[str, Any]) -> None:
            if left[phase]:
                left[phase] -= 1
                raise Throttled("slow down")

        return hook

    ward.inside.hooks.before.update({phase: fail_twice(phase) for phase in left})
    try:
        done = walk.restore(ward.call, ward.bad)
    finally:
        ward.inside.hooks.before.clear()
    assert done["status"] == "completed"
    assert left == dict.fromkeys(left, 0)
    assert walk.entities(ward.call) == [walk.room(number, 2) for number in range(ROOMS)]


def _one_at_a_time(hook: Callable[[Mapping[str, Any]], None]) -> Callable[[Mapping[str, Any]], None]:
    lock = threading.Lock()

    def locked(event: Mapping[str, Any]) -> None:
        with lock:
            hook(event)

    return locked

"""Every function may do what it does and little else: a whole story is played, and each call to AWS looked at."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from tests.fakes import MemorySchedules, MemoryWorkflows
from tests.local.functions import Outcome
from tests.local.inprocess import InProcess
from tests.local.keys import headers_of, ports_of, seed_key
from tests.local.spec import FunctionSpec
from tests.local.stack import LocalStack
from tests.workflow.conftest import SMALL
from tests.workflow.image_story import ImageStory
from tests.workflow.rights import Need, granted, is_allowed, noted, taken_by_streams
from tests.workflow.upkeep_story import UpkeepStory
from tests.workflow.volume_schedules import VolumeSchedules
from tests.workflow.volume_story import VolumeStory
from tidemark.dialects.ngsi import restore_filter
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Item, ItemKey
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import STACK_SCHEDULE_ID, ScheduleStatus
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine.transfer import plans
from tidemark.usecases.copy_snapshot import copy_snapshot
from tidemark.usecases.create_schedule import ScheduleWanted, create_schedule
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_schedule import delete_schedule
from tidemark.usecases.dry_run import dry_run
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot

# The whole story is the set-up of the first test.
pytestmark = pytest.mark.timeout(900)

TENANT = Tenant("smartcity")
OTHER = Tenant("staging")
# These read objects by name and would be told so if one were missing, which does not happen in the story.
MISSABLE = (
    *("Plan", "Stage", "Verify", "CatchUp", "Cutover", "Seal", "RestoreSnapshot", "ReadInside"),
    *("DiffSnapshot", "UpdateSnapshot"),
    *("VerifySnapshot", "ListPacks", "VerifyShard", "Scrub"),
    *("ExportSnapshot", "MergeShard", "Publish", "SortFile", "GetImport", "OpenImport", "StartImport"),
    *("BeginTransfer", "CopyPacks", "SealTransfer", "ConcludeSlot"),
    "GetVolumeImage",
    *("SealVolumeBackup", "ReadBack", "FinishVolumeBackup"),
    *("BeginVolumeRestore", "WriteShard", "CompleteVolumeRestore"),
)
IF_AN_OBJECT_IS_MISSING = {(f"{phase}Function", "s3:ListBucket") for phase in MISSABLE}
# These take back what they have done if the backup was given up between two of their calls.
IF_GIVEN_UP_MEANWHILE = {
    (f"{phase}Function", f"ec2:{action}")
    for phase in ("BeginVolumeBackup", "AwaitSource")
    for action in ("DescribeSnapshots", "DeleteSnapshot")
} | {
    ("CreateVolumeSnapshotFunction", "ec2:DeleteSnapshot"),
    ("BeginVolumeRestoreFunction", "ec2:DeleteSnapshot"),
    ("MakeVolumeFunction", "ec2:DeleteVolume"),
    ("RegisterImageFunction", "ec2:DeregisterImage"),
    ("AwaitSourceFunction", "s3:ListBucket"),
    ("AwaitSourceFunction", "s3:DeleteObject"),
}


class Story:
    """What happens to one tenant, told over HTTP."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._headers = headers_of(seed_key(stack, tenants=("*",)), TENANT)
        self._unstarted = replace(ports_of(stack), workflows=MemoryWorkflows())

    def entities(self) -> None:
        for number in range(16):
            body = {"id": f"room-{number}", "type": "Room", "temperature": {"type": "Number", "value": number}}
            self._http("POST", "/v2/entities", 201, body)
        self._http("GET", "/v2/entities", 200)
        self._http("GET", "/v2/entities/room-1", 200)
        self._http("PATCH", "/v2/entities/room-1/attrs", 204, {"temperature": {"type": "Number", "value": 9}})
        self._http("DELETE", "/v2/entities/room-5", 204)

    def what_everybody_may_read(self) -> None:
        """Without a key, and without a right of the function."""
        for path in ("/openapi.json", "/docs", "/health"):
            assert self._stack.http("GET", path).status == 200

    def without(self, entity_id: str) -> None:
        """Delete an entity: while the tenant has a base, that leaves a tombstone for the next snapshot to record."""
        self._http("DELETE", f"/v2/entities/{entity_id}", 204)

    def snapshot(self) -> str:
        created = self._http("POST", "/v2/snapshots", 201, {"description": "rights"})
        self._http("GET", "/v2/snapshots", 200)
        self._http("GET", f"/v2/snapshots/{created['id']}", 200)
        return str(created["id"])

    def read_inside(self, snapshot_id: str) -> None:
        """Look into a snapshot, and at an entity through all of them."""
        self._http("GET", f"/v2/snapshots/{snapshot_id}/entities?type=Room&options=count", 200)
        assert self._http("GET", f"/v2/snapshots/{snapshot_id}/entities/room-1", 200)["id"] == "room-1"
        history = self._http("GET", "/v2/entities/room-1/history", 200)
        assert (history[-1]["snapshotId"], history[-1]["change"]) == (snapshot_id, "created")

    def compared(self, snapshot_id: str, other: str, **counts: int) -> None:
        """What became of the entities of a snapshot, told with all of them on one page."""
        found = self._http("GET", f"/v2/snapshots/{snapshot_id}/diff?with={other}&limit=100", 200)
        assert found["counts"] == {"created": 0, "updated": 0, "deleted": 0, **counts}
        assert len(found["entities"]) == sum(counts.values())

    def said_twice(self, snapshot_id: str) -> None:
        """Requests with a key: one that is obeyed and answered again, and one that is refused."""
        first, again = (self._http("POST", "/v2/snapshots", 201, key="once") for _ in range(2))
        assert first == again
        self._http("POST", "/v2/snapshots", 400, {"labels": 1}, key="refused")
        self._http("PATCH", f"/v2/snapshots/{first['id']}", 204, {"labels": {"env": "test"}, "expiresIn": "P1D"})
        assert [one["id"] for one in self._http("GET", "/v2/snapshots?label=env=test", 200)] == [first["id"]]
        path = f"/v2/snapshots/{snapshot_id}/restore"
        begun, repeated = (self._http("POST", path, 202, key="once") for _ in range(2))
        assert begun == repeated
        assert self.restored(begun["restoreId"]) == "completed"
        self._http("POST", path, 422, {"filter": {"id": "nobody"}}, key="refused")
        path = f"/v2/snapshots/{snapshot_id}/copy"
        copied, repeated = (self._http("POST", path, 202, {"service": OTHER}, key="once") for _ in range(2))
        assert copied == repeated
        self._ended("TransferStateMachine", copied["id"].removeprefix("snapshot_"))
        self._http("POST", "/v2/snapshots/snapshot_2020-01-01T00-00-00Z/copy", 404, {"service": OTHER}, key="refused")
        path = "/v2/snapshots/import"
        opened, repeated = (self._http("POST", path, 201, {"sizeBytes": 1}, key="once") for _ in range(2))
        assert opened["id"] == repeated["id"]
        self._http("POST", path, 400, {}, key="refused")

    def restore(self, snapshot_id: str) -> str:
        """The status that the restore ends in."""
        accepted = self._http("POST", f"/v2/snapshots/{snapshot_id}/restore", 202)
        return self.restored(accepted["restoreId"])

    def restored(self, restore_id: str) -> str:
        """The status that a restore which was started ends in."""
        self._ended("RestoreStateMachine", restore_id)
        self._http("GET", "/v2/restores", 200)
        found = self._http("GET", f"/v2/restores/{restore_id}", 200)
        self._http("DELETE", f"/v2/restores/{restore_id}", 409)
        return str(found["status"])

    def delete(self, snapshot_id: str) -> None:
        self._http("DELETE", f"/v2/snapshots/{snapshot_id}", 204)

    def requests_that_meet_what_was_never_started(self, snapshot_id: str) -> None:
        """Each finds a capture or restore whose start was lost, is refused or obeyed, and starts it."""
        self.without("room-6")
        self._nobody_is_late_any_more()
        capture = create_snapshot(self._unstarted, TENANT, budget_s=-1)
        self._http("POST", "/v2/snapshots", 409)
        self._ended("CaptureStateMachine", capture.id)

        for path in ("/v2/snapshots", f"/v2/snapshots/{snapshot_id}/restore"):
            restore = restore_snapshot(self._unstarted, TENANT, snapshot_id, Wish(safety_snapshot=False))
            self._http("POST", path, 409)
            assert self.restored(restore.id) == "completed"

    def _nobody_is_late_any_more(self) -> None:
        """An hour passes since the last restore, so that Seal removes tombstones again."""
        table = ports_of(self._stack).table
        state = table.load(TENANT).state
        assert state is not None
        table.replace_state(replace(state, latecomers=None))

    def partial_restore_while_others_write(self, snapshot_id: str) -> None:
        wish = Wish(selection=restore_filter.accept({"id": "room-1"}))
        restore = restore_snapshot(self._unstarted, TENANT, snapshot_id, wish)
        told = {"tenant": TENANT, "restoreId": restore.id}
        # Invoked again, as after an answer that was lost: it finds its list of work.
        for _ in range(2):
            planned = self._stack.invoke("PlanFunction", {**told, "attempt": 1})
        fenced = {**told, "token": planned["token"]}
        for part in json.loads(ports_of(self._stack).payloads.get(planned["workKey"])):
            self._stack.invoke("StageFunction", {**fenced, **part})
        for shard in planned["shards"]:
            self._stack.invoke("VerifyFunction", {**fenced, "shard": shard})
        for value, phase in enumerate(("CatchUpFunction", "CutoverFunction")):
            for room in ("room-1", "room-2"):
                self._http("PATCH", f"/v2/entities/{room}/attrs", 204, {"temperature": {"value": 100 + value}})
            self._stack.invoke(phase, fenced)
        assert self._http("GET", "/v2/entities/room-2/attrs/temperature", 200)["value"] == 101
        self._http("POST", "/v2/snapshots", 409)
        assert self.restored(restore.id) == "completed"

    def dry_run(self, snapshot_id: str) -> None:
        path = f"/v2/snapshots/{snapshot_id}/restore"
        planned = self._http("POST", path, 200, {"dryRun": True, "filter": {"id": "room-1"}})
        self._http("GET", f"/v2/plans/{planned['plan']}", 200)
        accepted = self._http("POST", path, 202, {"plan": planned["plan"]})
        assert self.restored(accepted["restoreId"]) == "completed"

    def large_dry_run(self, snapshot_id: str) -> None:
        """A dry run for which the request has no time; and one whose execution fails."""
        with self._hastily("RestoreSnapshotFunction"):
            made = self._http("POST", f"/v2/snapshots/{snapshot_id}/restore", 202, {"dryRun": True})
        self._ended("CaptureStateMachine", made["plan"])
        assert self._http("GET", f"/v2/plans/{made['plan']}", 200)["status"] == "planned"
        failing = dry_run(self._unstarted, TENANT, snapshot_id, Wish(), budget_s=-1)
        told = {"tenant": TENANT, "snapshotId": failing.id, "captureId": failing.id, "attempt": 1}
        self._stack.invoke("BeginFunction", told)
        assert self._http("GET", f"/v2/plans/{failing.id}", 200)["status"] == "counting"
        self._stack.invoke("AbortFunction", {**told, "error": "States.Timeout", "cause": ""})
        assert self._http("GET", f"/v2/plans/{failing.id}", 200)["status"] == "failed"

    def restore_that_is_cancelled(self, snapshot_id: str) -> None:
        restore = restore_snapshot(self._unstarted, TENANT, snapshot_id, Wish(safety_snapshot=False))
        told = {"tenant": TENANT, "restoreId": restore.id}
        planned = self._stack.invoke("PlanFunction", {**told, "attempt": 1})
        for part in json.loads(ports_of(self._stack).payloads.get(planned["workKey"])):
            self._stack.invoke("StageFunction", {**told, "token": planned["token"], **part})
        self._http("DELETE", f"/v2/restores/{restore.id}", 202)
        assert self.restored(restore.id) == "cancelled"

    def capture_that_is_aborted(self) -> None:
        snapshot = create_snapshot(self._unstarted, TENANT, budget_s=-1)
        told = {"tenant": TENANT, "snapshotId": snapshot.id, "captureId": snapshot.capture_id, "attempt": 1}
        self._stack.invoke("BeginFunction", told)
        self._stack.invoke("AbortFunction", {**told, "error": "States.Timeout", "cause": ""})

    def copy(self, snapshot_id: str) -> str:
        """Copy the snapshot to another tenant; the copy's id."""
        made = self._http("POST", f"/v2/snapshots/{snapshot_id}/copy", 202, {"service": OTHER})
        self._ended("TransferStateMachine", made["id"].removeprefix("snapshot_"))
        assert ports_of(self._stack).catalog.snapshot(OTHER, made["id"]).status is SnapshotStatus.COMPLETED
        return str(made["id"])

    def copy_that_is_aborted(self, snapshot_id: str) -> None:
        copy = copy_snapshot(self._unstarted, TENANT, snapshot_id, OTHER)
        told = {"tenant": OTHER, "snapshotId": copy.id, "transferId": copy.id.replace("snapshot", "copy"), "attempt": 1}
        self._stack.invoke("AbortTransferFunction", {**told, "error": "States.Timeout", "cause": ""})

    def copy_that_dies(self, snapshot_id: str) -> None:
        """Its execution was never started, which the collection finds out."""
        copy = copy_snapshot(self._unstarted, TENANT, snapshot_id, TENANT)
        assert copy.origin is not None
        assert self._http("GET", f"/v2/snapshots/{copy.id}", 200)["progress"]["done"] == 0
        long_ago = replace(copy.origin, started_at=copy.created_at - timedelta(hours=2))
        ports_of(self._stack).catalog.replace_snapshot(replace(copy, origin=long_ago))

    def export(self, snapshot_id: str) -> None:
        """Export a snapshot of several layers; ask while it is prepared, and then for what there is."""
        self._http("GET", f"/v2/snapshots/{snapshot_id}/export", 202)
        record = ports_of(self._stack).catalog.snapshot(TENANT, snapshot_id)
        self._ended("TransferStateMachine", "export_")
        # As if the first request had not seen its execution end.
        assert record.export is not None
        stored = ports_of(self._stack).catalog.snapshot(TENANT, snapshot_id)
        ports_of(self._stack).catalog.replace_snapshot(replace(stored, export=record.export))
        self._http("GET", f"/v2/snapshots/{snapshot_id}/export", 202)
        self._ended("TransferStateMachine", "export_")
        assert self._http("GET", f"/v2/snapshots/{snapshot_id}/export", 200)["parts"]
        self._http("DELETE", f"/v2/snapshots/{snapshot_id}/export", 204)

    def import_files(self) -> None:
        """Import a file, asking too early once; then, in its place, one that was completed but never started."""
        body = b'{"id":"room-1","type":"Room"}\n'
        begun = self._http("POST", "/v2/snapshots/import", 201, {"sizeBytes": len(body)})
        path = f"/v2/snapshots/{begun['id']}/import"
        self._http("POST", path, 409)
        [again] = self._http("GET", path, 200)["files"]
        assert None not in again["urls"]
        s3, bucket = self._stack.client("s3"), self._stack.outputs["BucketName"]
        ports = ports_of(self._stack)
        snapshot = ports.catalog.snapshot(TENANT, begun["id"])
        key = plans.file_key(TENANT, snapshot.capture_id, 0)
        upload = plans.read(ports.payloads, TENANT, snapshot.capture_id).files[0].upload_id
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=body)
        self._http("POST", path, 202)
        self._ended("TransferStateMachine", f"import_{begun['id'].removeprefix('snapshot_')}_")
        assert ports.catalog.snapshot(TENANT, begun["id"]).status is SnapshotStatus.COMPLETED
        # As if the request had died before it noted that the uploads are completed.
        stored = ports.catalog.snapshot(TENANT, begun["id"])
        ports.catalog.replace_snapshot(replace(snapshot, version=stored.version))
        self._http("POST", path, 202)
        ports.catalog.replace_snapshot(replace(stored, version=ports.catalog.snapshot(TENANT, begun["id"]).version))

    def schedules(self) -> None:
        """A schedule's life, with what dead requests leave behind, and until it will never be due again."""
        nightly, path = {"expression": "cron(0 2 * * ? *)", "retention": {"daily": 7}}, "/v2/schedules"
        made, again = (self._http("POST", path, 201, nightly, key="once") for _ in range(2))
        assert made == again
        self._http("POST", path, 400, {"expression": "never"}, key="refused")
        name, catalog = made["id"], ports_of(self._stack).catalog
        # As if a request had died before it noted that EventBridge Scheduler has it: a repeat tells it so once more.
        catalog.replace_schedule(replace(catalog.schedule(TENANT, name), status=ScheduleStatus.SETTING))
        self._forget_answers()
        assert self._http("POST", path, 201, nightly, key="once")["id"] == name
        self._http("GET", path, 200)
        self._http("GET", f"{path}/{name}", 200)
        self._http("POST", f"{path}/{name}/retention/preview", 200)
        self._http("PATCH", f"{path}/{name}", 204, {"paused": True})
        # As if EventBridge Scheduler had deleted it after its last slot, and it is to have others.
        group = self._stack.physical_id("ScheduleGroup")
        self._stack.client("scheduler").delete_schedule(GroupName=group, Name=name)
        self._http("PATCH", f"{path}/{name}", 204, {"paused": False})
        assert self._delivered() == {name}
        # As if it had been due once, long ago.
        once = replace(catalog.schedule(TENANT, name), expression="at(2020-01-01T00:00:00)", retention=None)
        catalog.replace_schedule(replace(once, starts_at=datetime(2019, 1, 1, tzinfo=UTC)))
        self._http("PATCH", f"{path}/{name}", 204, {"description": "over"})
        assert self._delivered() == set()
        # As if a request had died before it removed it: the next one that makes one does.
        catalog.replace_schedule(replace(catalog.schedule(TENANT, name), status=ScheduleStatus.REMOVING))
        other = self._http("POST", path, 201, nightly)["id"]
        assert [one.id for one in catalog.found_schedules(TENANT)] == [other]
        self._http("DELETE", f"{path}/{other}", 204)
        assert self._delivered() == set()

    def backups(self, snapshot_id: str) -> None:
        """Slots of a schedule, two of which meet what was never started; then the slot of all tenants."""
        wanted = ScheduleWanted("rate(1 minute)", retention=RetentionPolicy(last=1))
        schedule = create_schedule(replace(self._unstarted, schedules=MemorySchedules()), TENANT, wanted)
        slots = (schedule.starts_at - number * timedelta(minutes=1) for number in range(9, 0, -1))
        catalog = ports_of(self._stack).catalog

        def run_slot(slot_at: datetime, state: str) -> dict[str, Any]:
            told = {"tenant": TENANT, "scheduleId": schedule.id, "slotAt": slot_at.isoformat(), "owner": "story"}
            begun_at = schedule.created_at.isoformat()
            assert self._stack.invoke("RunSlotFunction", {**told, "begunAt": begun_at})["state"] == state
            return told

        for room in ("room-8", "room-9"):
            self.without(room)
            assert self._backed_up({"tenant": TENANT, "scheduleId": schedule.id}, next(slots)) == "BackedUp"
        capture = create_snapshot(self._unstarted, TENANT, budget_s=-1)
        slot_at = next(slots)
        run_slot(slot_at, "waiting")
        self._ended("CaptureStateMachine", capture.id)
        restore = restore_snapshot(self._unstarted, TENANT, snapshot_id, Wish(safety_snapshot=False))
        run_slot(slot_at, "waiting")
        assert self.restored(restore.id) == "completed"
        told = run_slot(slot_at, "made")
        assert self._stack.invoke("ConcludeSlotFunction", told)["status"] == "completed"
        with self._hastily("RunSlotFunction"):
            assert self._backed_up({"tenant": TENANT, "scheduleId": schedule.id}, next(slots)) == "BackedUp"

        assert self._stack.invoke("WatchFunction", {}) == {"missed": 0}
        catalog.remove_schedule(catalog.schedule(OTHER, STACK_SCHEDULE_ID))
        assert self._backed_up({}, next(slots)) == "TenantsBackedUp"
        delete_schedule(replace(self._unstarted, schedules=MemorySchedules()), TENANT, schedule.id)

    def _backed_up(self, told: dict[str, Any], slot_at: datetime) -> str:
        """The state that an execution for a slot ends in."""
        states, machine = self._stack.client("stepfunctions"), self._stack.physical_id("BackupStateMachine")
        said = json.dumps({**told, "slotAt": slot_at.isoformat()})
        arn = states.start_execution(stateMachineArn=machine, input=said)["executionArn"]
        self._stack.wait_execution(arn)
        return self._stack.history(arn)[-1]

    def damage(self, snapshot_id: str) -> None:
        """Overwrite one of the snapshot's packs."""
        s3, bucket = self._stack.client("s3"), self._stack.outputs["BucketName"]
        capture_id = ports_of(self._stack).catalog.snapshot(TENANT, snapshot_id).capture_id
        found = s3.list_objects_v2(Bucket=bucket, Prefix=f"{TENANT}/packs/{capture_id}/")["Contents"]
        pack = next(one for one in found if one["Key"].endswith(".pack"))
        s3.put_object(Bucket=bucket, Key=pack["Key"], Body=bytes(pack["Size"]), ChecksumAlgorithm="SHA256")

    def verify(self, snapshot_id: str, status: str) -> None:
        """Verify a snapshot in the request, then by the state machine."""
        self._http("POST", f"/v2/snapshots/{snapshot_id}/verify", 200)
        assert self._verification(snapshot_id) == (status, "full")
        with self._hastily("VerifySnapshotFunction"):
            self._http("POST", f"/v2/snapshots/{snapshot_id}/verify", 202)
        self._ended("VerifyStateMachine", snapshot_id.removeprefix("snapshot_"))
        assert self._verification(snapshot_id) == (status, "full")

    def scrub(self, snapshot_id: str) -> None:
        """Read everything back, and find the snapshot damaged."""
        machine = self._stack.physical_id("ScrubStateMachine")
        client = self._stack.client("stepfunctions")
        arn = client.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
        assert self._stack.wait_execution(arn).status == "SUCCEEDED"
        assert self._verification(snapshot_id) == ("failed", "sample")

    def held(self, first: str, second: str) -> None:
        """Hold two snapshots that share packs, and lift both holds."""
        for value in (True, False):
            for name in (first, second):
                self._http("PATCH", f"/v2/snapshots/{name}", 204, {"legalHold": value})

    def recycle(self, snapshot_id: str) -> None:
        """Delete a snapshot, look for it, bring it back."""
        self._http("DELETE", f"/v2/snapshots/{snapshot_id}", 204)
        self._http("GET", "/v2/snapshots?status=deleted", 200)
        self._http("POST", f"/v2/snapshots/{snapshot_id}/undelete", 200)

    def collect(self, snapshot_id: str) -> None:
        """Collect when a deleted snapshot's time is over and late workers have left something, of volumes too."""
        of_volumes = UpkeepStory(self._stack)
        ports = ports_of(self._stack)
        record = ports.catalog.snapshot(TENANT, snapshot_id)
        ports.catalog.replace_snapshot(replace(record, recycled_until=record.deleted_at))
        for restore in ports.catalog.restores(TENANT):
            key = ItemKey(restore.dead_generation, 0, EntityKey("Room", "late", "/").sort_key)
            ports.table.insert(TENANT, [Item(key, "{}", 1)])
        machine = self._stack.physical_id("CollectStateMachine")
        arn = self._stack.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps({"dryRun": False})
        )["executionArn"]
        ended = self._stack.wait_execution(arn)
        assert ended.status == "SUCCEEDED", (ended.error, ended.cause)
        report = ended.output["outcome"]["report"]
        assert report["deletedObjects"] > 0
        assert report["sweptGenerations"] > 0
        assert report["expired"] == 1
        of_volumes.collected(report)

    @contextmanager
    def _hastily(self, function: str) -> Iterator[None]:
        """Give requests of this function no time of their own."""
        run = InProcess.run

        def hastily(self: InProcess, spec: FunctionSpec, event: bytes, request_id: str) -> Outcome:
            if spec.logical_id == function:
                environment = {**spec.environment, "TIDEMARK_INLINE_BUDGET_S": "0"}
                spec = replace(spec, name=f"{spec.name}-hasty", environment=environment)
            return run(self, spec, event, request_id)

        with patch.object(InProcess, "run", hastily):
            yield

    def _delivered(self) -> set[str]:
        """The schedules of tenants that EventBridge Scheduler has."""
        scheduler, group = self._stack.client("scheduler"), self._stack.physical_id("ScheduleGroup")
        return {one["Name"] for one in scheduler.list_schedules(GroupName=group, NamePrefix="schedule_")["Schedules"]}

    def _forget_answers(self) -> None:
        """What was answered to requests with a key is kept no longer."""
        dynamodb, table = self._stack.client("dynamodb"), self._stack.outputs["CatalogTableName"]
        for row in dynamodb.query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"TENANT#{TENANT}#ONCE"}},
        )["Items"]:
            dynamodb.delete_item(TableName=table, Key={"pk": row["pk"], "sk": row["sk"]})

    def _verification(self, snapshot_id: str) -> tuple[str, str]:
        found = self._http("GET", f"/v2/snapshots/{snapshot_id}", 200)["verification"]
        return found["status"], found["scope"]

    def _ended(self, machine: str, subject: str) -> None:
        execution = next(one for one in self._stack.executions(machine) if subject in one.name)
        self._stack.wait_execution(execution.arn)

    def _http(self, method: str, path: str, status: int, body: object = b"", *, key: str | None = None) -> Any:
        headers = self._headers if key is None else {**self._headers, "Idempotency-Key": key}
        answer = self._stack.http(method, path, headers, body)
        assert answer.status == status, answer
        return json.loads(answer.body) if answer.body else {}


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with LocalStack.in_process(
        parameters={**SMALL, "ScrubDays": "1", "ObjectLock": "enabled"}, wait_scale=0
    ) as started:
        yield started


@pytest.fixture(scope="module")
def needs(stack: LocalStack) -> set[Need]:
    """The rights that a whole story took."""
    story = Story(stack)
    with noted() as found:
        VolumeStory(stack).tell()
        ImageStory(stack).tell()
        story.entities()
        story.what_everybody_may_read()
        first = story.snapshot()
        story.read_inside(first)
        story.compared(first, "live")
        assert story.restore(first) == "completed"
        story.said_twice(first)
        story.schedules()
        story.requests_that_meet_what_was_never_started(first)
        story.backups(first)
        story.partial_restore_while_others_write(first)
        story.dry_run(first)
        story.large_dry_run(first)
        story.restore_that_is_cancelled(first)
        story.capture_that_is_aborted()
        story.copy(first)
        story.copy_that_is_aborted(first)
        story.without("room-7")
        story.compared(first, "live", updated=1, deleted=1)
        second = story.snapshot()
        story.export(second)
        story.compared(first, second, updated=1, deleted=1)
        story.damage(second)
        assert story.restore(second) == "failed"
        story.scrub(second)
        story.verify(first, "passed")
        story.verify(second, "failed")
        story.import_files()
        story.copy_that_dies(second)
        story.held(first, second)
        story.recycle(first)
        story.delete(first)
        story.collect(first)
        VolumeSchedules(stack).play()
        stack.streams.deliver()
    return found | taken_by_streams(stack)


def test_every_function_may_do_what_it_does(stack: LocalStack, needs: set[Need]) -> None:
    rights = granted(stack)
    assert needs
    assert sorted(need for need in needs if not is_allowed(need, rights[need.function])) == []


def test_functions_are_allowed_nothing_that_they_do_not_do(stack: LocalStack, needs: set[Need]) -> None:
    used = {(need.function, need.action) for need in needs}
    given = {
        (function, action)
        for function, statements in granted(stack).items()
        for statement in statements
        for action in (statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]])
    }
    assert sorted(given - used - IF_AN_OBJECT_IS_MISSING - IF_GIVEN_UP_MEANWHILE) == []


def test_a_right_is_refused_when_no_statement_gives_it(stack: LocalStack) -> None:
    rights = granted(stack)
    table = f"arn:aws:dynamodb:eu-west-1:123456789012:table/{stack.outputs['CatalogTableName']}"
    key, snapshot = frozenset({"KEY#abc"}), frozenset({"TENANT#smartcity"})
    assert is_allowed(Need("AuthorizerFunction", "dynamodb:GetItem", table, key), rights["AuthorizerFunction"])
    assert not is_allowed(Need("AuthorizerFunction", "dynamodb:GetItem", table, snapshot), rights["AuthorizerFunction"])
    assert not is_allowed(Need("ListSnapshotsFunction", "dynamodb:PutItem", table), rights["ListSnapshotsFunction"])
    role = f"arn:aws:iam::123456789012:role/{stack.physical_id('BackupScheduleRole')}"
    hand_on = Need("CreateScheduleFunction", "iam:PassRole", role, passed_to="scheduler.amazonaws.com")
    assert is_allowed(hand_on, rights["CreateScheduleFunction"])
    assert not is_allowed(hand_on._replace(passed_to="lambda.amazonaws.com"), rights["CreateScheduleFunction"])
    assert not is_allowed(hand_on._replace(resource=f"{role}-other"), rights["CreateScheduleFunction"])
    tags = {"tidemark:task": "t", "tidemark:environment": "a/b", "tidemark:target-of": "s"}
    function, snapshot_arn = "BeginVolumeRestoreFunction", "arn:aws:ec2:eu-west-1::snapshot/snap-1"
    for named, allowed in ((tags, True), ({**tags, "Owner": "me"}, False), ({"Owner": "me"}, False), ({}, False)):
        said = {(f"aws:RequestTag/{key}", value) for key, value in named.items()} | {
            ("aws:TagKeys", key) for key in named
        }
        tag = Need(function, "ec2:CreateTags", snapshot_arn, context=frozenset(said))
        assert is_allowed(tag, rights[function]) is allowed, named
    ours = f"arn:aws:scheduler:eu-west-1:123456789012:schedule/{stack.physical_id('ScheduleGroup')}/schedule_01"
    remove = Need("DeleteScheduleFunction", "scheduler:DeleteSchedule", ours)
    assert is_allowed(remove, rights["DeleteScheduleFunction"])
    for other in (
        ours.replace("schedule_01", "all-tenants"),
        ours.replace(f"{stack.physical_id('ScheduleGroup')}/", "default/"),
    ):
        assert not is_allowed(remove._replace(resource=other), rights["DeleteScheduleFunction"])
    own = frozenset({("aws:ResourceTag/tidemark:environment", "compute-on/test_area")})
    for function, action in (
        ("AbortVolumeBackupFunction", "ec2:DeleteSnapshot"),
        ("CopyRangeFunction", "ebs:GetSnapshotBlock"),
    ):
        theirs = Need(function, action, "arn:aws:ec2:eu-west-1::snapshot/snap-1")
        assert is_allowed(theirs._replace(context=own), rights[function])
        assert not is_allowed(theirs, rights[function])

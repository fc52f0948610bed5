"""Schedules of volumes on a local stack, as their callers and the deployed machines have them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.local.environments import ENVIRONMENT_NAME, SERVICE_CODE
from tests.local.inprocess import _current as running
from tests.local.stack import LocalStack
from tests.unit.blocks.imaging import body
from tests.workflow.volume import Volume
from tidemark.domain.api_key import Action
from tidemark.domain.environment import image_owner
from tidemark.domain.schedule import RunStatus, Schedule, ScheduleStatus
from tidemark.domain.snapshot import SnapshotId
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState, volume_id
from tidemark.usecases.keys import create_key

PATH = f"/v1/services/{SERVICE_CODE}/{ENVIRONMENT_NAME}"
HOUR = timedelta(hours=1)


class VolumeSchedules(Volume):
    """A volume with a key for its environment."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack, size_gib=1)
        self.owner = image_owner(self.environment)
        self.volume_id = volume_id(self.seeded.region, self.seeded.volume_id)
        key = create_key(self.ports, name="test", tenants=(), actions=(Action.ADMIN,), environments=(self.environment,))
        self._headers = {"MC-Api-Key": key.secret, "Content-Type": "application/json"}

    def http(self, method: str, path: str, status: int, document: object = None) -> Any:
        sent = b"" if document is None else json.dumps(document).encode()
        answer = self.stack.http(method, f"{PATH}{path}", self._headers, sent)
        assert answer.status == status, answer
        return json.loads(answer.body)

    def made(self, **members: object) -> dict[str, Any]:
        """A schedule, hourly unless it is said otherwise."""
        wanted = {"volumeId": self.volume_id, "intervalType": "HOURLY", "keep": 2} | members
        found: dict[str, Any] = self.http("POST", "/schedules", 200, wanted)["data"]
        return found

    def listed(self) -> list[dict[str, Any]]:
        """The volume's snapshots, newest first."""
        found: list[dict[str, Any]] = self.http("GET", f"/snapshots?volume_id={self.volume_id}", 200)["data"]
        return found

    def deleted(self) -> list[VolumeSnapshot]:
        """The records of those of the volume that are gone."""
        found = self.ports.volumes.volume_snapshots(self.environment)
        records = [one for one in found if isinstance(one, VolumeSnapshot) and one.volume_id == self.volume_id]
        return [one for one in records if one.state is VolumeSnapshotState.DELETED]

    def at_ec2(self) -> set[str]:
        """EC2's snapshots of the volume."""
        found = self.stack.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
        return {one["SnapshotId"] for one in found if one.get("VolumeId") == self.seeded.volume_id}

    # --- a story in which each right is needed

    def play(self) -> None:
        """A schedule's life, with what dead processes leave behind."""
        schedule = self.made(keep=1)
        assert self.made(keep=1, minute=59)["id"] == schedule["id"]
        path = f"/schedules/{schedule['id']}"
        self.http("GET", "/schedules", 200)
        record = self._due_for_half_a_day(schedule["id"])
        slots = (record.starts_at + number * HOUR for number in range(12))
        self.write({7: body("first")})
        assert self._delivered(record, next(slots)) == "BackedUp"
        [first] = self.listed()
        self._leave_at_ec2(first["id"])
        self.write({7: body("second")})
        assert self._delivered(record, next(slots)) == "BackedUp"
        assert [one.id for one in self.deleted()] == [first["id"]]
        with self._answers_lost():
            assert self._delivered(record, next(slots), begins=False) == "BackupFailed"
        assert self.at_ec2() == set()
        assert self.http("GET", path, 200)["data"]["last"]["state"] == "FAILED"
        self._leave_running(record.id)
        self.stack.invoke("WatchFunction", {})
        catalog = self.ports.catalog
        # As if a request had died before it removed it: the next one that makes one does.
        catalog.replace_schedule(replace(catalog.schedule(self.owner, record.id), status=ScheduleStatus.REMOVING))
        other = self.made(intervalType="DAILY")["id"]
        assert [one.id for one in catalog.found_schedules(self.owner)] == [other]
        self.http("DELETE", f"/schedules/{other}", 200)

    def _due_for_half_a_day(self, schedule_id: str) -> Schedule:
        stored = self.ports.catalog.schedule(self.owner, schedule_id)
        since = stored.starts_at.replace(minute=59) - 12 * HOUR
        return self.ports.catalog.replace_schedule(replace(stored, starts_at=since))

    def _leave_running(self, schedule_id: str) -> None:
        """As if the execution of its last slot had died long ago."""
        stored = self.ports.catalog.schedule(self.owner, schedule_id)
        assert stored.last_run is not None
        dead = replace(
            stored.last_run,
            status=RunStatus.RUNNING,
            failure=None,
            seen_at=stored.last_run.started_at - 12 * HOUR,
            snapshot_id=SnapshotId(self.listed()[0]["id"]),
        )
        self.ports.catalog.replace_schedule(replace(stored, last_run=dead))

    def _delivered(self, schedule: Schedule, slot_at: datetime, *, begins: bool = True) -> str:
        """The state that an execution for a slot ends in. Where it begins a backup, it finds that over: it is not to
        ask for its state again and again meanwhile.
        """
        name = f"slot-{slot_at:%H}"
        told = {"tenant": schedule.tenant, "scheduleId": schedule.id, "slotAt": slot_at.isoformat()}
        if begins:
            begun_at = self.ports.clock.now().isoformat()
            begun = self.stack.invoke("RunSlotFunction", {**told, "owner": name, "begunAt": begun_at})
            assert begun["state"] == "creating"
            # It looks after the execution that it started.
            again = self.stack.invoke("RunSlotFunction", {**told, "owner": name, "begunAt": begun_at})
            assert again["snapshotId"] == begun["snapshotId"]
            self.ended(begun["snapshotId"])
        arn = self.stack.client("stepfunctions").start_execution(
            stateMachineArn=self.stack.physical_id("BackupStateMachine"), name=name, input=json.dumps(told)
        )["executionArn"]
        self.stack.wait_execution(arn)
        return self.stack.history(arn)[-1]

    def _leave_at_ec2(self, snapshot_id: str) -> None:
        """A snapshot of EC2's that a process which died has left."""
        tags = {"tidemark:environment": self.environment, "tidemark:snapshot": snapshot_id}
        self.stack.client("ec2").create_snapshot(
            VolumeId=self.seeded.volume_id,
            TagSpecifications=[
                {"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ],
        )

    @contextmanager
    def _answers_lost(self) -> Iterator[None]:
        """Backups that slots start die once EC2 has made its snapshot, and no slot hears that they began."""
        client: Any = BaseClient
        call = client._make_api_call  # noqa: SLF001 - every call of every client

        def losing(client: BaseClient, operation: str, params: dict[str, Any]) -> Any:
            function = running.get()
            if operation == "StartExecution" and function is not None and function.spec.logical_id == "RunSlotFunction":
                # The function itself has not done that.
                Context().run(self._leave_at_ec2, json.loads(params["input"])["snapshotId"])
                raise ClientError({"Error": {"Code": "InternalServerError", "Message": "lost"}}, operation)
            return call(client, operation, params)

        with patch.object(BaseClient, "_make_api_call", losing):
            yield

"""What is made of a snapshot of a volume, for the rights that its functions need."""

import json
from dataclasses import replace
from typing import Any

from tests.fakes import MemoryWorkflows
from tests.local.keys import seed_key
from tests.workflow.volume import Volume
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Operation, Task
from tidemark.usecases.restore_volume_snapshot import (
    RestoreWish,
    TemplateWish,
    create_volume_template,
    restore_volume_snapshot,
)


class RestoreStory:
    """Volumes and templates that are made of a snapshot, over HTTP; and some that are cancelled, or fail."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._stack, self._ports = volume.stack, volume.ports
        self._unstarted = replace(volume.ports, workflows=MemoryWorkflows())
        self._headers = {"MC-Api-Key": seed_key(volume.stack)}
        self._snapshot = volume.take()

    def tell(self) -> None:
        """All of it."""
        self._said_twice()
        for operation in Operation.RESTORE, Operation.CREATE_TEMPLATE:
            self._http("DELETE", f"/v1/tasks/{self._made(operation).id}", 200)
            told = {"error": "States.Timeout", "cause": ""}
            self._invoke("Abort", self._made(operation), **told)
            # One that was cancelled by a request that died then.
            task = self._made(operation)
            self._ports.volumes.replace_task(task.failed(Failure("TaskCancelled", ""), task.created_at))
            self._invoke("Finish", task)

    def _said_twice(self) -> None:
        """Requests with a key: one that is obeyed and answered again, and one that is refused."""
        path = f"/v1/services/{self._volume.environment}/snapshots/{self._snapshot.id}"
        first, again = (self._http("POST", f"{path}?operation=restore", 202, key="once") for _ in range(2))
        assert first == again
        assert self._over(first["taskId"])["data"]["result"]["name"] == self._snapshot.volume_name
        made_id, instance_id = self._ports.volumes.task(first["taskId"]).made_id, self._volume.seeded.instance_id
        self._stack.client("ec2").attach_volume(VolumeId=made_id, InstanceId=instance_id, Device="/dev/sdz")
        assert "instanceId" in self._over(first["taskId"])["data"]["result"]
        made = self._http("POST", f"{path}?operation=createTemplate", 202, {"name": "golden"})
        assert self._over(made["taskId"])["data"]["result"]["id"].startswith("ami-")
        self._http("POST", f"{path}?operation=createTemplate", 400, {"name": "golden"}, key="refused")
        record = self._volume.record(self._snapshot.id)
        self._ports.volumes.replace_volume_snapshot(replace(record, zone=None))
        self._over(self._http("POST", f"{path}?operation=restore", 202)["taskId"])

    def _over(self, task_id: str) -> Any:
        """A task, at its end."""
        arn = self._stack.physical_id("VolumeRestoreStateMachine").replace(":stateMachine:", ":execution:")
        self._stack.wait_execution(f"{arn}:{task_id}_1")
        return self._http("GET", f"/v1/tasks/{task_id}", 200)

    def _made(self, operation: Operation) -> Task:
        """A task of which all is made, and that is not finished."""
        restored = operation is Operation.RESTORE
        environment, snapshot_id = self._volume.environment, self._snapshot.id
        task = (
            restore_volume_snapshot(self._unstarted, environment, snapshot_id, RestoreWish())
            if restored
            else create_volume_template(self._unstarted, environment, snapshot_id, TemplateWish())
        )
        self._invoke("Begin", task)
        self._stack.invoke("WriteShardFunction", {**self._told(task), "shard": 0})
        self._invoke("Complete", task)
        while not self._stack.invoke("AwaitTargetFunction", self._told(task))["ready"]:
            pass
        self._stack.invoke("MakeVolumeFunction" if restored else "RegisterImageFunction", self._told(task))
        return self._ports.volumes.task(task.id)

    def _told(self, task: Task) -> dict[str, str]:
        return {"environment": task.environment, "taskId": task.id}

    def _invoke(self, phase: str, task: Task, **said: str) -> None:
        self._stack.invoke(f"{phase}VolumeRestoreFunction", {**self._told(task), **said})

    def _http(self, method: str, path: str, status: int, document: object = None, *, key: str = "") -> Any:
        headers = {**self._headers, "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        answer = self._stack.http(method, path, headers, b"" if document is None else document)
        assert answer.status == status, answer
        return json.loads(answer.body)

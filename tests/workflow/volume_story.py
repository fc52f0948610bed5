"""What happens to the volume of an environment, for the rights that its functions need."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.fakes import MemoryWorkflows
from tests.local import custom_resources
from tests.local.environments import DECLARATION
from tests.local.keys import seed_key
from tests.local.moto_ebs import damaged_block
from tests.local.stack import LocalStack
from tests.unit.blocks.imaging import body
from tests.workflow.volume import Volume
from tests.workflow.volume_restore_story import RestoreStory
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot


class VolumeStory:
    """A volume of a gibibyte whose snapshots are asked for, made, and fail."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._volume = Volume(stack, size_gib=1)
        self._key = seed_key(stack, tenants=(), environments=(self._volume.environment,))

    def tell(self) -> None:
        """All of it."""
        self._declarations()
        self._backups()
        self._over_http()
        RestoreStory(self._volume).tell()

    def _backups(self) -> None:
        """One of all blocks, one of those that EBS says have changed since, and one of a damaged block."""
        self._volume.write({0: body("first"), 7: body("first, too")})
        first = self._volume.take(keeps_source=True)
        self._volume.write({7: body("second")})
        second = self._volume.take()
        assert [one.state for one in (first, second)] == [VolumeSnapshotState.STORED] * 2
        with damaged_block(0):
            self._volume.write({0: body("third")})
            assert self._volume.take().state is VolumeSnapshotState.FAILED
        self._volume.forget(first)

    def _declarations(self) -> None:
        """Environments that a parameter declares, changes and lets go again."""
        [spec] = self._stack.deployment.custom
        for declared in (f"{DECLARATION} a/b@eu-west-1?x=y", f"{DECLARATION} a/b@eu-west-1?x=z", DECLARATION):
            with custom_resources.Answers() as answers:
                event = custom_resources.request(spec, answers, "tidemark", "Update")
                event["ResourceProperties"]["Environments"] = declared
                self._stack.invoke("DeclareEnvironmentsFunction", event)
                told = answers.next()
            assert told["Status"] == "SUCCESS", told

    def _over_http(self) -> None:
        """What can be asked for, what is asked for twice, and what is refused."""
        [volume] = self._http("GET", "/volumes", 200)["data"]
        assert self._http("GET", f"/volumes/{volume['id']}", 200)["data"] == volume
        asked = {"volumeId": volume["id"], "name": "kept", "rapid": True}
        first, again = (self._http("POST", "/snapshots", 202, asked, once="create") for _ in range(2))
        assert first == again
        [made] = [one for one in self._records() if one.name == "kept"]
        self._volume.ended(made.id)
        self._http("POST", "/snapshots", 400, {**asked, "rapid": False}, once="refused")
        assert made.id in {one["id"] for one in self._http("GET", "/snapshots", 200)["data"]}
        assert self._http("GET", f"/snapshots/{made.id}", 200)["data"]["state"] == "BackedUp"
        assert self._task(first) == "SUCCESS"
        with self._without_machine():
            self._http("POST", "/snapshots", 500, {"volumeId": volume["id"]})
        # As if a request had died before it started the machine: the next one finds the volume busy, and starts it.
        unstarted = replace(self._volume.ports, workflows=MemoryWorkflows())
        left = create_volume_snapshot(unstarted, self._volume.environment, Wanted(volume["id"]))
        self._http("POST", "/snapshots", 400, {"volumeId": volume["id"]})
        self._volume.ended(left.snapshot_id)
        gone, again = (self._http("DELETE", f"/snapshots/{made.id}", 202, once="delete") for _ in range(2))
        assert gone == again
        assert self._task(gone) == "SUCCESS"
        self._http("DELETE", f"/snapshots/{made.id}", 404, once="gone")

    def _records(self) -> list[VolumeSnapshot]:
        found = self._volume.ports.volumes.volume_snapshots(self._volume.environment)
        return [one for one in found if isinstance(one, VolumeSnapshot)]

    def _task(self, begun: Any) -> str:
        answer = self._stack.http("GET", f"/v1/tasks/{begun['taskId']}", {"MC-Api-Key": self._key})
        return str(answer.json()["taskStatus"])

    def _http(self, method: str, path: str, status: int, body: object = b"", *, once: str | None = None) -> Any:
        headers = {"MC-Api-Key": self._key} | ({} if once is None else {"Idempotency-Key": once})
        answer = self._stack.http(method, f"/v1/services/{self._volume.environment}{path}", headers, body)
        assert answer.status == status, answer
        return json.loads(answer.body)

    @contextmanager
    def _without_machine(self) -> Iterator[None]:
        """Let nothing be started."""
        client: Any = BaseClient
        call = client._make_api_call  # noqa: SLF001 - every call of every client

        def refused(self: BaseClient, operation_name: str, api_params: dict[str, Any]) -> Any:
            if operation_name == "StartExecution":
                told: Any = {"Error": {"Code": "StateMachineDoesNotExist", "Message": "it is gone"}}
                raise ClientError(told, operation_name)
            return call(self, operation_name, api_params)

        with patch.object(BaseClient, "_make_api_call", refused):
            yield

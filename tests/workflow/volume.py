"""A volume of the documented environment on a local stack, and its snapshots as the deployed machine makes them."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from tests.local import volumes
from tests.local.environments import ENVIRONMENT_NAME, SERVICE_CODE, TAGS, Seeded, seed_environment
from tests.local.functions import Outcome
from tests.local.inprocess import InProcess
from tests.local.keys import ports_of
from tests.local.spec import FunctionSpec
from tests.local.stack import Execution, LocalStack
from tests.local.volume_blocks import BLOCK_BYTES
from tidemark.domain.blocks import ZEROS
from tidemark.domain.environment import Environment, image_owner
from tidemark.domain.volume import VolumeSnapshot, volume_id
from tidemark.engine import manifests
from tidemark.engine.blocks import images
from tidemark.errors import RecordExists
from tidemark.ports import Ports
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot

MACHINE = "VolumeBackupStateMachine"
SIZE_GIB = 3
OTHER_SHARD = 4100
MAIN = (
    *("Begin", "StillWanted", "AwaitSource", "SourceReady", "WaitForSource", "CopyRanges", "Seal", "ReadBackRanges"),
    *("Finish", "HowItEnded", "BackedUp", "AlreadyOver", "Abort", "Outcome", "BackupFailed", "AbortFailed"),
)


class Volume:
    """The environment of the documented page on a stack, with one volume."""

    def __init__(self, stack: LocalStack, size_gib: int = SIZE_GIB) -> None:
        self.stack = stack
        self.ports: Ports = ports_of(stack)
        self.seeded: Seeded = seed_environment(stack, size_gib=size_gib)
        area = Environment(SERVICE_CODE, ENVIRONMENT_NAME, self.seeded.region, datetime(2026, 1, 15, tzinfo=UTC), TAGS)
        self.environment = area.id
        with suppress(RecordExists):
            self.ports.volumes.add_environment(area)
        self._held: dict[int, bytes] = {}

    def write(self, blocks: Mapping[int, bytes]) -> None:
        """Write whole blocks to the volume."""
        for index, content in blocks.items():
            volumes.write(self.seeded.volume_id, index * BLOCK_BYTES, content)
            self._held[index] = content

    @property
    def now(self) -> dict[int, bytes]:
        """What the volume holds now, zeros left out."""
        return {index: content for index, content in self._held.items() if content != ZEROS}

    def ask(self, *, keeps_source: bool = False) -> str:
        """The id of a snapshot that was asked for, which starts the machine."""
        wanted = Wanted(volume_id(self.seeded.region, self.seeded.volume_id), keeps_source=keeps_source)
        return create_volume_snapshot(self.ports, self.environment, wanted).snapshot_id

    def take(self, *, keeps_source: bool = False) -> VolumeSnapshot:
        """The record of a snapshot that was asked for, when its execution has ended."""
        snapshot_id = self.ask(keeps_source=keeps_source)
        self.ended(snapshot_id)
        return self.record(snapshot_id)

    def record(self, snapshot_id: str) -> VolumeSnapshot:
        return self.ports.volumes.volume_snapshot(self.environment, snapshot_id)

    def arn(self, snapshot_id: str, attempt: int = 1) -> str:
        machine = self.stack.physical_id(MACHINE).replace(":stateMachine:", ":execution:")
        return f"{machine}:{snapshot_id}_{attempt}"

    def ended(self, snapshot_id: str, attempt: int = 1) -> Execution:
        return self.stack.wait_execution(self.arn(snapshot_id, attempt))

    def path(self, snapshot_id: str, attempt: int = 1) -> list[str]:
        """The states that an execution took, without those of single ranges."""
        return [state for state in self.stack.history(self.arn(snapshot_id, attempt)) if state in MAIN]

    def content(self, snapshot: VolumeSnapshot) -> dict[int, bytes]:
        """What is stored of a snapshot, zeros left out."""
        assert snapshot.image is not None, snapshot.failure
        manifest = manifests.read(self.ports.payloads, snapshot.image.manifest)
        return {one.index: one.body or ZEROS for one in images.read_image(self.ports, manifest)}

    def packs(self, snapshot_id: str) -> list[Any]:
        """The versions of the packs that a snapshot stored, whatever became of it."""
        s3, bucket = self.stack.client("s3"), self.stack.outputs["BucketName"]
        prefix = f"{image_owner(self.environment)}/packs/{snapshot_id}"
        found = s3.list_object_versions(Bucket=bucket, Prefix=prefix).get("Versions", [])
        return [one for one in found if one["Key"].endswith(".pack")]

    def at_ec2(self) -> set[str]:
        """EC2's snapshots."""
        found = self.stack.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
        return {one["SnapshotId"] for one in found}

    def forget(self, snapshot: VolumeSnapshot) -> None:
        """Delete what a snapshot kept at EC2, as somebody else might."""
        if snapshot.source_id is not None:
            self.stack.client("ec2").delete_snapshot(SnapshotId=snapshot.source_id)

    @contextmanager
    def before(
        self, function: str, act: Callable[[dict[str, Any]], object], timeout_s: int | None = None
    ) -> Iterator[None]:
        """Do something, with the event at hand, before each run of a function; and give it another time limit."""
        run = InProcess.run

        def disturbed(runner: InProcess, spec: FunctionSpec, event: bytes, request_id: str) -> Outcome:
            if spec.logical_id == function:
                act(json.loads(event))
                spec = replace(spec, timeout_s=timeout_s or spec.timeout_s)
            return run(runner, spec, event, request_id)

        with patch.object(InProcess, "run", disturbed):
            yield

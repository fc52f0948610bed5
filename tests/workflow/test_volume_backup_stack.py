"""Backups of a volume with the real functions on a local stack: EC2 and EBS direct are pretended, the rest is deployed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest

from tests.fakes import MemoryWorkflows
from tests.local import volumes
from tests.local.environments import SERVICE_CODE, TAGS, Seeded, seed_environment
from tests.local.environments import ENVIRONMENT_NAME as AREA
from tests.local.functions import Outcome
from tests.local.inprocess import InProcess
from tests.local.keys import ports_of
from tests.local.moto_ebs import damaged_block
from tests.local.moto_ec2 import snapshots_settle
from tests.local.spec import FunctionSpec
from tests.local.stack import Execution, LocalStack
from tests.local.volume_blocks import BLOCK_BYTES
from tests.unit.blocks.imaging import body
from tests.workflow.conftest import SMALL
from tidemark.domain.blocks import ZEROS
from tidemark.domain.environment import Environment
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState, volume_id
from tidemark.engine import manifests
from tidemark.engine.blocks import images
from tidemark.ports import Ports
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot

MACHINE = "VolumeBackupStateMachine"
SIZE_GIB = 3
OTHER_SHARD = 4100
WHOLE = ["Begin", "StillWanted", "AwaitSource", "SourceReady", "CopyRanges", "Seal", "ReadBackRanges", "Finish"]


class Volume:
    """The environment of the page with its volume, on a stack."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.ports: Ports = ports_of(stack)
        self.seeded: Seeded = seed_environment(stack, size_gib=SIZE_GIB)
        made = Environment(SERVICE_CODE, AREA, self.seeded.region, datetime(2026, 1, 15, tzinfo=UTC), TAGS)
        self.environment = self.ports.volumes.add_environment(made).id
        self.held: dict[int, bytes] = {}

    def write(self, blocks: dict[int, bytes]) -> None:
        """Write whole blocks to the volume."""
        for index, content in blocks.items():
            volumes.write(self.seeded.volume_id, index * BLOCK_BYTES, content)
            self.held[index] = content

    def ask(self, ports: Ports | None = None, *, keeps_source: bool = False) -> str:
        """The id of a snapshot that was asked for, which starts the machine."""
        wanted = Wanted(volume_id(self.seeded.region, self.seeded.volume_id), keeps_source=keeps_source)
        return create_volume_snapshot(ports or self.ports, self.environment, wanted).snapshot_id

    def record(self, snapshot_id: str) -> VolumeSnapshot:
        return self.ports.volumes.volume_snapshot(self.environment, snapshot_id)

    def ended(self, snapshot_id: str) -> Execution:
        """The newest execution of a snapshot, at its end."""
        found = next(one for one in self.stack.executions(MACHINE) if one.name.startswith(snapshot_id))
        return self.stack.wait_execution(found.arn)

    def take(self, *, keeps_source: bool = False) -> VolumeSnapshot:
        snapshot_id = self.ask(keeps_source=keeps_source)
        self.ended(snapshot_id)
        return self.record(snapshot_id)

    def content(self, snapshot: VolumeSnapshot) -> dict[int, bytes]:
        """What is stored of a snapshot, zeros left out."""
        assert snapshot.image is not None
        manifest = manifests.read(self.ports.payloads, snapshot.image.manifest)
        return {one.index: one.body or b"" for one in images.read_image(self.ports, manifest)}

    @property
    def now(self) -> dict[int, bytes]:
        """What the volume holds, zeros left out."""
        return {index: content for index, content in self.held.items() if content != ZEROS}

    def at_ec2(self) -> set[str]:
        """EC2's snapshots."""
        found = self.stack.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
        return {one["SnapshotId"] for one in found}


@pytest.fixture(scope="module")
def volume() -> Iterator[Volume]:
    with LocalStack.in_process(parameters={**SMALL, "VolumeConcurrency": "2"}, wait_scale=0) as stack:
        yield Volume(stack)


def test_snapshot_of_a_volume_is_stored_and_ec2s_removed(volume: Volume) -> None:
    volume.write({0: body("a"), 7: body("b"), OTHER_SHARD: body("c")})
    with snapshots_settle(looks=2):
        snapshot_id = volume.ask()
        ended = volume.ended(snapshot_id)
    assert ended.status == "SUCCEEDED", ended
    snapshot = volume.record(snapshot_id)
    assert (snapshot.state, snapshot.source_id) == (VolumeSnapshotState.STORED, None)
    assert volume.content(snapshot) == volume.now
    assert volume.at_ec2() == set()
    path = [state for state in volume.stack.history(ended.arn) if state in {*WHOLE, "WaitForSource", "BackedUp"}]
    assert path == [*WHOLE[:2], *WHOLE[2:4], "WaitForSource", *WHOLE[2:4], "WaitForSource", *WHOLE[2:], "BackedUp"]

"""The things that the cloud.ca documents show, and requests as they reach a route."""

from datetime import UTC, datetime
from typing import Any

from tidemark.dialects.wire import Request
from tidemark.domain.environment import Environment, EnvironmentId
from tidemark.domain.snapshot import Failure, ManifestRef
from tidemark.domain.task import Operation, Task, TaskId
from tidemark.domain.tenant import DEFAULT_TENANT
from tidemark.domain.volume import (
    InstanceId,
    StoredImage,
    Volume,
    VolumeId,
    VolumeKind,
    VolumeSnapshot,
    VolumeSnapshotId,
    VolumeSnapshotState,
    VolumeState,
)

TEN_O_CLOCK = datetime(2016, 11, 16, 21, 10, 9, tzinfo=UTC)
TEST_AREA = EnvironmentId("compute-on/test_area")
SNAPSHOT_ID = VolumeSnapshotId("33a27b8d-5a27-42a5-aec4-37606e372bda")
VOLUME_ID = VolumeId("c779ca42-6966-41af-a7dc-23db4e41d4ee")
INSTANCE_ID = InstanceId("b6145e8b-abd3-456c-832c-f3db86a6acfe")
ZONE_ID = "04afdbd1-e32d-4999-86d0-96703736dded"
TASK_ID = TaskId("c2c13744-8610-4012-800a-0907bea110a5")
IMAGE = StoredImage(ManifestRef("manifest", 10, "0" * 64), "1" * 64, 4096, 1024, TEN_O_CLOCK)
FAILURE = Failure("PackCorrupt", "block 7 of the image is not what was read from the volume")


def environment(**fields: Any) -> Environment:
    wanted: dict[str, Any] = {
        "region": "ca-central-1",
        "created_at": TEN_O_CLOCK,
        "tags": {"Environment": "test_area"},
    } | fields
    return Environment(**{"service_code": "compute-on", "name": "test_area"} | wanted)


def volume(**fields: Any) -> Volume:
    wanted: dict[str, Any] = {
        "environment": TEST_AREA,
        "id": VOLUME_ID,
        "source_id": "vol-049df61146c4d7901",
        "name": "ROOT-35545",
        "kind": VolumeKind.ROOT,
        "state": VolumeState.IN_USE,
        "size_bytes": 40 * 1024**3,
        "created_at": datetime(2016, 10, 19, 18, 25, 41, tzinfo=UTC),
        "zone_id": ZONE_ID,
        "zone": "ca-central-1a",
        "instance_id": INSTANCE_ID,
        "instance_source_id": "i-1234567890abcdef0",
        "instance_name": "i-douglas-ADM",
    }
    return Volume(**wanted | fields)


def snapshot(**fields: Any) -> VolumeSnapshot:
    wanted: dict[str, Any] = {
        "environment": TEST_AREA,
        "id": SNAPSHOT_ID,
        "name": "i-douglas-ADM_foo_20161116211009",
        "volume_id": VOLUME_ID,
        "volume_name": "ROOT-35545",
        "volume_kind": VolumeKind.ROOT,
        "size_bytes": 40 * 1024**3,
        "created_at": TEN_O_CLOCK,
    }
    return VolumeSnapshot(**wanted | fields)


def in_state(state: VolumeSnapshotState, **fields: Any) -> VolumeSnapshot:
    """A snapshot that may be in this state."""
    image = IMAGE if state in {VolumeSnapshotState.STORED, VolumeSnapshotState.DELETING} else None
    failure = FAILURE if state is VolumeSnapshotState.FAILED else None
    return snapshot(**{"state": state, "image": image, "failure": failure} | fields)


def task(operation: Operation = Operation.CREATE, **fields: Any) -> Task:
    return Task(TASK_ID, TEST_AREA, operation, SNAPSHOT_ID, TEN_O_CLOCK, **fields)


def request(method: str, route: str, path: str | None = None, **fields: Any) -> Request:
    """A request; `query`, `body` and `headers` are as `Request` has them."""
    return Request(method, route, path or route, DEFAULT_TENANT, "correlation-1", **fields)

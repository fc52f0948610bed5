"""The details of events: each sample in `events/announcements` is what is rendered, and fits the schema beside it."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any, Final

import pytest
from openapi_schema_validator import OAS31Validator

from tests.contract.examples import TEN_O_CLOCK, restore, schedule, snapshot
from tests.repo.sources import EVENTS
from tidemark.dialects.announced import MAX_REASON_CHARS
from tidemark.dialects.announcements import detail, schema
from tidemark.domain.announcements import Announcement, Kind, Record
from tidemark.domain.environment import EnvironmentId, image_owner
from tidemark.domain.interval import IntervalType
from tidemark.domain.restore import Changes, Phase, RestoreId, RestoreStatus
from tidemark.domain.schedule import LastRun, Missed, RunStatus
from tidemark.domain.snapshot import (
    MAX_LABEL_VALUE_CHARS,
    MAX_LABELS,
    Failure,
    ManifestRef,
    Scope,
    SnapshotId,
    SnapshotStatus,
    Trigger,
    Verification,
)
from tidemark.domain.task import Operation, Task, TaskId
from tidemark.domain.tenant import Tenant
from tidemark.domain.volume import (
    StoredImage,
    VolumeId,
    VolumeKind,
    VolumeSnapshot,
    VolumeSnapshotId,
    VolumeSnapshotState,
)
from tidemark.ports.announcements import SOURCE

CITY: Final = Tenant("smartcity")
BUSY: Final = Failure("Throttled", "copying shard 3: AWS is throttling requests; try again later")
DAMAGE: Final = Failure("PackCorrupt", "smartcity/packs/0f3a/3-0.pack has the wrong checksum")
# EventBridge's bound of a whole request, of which an event has to leave room for others.
MOST_BYTES: Final = 200 * 1024

SLOT_AT: Final = TEN_O_CLOCK.replace(microsecond=0)
NIGHTLY = schedule(1, tenant=CITY, version=4)
BEGUN = snapshot(
    tenant=CITY,
    trigger=Trigger.SCHEDULED,
    interval=IntervalType.DAILY,
    schedule_id=NIGHTLY.id,
    slot_at=SLOT_AT,
    labels={"env": "prod", "release": "2.1.0"},
    description="written by somebody",
)
WHOLE = replace(
    BEGUN,
    status=SnapshotStatus.COMPLETED,
    manifest=ManifestRef("m", 1, "0" * 64),
    completed_at=TEN_O_CLOCK + timedelta(seconds=3),
    entity_count=1250,
    raw_bytes=2_500_000,
    stored_bytes=310_000,
    new_bytes=4_096,
    version=3,
)
BACK = restore(300, tenant=CITY, version=1)
HALF_BACK = replace(
    BACK.entering(Phase.PRESERVE, TEN_O_CLOCK), safety_snapshot_id=SnapshotId("snapshot_2026-01-15T10-05-20Z")
)


TEST_AREA: Final = EnvironmentId("compute-on/test_area")
BLOCK: Final = Failure("BlockDamaged", "block 4711 of snap-0a1b2c3d4e5f60718 was never read as its checksum says")
OF_VOLUME = replace(NIGHTLY, tenant=image_owner(TEST_AREA), volume_id=VolumeId("c779ca42-6966-41af-a7dc-23db4e41d4ee"))
IMAGE = VolumeSnapshot(
    environment=TEST_AREA,
    id=VolumeSnapshotId("33a27b8d-5a27-42a5-aec4-37606e372bda"),
    name="written by somebody",
    volume_id=VolumeId("c779ca42-6966-41af-a7dc-23db4e41d4ee"),
    volume_name="ROOT-35545",
    volume_kind=VolumeKind.ROOT,
    size_bytes=40 * 1024**3,
    created_at=TEN_O_CLOCK,
    state=VolumeSnapshotState.STORED,
    image=StoredImage(
        ManifestRef("m", 1, "0" * 64), "1" * 64, 1_310_000, 4_096, verified_at=TEN_O_CLOCK + timedelta(seconds=64)
    ),
    interval=IntervalType.DAILY,
    schedule_id=OF_VOLUME.id,
    slot_at=SLOT_AT,
    version=6,
)
INTO_VOLUME = Task(
    id=TaskId("c2c13744-8610-4012-800a-0907bea110a5"),
    environment=TEST_AREA,
    operation=Operation.RESTORE,
    snapshot_id=IMAGE.id,
    created_at=TEN_O_CLOCK + timedelta(seconds=300),
    version=3,
)
MISSED: Final = Missed(SLOT_AT, RunStatus.MISSED, "nobody delivered it within an hour", SLOT_AT + timedelta(minutes=61))


# The file of each kind's sample, what it tells of, and how long after ten that was committed.
SAMPLES: Final[dict[Kind, tuple[str, Record, int]]] = {
    Kind.SNAPSHOT_COMPLETED: ("announcements/snapshot_completed", WHOLE, 3),
    Kind.SNAPSHOT_FAILED: (
        "announcements/snapshot_failed",
        replace(BEGUN, status=SnapshotStatus.FAILED, failure=BUSY, version=2),
        40,
    ),
    Kind.SNAPSHOT_DELETED: (
        "announcements/snapshot_deleted",
        replace(
            WHOLE.deleted(TEN_O_CLOCK + timedelta(days=30), TEN_O_CLOCK + timedelta(days=37)),
            expires_at=TEN_O_CLOCK + timedelta(days=30),
            version=9,
        ),
        30 * 86_400,
    ),
    Kind.VERIFICATION_FAILED: (
        "announcements/verification_failed",
        replace(
            WHOLE,
            verification=Verification(TEN_O_CLOCK + timedelta(days=2), ok=False, scope=Scope.SAMPLE, failure=DAMAGE),
            version=5,
        ),
        2 * 86_400,
    ),
    Kind.RESTORE_STARTED: ("announcements/restore_started", BACK, 300),
    Kind.RESTORE_CUT_OVER: ("announcements/restore_cut_over", replace(HALF_BACK, version=6), 321),
    Kind.RESTORE_COMPLETED: (
        "announcements/restore_completed",
        replace(
            HALF_BACK,
            status=RestoreStatus.COMPLETED,
            finished_at=TEN_O_CLOCK + timedelta(seconds=360),
            selection='{"type":"Room"}',
            changes=Changes(created=2, updated=31, deleted=0, unchanged=967),
            version=9,
        ),
        360,
    ),
    Kind.RESTORE_ROLLED_BACK: (
        "announcements/restore_rolled_back",
        replace(
            BACK,
            id=RestoreId("restore_2026-01-15T10-05-00Z-2"),
            source_tenant=Tenant("harbour"),
            status=RestoreStatus.FAILED,
            finished_at=TEN_O_CLOCK + timedelta(seconds=310),
            failure=DAMAGE,
            version=4,
        ),
        310,
    ),
    Kind.BACKUP_FAILED: (
        "announcements/backup_failed",
        replace(
            NIGHTLY,
            last_run=LastRun(SLOT_AT, TEN_O_CLOCK, RunStatus.FAILED, snapshot_id=BEGUN.id, failure=BUSY),
        ),
        41,
    ),
    Kind.BACKUP_MISSED: ("announcements/backup_missed", replace(NIGHTLY, last_missed=MISSED, version=5), 3_660),
    Kind.VOLUME_SNAPSHOT_COMPLETED: ("announcements/volume_snapshot_completed", IMAGE, 64),
    Kind.VOLUME_SNAPSHOT_FAILED: (
        "announcements/volume_snapshot_failed",
        replace(IMAGE, state=VolumeSnapshotState.FAILED, image=None, failure=BLOCK, version=5),
        65,
    ),
    Kind.VOLUME_SNAPSHOT_DELETED: (
        "announcements/volume_snapshot_deleted",
        replace(IMAGE, state=VolumeSnapshotState.DELETED, version=8),
        9 * 86_400,
    ),
    Kind.VOLUME_RESTORE_COMPLETED: (
        "announcements/volume_restore_completed",
        INTO_VOLUME.succeeded(TEN_O_CLOCK + timedelta(seconds=420), "0bd1f6a1-6f9e-4c5a-8a2e-7d4a3b0c9e11"),
        420,
    ),
    Kind.VOLUME_RESTORE_FAILED: (
        "announcements/volume_restore_failed",
        INTO_VOLUME.failed(BLOCK, TEN_O_CLOCK + timedelta(seconds=330)),
        330,
    ),
    Kind.VOLUME_TEMPLATE_COMPLETED: (
        "announcements/volume_template_completed",
        replace(INTO_VOLUME, operation=Operation.CREATE_TEMPLATE).succeeded(
            TEN_O_CLOCK + timedelta(seconds=480), "9e107d9d-372b-46b6-a8d5-1f0e4a2b7c33"
        ),
        480,
    ),
    Kind.VOLUME_TEMPLATE_FAILED: (
        "announcements/volume_template_failed",
        replace(INTO_VOLUME, operation=Operation.CREATE_TEMPLATE).failed(BUSY, TEN_O_CLOCK + timedelta(seconds=340)),
        340,
    ),
}
# What is told of both tenants and environments, as it is told of these.
OF_VOLUMES: Final[dict[Kind, tuple[str, Record, int]]] = {
    Kind.VERIFICATION_FAILED: (
        "announcements/volume_verification_failed",
        replace(
            IMAGE,
            verification=Verification(TEN_O_CLOCK + timedelta(days=2), ok=False, scope=Scope.SAMPLE, failure=BLOCK),
            version=7,
        ),
        2 * 86_400,
    ),
    Kind.BACKUP_FAILED: (
        "announcements/volume_backup_failed",
        replace(
            OF_VOLUME, last_run=LastRun(SLOT_AT, TEN_O_CLOCK, RunStatus.FAILED, SnapshotId(IMAGE.id), failure=BLOCK)
        ),
        66,
    ),
    Kind.BACKUP_MISSED: (
        "announcements/volume_backup_missed",
        replace(OF_VOLUME, last_missed=MISSED, version=5),
        3_660,
    ),
}
EVERY: Final = [*SAMPLES.items(), *OF_VOLUMES.items()]
NAMES: Final = [name.partition("/")[2] for _, (name, *_) in EVERY]


def example(kind: Kind, samples: dict[Kind, tuple[str, Record, int]] = SAMPLES) -> Announcement:
    _, record, after_s = samples[kind]
    return Announcement(kind, record, TEN_O_CLOCK + timedelta(seconds=after_s))


def rendered(told: Announcement) -> Any:
    return json.loads(detail(told))


def sample(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))


@cache
def described() -> OAS31Validator:
    return OAS31Validator(sample("announcements/schema"))


@pytest.mark.parametrize(("kind", "of"), EVERY, ids=NAMES)
def test_sample_is_what_is_told(kind: Kind, of: tuple[str, Record, int]) -> None:
    shown, told = sample(of[0]), example(kind, {kind: of})
    assert (shown["source"], shown["detail-type"]) == (SOURCE, kind.value)
    assert shown["detail"] == rendered(told)
    assert shown["time"] == told.at.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(("kind", "of"), EVERY, ids=NAMES)
def test_sample_fits_the_schema(kind: Kind, of: tuple[str, Record, int]) -> None:
    described().validate(sample(of[0]))


def test_every_kind_has_a_sample() -> None:
    assert list(SAMPLES) == list(Kind)
    assert set(NAMES) == {path.stem for path in (EVENTS / "announcements").glob("*.json")} - {"schema"}


@pytest.mark.parametrize(("kind", "of"), EVERY, ids=NAMES)
def test_event_is_of_a_tenant_or_of_an_environment(kind: Kind, of: tuple[str, Record, int]) -> None:
    told = rendered(example(kind, {kind: of}))
    whose = {name: told[name] for name in ("tenant", "environment") if name in told}
    assert whose == ({"environment": TEST_AREA} if "volume" in of[0] else {"tenant": CITY})
    assert not described().is_valid({**sample(of[0]), "detail": {key: told[key] for key in told.keys() - whose.keys()}})


def test_schema_is_that_of_the_models() -> None:
    assert sample("announcements/schema") == json.loads(json.dumps(schema())), "write it anew: make announcements"


@pytest.mark.parametrize(
    ("member", "value"),
    [("id", "7"), ("at", "yesterday"), ("status", "gone"), ("entityCount", -1), ("snapshotId", None)],
)
def test_schema_refuses_what_is_never_told(member: str, value: object) -> None:
    wrong = sample("announcements/snapshot_completed")
    wrong["detail"][member] = value
    assert not described().is_valid(wrong)


def test_schema_tells_the_kinds_apart() -> None:
    wrong = sample("announcements/snapshot_completed")
    assert not described().is_valid({**wrong, "detail-type": "Backup Missed"})
    assert not described().is_valid({**wrong, "detail-type": "Snapshot Wanted"})


def test_slot_that_was_skipped_says_so() -> None:
    skipped = replace(NIGHTLY, last_missed=replace(MISSED, status=RunStatus.SKIPPED, reason="the last one runs"))
    told = rendered(Announcement(Kind.BACKUP_MISSED, skipped, TEN_O_CLOCK))
    assert (told["status"], told["error"]) == (
        "skipped",
        {"code": "BackupSkipped", "description": "the last one runs"},
    )


def test_no_event_tells_what_somebody_wrote_or_an_entity_holds() -> None:
    part = replace(BACK, selection='{"id":"secret-room"}', source_tenant=None)
    of_volume = example(Kind.VOLUME_SNAPSHOT_COMPLETED)
    for told in (example(Kind.SNAPSHOT_COMPLETED), of_volume, Announcement(Kind.RESTORE_STARTED, part, TEN_O_CLOCK)):
        assert re.search("written by somebody|secret-room", detail(told)) is None


def test_largest_event_leaves_room_in_a_request() -> None:
    labels = {f"{number:0128}": "ö" * MAX_LABEL_VALUE_CHARS for number in range(MAX_LABELS)}
    failure = Failure("InternalError", "\x01" * 100_000)
    largest = Announcement(Kind.SNAPSHOT_FAILED, replace(WHOLE, labels=labels, failure=failure), TEN_O_CLOCK)
    assert len(detail(largest).encode()) < MOST_BYTES
    assert len(rendered(largest)["error"]["description"]) == MAX_REASON_CHARS

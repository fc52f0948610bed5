"""What catalogs promise of every kind of record, whichever of them keeps it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from tests.contract import examples
from tests.contract.aws import DYNAMODB_LANES
from tests.contract.conftest import catalog_on, volumes_on
from tests.unit.volumes import examples as of_volumes
from tidemark.domain.api_key import Action
from tidemark.domain.asked import Asked
from tidemark.domain.hold import Hold, HoldStatus
from tidemark.domain.interval import IntervalType
from tidemark.domain.live import Cut
from tidemark.domain.restore import Phase, RestoreStatus
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import LastRun, Overlap, RunStatus, ScheduleStatus
from tidemark.domain.snapshot import (
    CaptureId,
    Failure,
    ManifestRef,
    Scope,
    SnapshotId,
    SnapshotStatus,
    Trigger,
    Verification,
)
from tidemark.domain.task import Operation
from tidemark.domain.volume import VolumeSnapshotId, VolumeSnapshotState
from tidemark.errors import (
    EnvironmentNotFound,
    KeyNotFound,
    NotFound,
    RecordExists,
    RestoreNotFound,
    ScheduleNotFound,
    SnapshotNotFound,
    StaleRecord,
    TaskNotFound,
    VolumeSnapshotNotFound,
)
from tidemark.ports import Catalog
from tidemark.ports.volume_catalog import VolumeCatalog

type Store = Catalog | VolumeCatalog

LATER = examples.TEN_O_CLOCK + timedelta(minutes=3)
FAILURE = Failure("PackCorrupt", "pack 3 'ä' is not what was written")
FULL_SNAPSHOT = examples.snapshot(
    status=SnapshotStatus.COMPLETED,
    description='before "the" fire drill \U0001f692',
    trigger=Trigger.SAFETY,
    generation=examples.snapshot().token,
    cut=Cut(5),
    parent_id=SnapshotId("snapshot_2026-01-14T10-00-00Z"),
    entity_count=2**40,
    raw_bytes=3,
    stored_bytes=2,
    new_bytes=1,
    manifest=ManifestRef("acme/manifests/x.json.zst", 9, "ab" * 32),
    completed_at=LATER,
    restore_id="restore_2026-01-15T10-00-00Z",
    failure=FAILURE,
    verification=Verification(LATER, ok=False, scope=Scope.SAMPLE, checked_bytes=1, checked_packs=2, failure=FAILURE),
    deleted_at=LATER,
    recycled_until=LATER + timedelta(days=7),
    used_by=frozenset({"restore_a", "capture_b"}),
    labels={"release": "2.1.0", "env": "staging, 'two' \U0001f692", "empty": ""},
    expires_at=LATER + timedelta(days=30),
    pinned=True,
    hold=Hold(HoldStatus.PLACING, locked=True, done=3, busy_until=LATER),
    asked=Asked("aa" * 32, "bb" * 32),
    schedule_id="schedule_9f86d081884c7d65",
    interval=IntervalType.WEEKLY,
)
FULL_RESTORE = examples.restore(
    status=RestoreStatus.FAILED,
    parts=7,
    safety_wanted=False,
    safety_capture_id=CaptureId("c"),
    safety_snapshot_id=SnapshotId("snapshot_2026-01-15T10-00-05Z"),
    cancel_requested=True,
    attempt=3,
    finished_at=LATER,
    failure=FAILURE,
    staged=12,
    swept=True,
    asked=Asked("cc" * 32, "dd" * 32),
).entering(Phase.STAGE, LATER)
FULL_SCHEDULE = examples.schedule(
    expression="rate(12 hours)",
    timezone="Europe/Paris",
    window_minutes=15,
    description="nightly {date} of {tenant} \U0001f319",
    labels={"kind": "nightly, 'all'"},
    interval_given=IntervalType.WEEKLY,
    retention=RetentionPolicy(last=3, within=timedelta(days=9, hours=1), yearly=2),
    overlap=Overlap.QUEUE,
    paused=True,
    status=ScheduleStatus.ACTIVE,
    last_run=LastRun(
        LATER,
        LATER,
        RunStatus.FAILED,
        snapshot_id=SnapshotId("snapshot_2026-01-15T10-00-00Z"),
        failure=FAILURE,
        owner="execution-7",
        seen_at=LATER,
    ),
    asked=Asked("ee" * 32, "ff" * 32),
)
FULL_KEY = examples.api_key(expires_at=LATER, last_used_at=LATER)
FULL_VOLUME_SNAPSHOT = of_volumes.snapshot(
    state=VolumeSnapshotState.STORED,
    name='before "the" fire drill \U0001f692',
    source_id="snap-1",
    keeps_source=True,
    parent_id=VolumeSnapshotId("33a27b8d-5a27-42a5-aec4-37606e372bdb"),
    sealed=ManifestRef("m", 9, "ab" * 32),
    image=of_volumes.IMAGE,
    used_by=frozenset({"a", "b"}),
    interval=IntervalType.WEEKLY,
    schedule_id="schedule_9f86d081884c7d65",
    slot_at=LATER,
    asked=Asked("aa" * 32, "bb" * 32),
    task_id=of_volumes.TASK_ID,
    verification=Verification(LATER, ok=False, scope=Scope.SAMPLE, failure=of_volumes.FAILURE),
)


@dataclass(frozen=True)
class Kind:
    """The methods for one kind of record, so that a rule that holds for all is written once. `opened` gives an empty
    catalog; `key` says by which members of a record that is looked up.
    """

    name: str
    opened: Callable[[str], AbstractContextManager[Store]]
    key: tuple[str, ...]
    record: Any
    full: Any
    rivals: list[Any]
    absent: type[NotFound]

    def add(self, store: Store, record: Any) -> Any:
        return getattr(store, f"add_{self.name}")(record)

    def replace(self, store: Store, record: Any) -> Any:
        return getattr(store, f"replace_{self.name}")(record)

    def get(self, store: Store, record: Any) -> Any:
        return getattr(store, self.name)(*(getattr(record, member) for member in self.key))

    def rival(self, record: Any, number: int = 0) -> Any:
        """Another change of the record as it is."""
        return replace(self.rivals[number], version=record.version)


KINDS = [
    Kind(
        "snapshot",
        catalog_on,
        ("tenant", "id"),
        examples.snapshot(),
        FULL_SNAPSHOT,
        [examples.snapshot(description=f"rival {number}") for number in range(8)],
        SnapshotNotFound,
    ),
    Kind(
        "restore",
        catalog_on,
        ("tenant", "id"),
        examples.restore(),
        FULL_RESTORE,
        [examples.restore(attempt=100 + number) for number in range(8)],
        RestoreNotFound,
    ),
    Kind(
        "schedule",
        catalog_on,
        ("tenant", "id"),
        examples.schedule(),
        FULL_SCHEDULE,
        [examples.schedule(description=f"rival {number}") for number in range(8)],
        ScheduleNotFound,
    ),
    Kind(
        "key",
        catalog_on,
        ("id",),
        examples.api_key(),
        replace(FULL_KEY, tenants=frozenset("*"), actions=frozenset(Action)),
        [replace(examples.api_key(), name=f"rival {number}") for number in range(8)],
        KeyNotFound,
    ),
    Kind(
        "environment",
        volumes_on,
        ("id",),
        of_volumes.environment(),
        of_volumes.environment(region="eu-west-1", tags={"a": "b", "c": "\U0001f692"}),
        [of_volumes.environment(region=f"eu-west-{number}") for number in range(1, 9)],
        EnvironmentNotFound,
    ),
    Kind(
        "volume_snapshot",
        volumes_on,
        ("environment", "id"),
        of_volumes.snapshot(),
        replace(FULL_VOLUME_SNAPSHOT, name=of_volumes.snapshot().name),
        [of_volumes.snapshot(size_bytes=number) for number in range(8)],
        VolumeSnapshotNotFound,
    ),
    Kind(
        "task",
        volumes_on,
        ("id",),
        of_volumes.task(),
        of_volumes.task(
            Operation.RESTORE,
            result_id="vol-1",
            finished_at=LATER,
            failure=of_volumes.FAILURE,
            asked=Asked("a", "b"),
        ),
        [of_volumes.task(result_id=f"rival {number}") for number in range(8)],
        TaskNotFound,
    ),
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


@pytest.fixture(params=DYNAMODB_LANES)
def store(request: pytest.FixtureRequest, kind: Kind) -> Iterator[Store]:
    with kind.opened(request.param) as opened:
        yield opened


@every_kind
@pytest.mark.parametrize("which", ["record", "full"])
def test_add_returns_the_record_as_stored(store: Store, kind: Kind, which: str) -> None:
    record = getattr(kind, which)
    stored = kind.add(store, record)
    assert stored == replace(record, version=1)
    assert kind.get(store, record) == stored


@every_kind
def test_add_is_refused_when_another_record_has_the_id(store: Store, kind: Kind) -> None:
    stored = kind.add(store, kind.record)
    with pytest.raises(RecordExists):
        kind.add(store, kind.rival(kind.record))
    assert kind.get(store, kind.record) == stored


@every_kind
@pytest.mark.parametrize("which", ["record", "full"])
def test_add_succeeds_when_it_is_repeated(store: Store, kind: Kind, which: str) -> None:
    record = getattr(kind, which)
    stored = kind.add(store, record)
    assert kind.add(store, record) == stored
    assert kind.get(store, record) == stored


@every_kind
def test_add_is_refused_when_it_is_repeated_after_a_change(store: Store, kind: Kind) -> None:
    changed = kind.replace(store, kind.rival(kind.add(store, kind.record)))
    with pytest.raises(RecordExists):
        kind.add(store, kind.record)
    assert kind.get(store, kind.record) == changed


@every_kind
def test_get_names_the_kind_when_there_is_no_record(store: Store, kind: Kind) -> None:
    with pytest.raises(kind.absent):
        kind.get(store, kind.record)


@every_kind
def test_replace_stores_the_record_with_the_next_version(store: Store, kind: Kind) -> None:
    first = kind.add(store, kind.record)
    second = kind.replace(store, replace(kind.full, version=first.version))
    assert second == replace(kind.full, version=2)
    assert kind.get(store, first) == second


@every_kind
def test_replace_is_refused_when_the_record_changed_since(store: Store, kind: Kind) -> None:
    first = kind.add(store, kind.record)
    second = kind.replace(store, first)
    with pytest.raises(StaleRecord):
        kind.replace(store, kind.rival(first))
    assert kind.get(store, first) == second


@every_kind
def test_replace_names_the_kind_when_there_is_no_record(store: Store, kind: Kind) -> None:
    for record in (kind.record, kind.full):
        with pytest.raises(kind.absent):
            kind.replace(store, record)
    with pytest.raises(kind.absent):
        kind.get(store, kind.record)


@every_kind
@pytest.mark.parametrize("which", ["rival", "full"])
def test_replace_succeeds_when_it_is_repeated(store: Store, kind: Kind, which: str) -> None:
    first = kind.add(store, kind.record)
    changed = kind.rival(first) if which == "rival" else replace(kind.full, version=first.version)
    second = kind.replace(store, changed)
    assert kind.replace(store, changed) == second
    assert kind.get(store, first) == second
    with pytest.raises(StaleRecord):
        kind.replace(store, first)


@every_kind
def test_replace_lets_one_win_when_many_race(store: Store, kind: Kind) -> None:
    first = kind.add(store, kind.record)

    def tried(number: int) -> bool:
        try:
            kind.replace(store, kind.rival(first, number))
        except StaleRecord:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(tried, range(8)))
    assert won.count(True) == 1
    assert kind.get(store, first) == replace(kind.rivals[won.index(True)], version=2)

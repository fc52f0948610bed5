"""The function that the catalog's stream feeds: what it tells the bus, counts, logs, and asks to be given again."""

import json
from dataclasses import replace
from typing import Any, Final

import pytest

from functions.announce import handler as announce
from functions.backup.watch import handler as watch
from tests.fakes import MemoryAnnouncements
from tests.handlers.phases import run
from tests.handlers.rest import sample
from tests.repo.sources import EVENTS
from tests.unit.test_announced_details import (
    BUSY,
    IMAGE,
    INTO_VOLUME,
    MISSED,
    OF_VOLUME,
    SAMPLES,
    TEST_AREA,
    example,
)
from tidemark.adapters.dynamo_records import Stored, row_of
from tidemark.domain.announcements import Kind
from tidemark.domain.schedule import Schedule
from tidemark.domain.task import Task
from tidemark.domain.volume import VolumeSnapshot
from tidemark.errors import AwsFailure
from tidemark.ports import Event, Ports
from tidemark.streams import metrics_of

SORT_KEYS: Final = {
    VolumeSnapshot: f"VOLUME-SNAPSHOT#{IMAGE.id}",
    Task: "TASK",
    Schedule: f"SCHEDULE#{OF_VOLUME.id}",
}


@pytest.fixture
def bus(ports: Ports) -> MemoryAnnouncements:
    assert isinstance(ports.announcements, MemoryAnnouncements)
    return ports.announcements


def batch() -> dict[str, Any]:
    """A completed snapshot, and a restore that has begun."""
    return sample("announce", "announce")


def number(event: dict[str, Any], place: int) -> str:
    return str(event["Records"][place]["dynamodb"]["SequenceNumber"])


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def counted(lines: list[dict[str, Any]]) -> dict[str, float]:
    """The metrics among log lines, by their names."""
    names = [
        metric["Name"] for line in lines if "_aws" in line for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    ]
    return {name: sum(line[name][0] for line in lines if "_aws" in line and name in line) for name in names}


def test_what_the_stream_says_is_announced(bus: MemoryAnnouncements) -> None:
    assert announce.handler(batch(), None) == {"batchItemFailures": []}
    assert [event.kind for event in bus.told] == ["Snapshot Completed", "Restore Started"]
    shown = json.loads((EVENTS / "announcements" / "snapshot_completed.json").read_text(encoding="utf-8"))["detail"]
    said = json.loads(bus.told[0].detail)
    assert said == shown | {"at": "2026-01-15T10:00:03.000Z"}


def test_batch_that_comes_again_is_announced_under_the_same_ids(bus: MemoryAnnouncements) -> None:
    for _ in range(2):
        announce.handler(batch(), None)
    first, second, *again = bus.told
    assert again == [first, second]
    assert first.id != second.id


def test_what_is_announced_is_counted_with_the_tenant_as_no_dimension(
    bus: MemoryAnnouncements, capsys: pytest.CaptureFixture[str]
) -> None:
    announce.handler(batch(), None)
    lines = printed(capsys)
    assert counted(lines) == {
        "SnapshotsCompleted": 1,
        "SnapshotDuration": 3000,
        "SnapshotEntities": 1250,
        "SnapshotBytes": 310_000,
        "SnapshotNewBytes": 4096,
        "RestoresStarted": 1,
    }
    for line in lines:
        assert line["tenant"] == "smartcity"
        if "_aws" in line:
            assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert [line["message"] for line in lines if "message" in line] == [
        "announced: Snapshot Completed",
        "announced: Restore Started",
    ]


def test_what_the_bus_refuses_is_given_again_and_not_counted(
    bus: MemoryAnnouncements, capsys: pytest.CaptureFixture[str]
) -> None:
    bus.refuse = lambda event: "InternalFailure" if event.kind == "Restore Started" else ""
    event = batch()
    assert announce.handler(event, None) == {"batchItemFailures": [{"itemIdentifier": number(event, 1)}]}
    lines = printed(capsys)
    assert "RestoresStarted" not in counted(lines)
    assert "SnapshotsCompleted" in counted(lines)
    [said] = [line["message"] for line in lines if line.get("level") == "ERROR"]
    assert "Restore Started: InternalFailure" in said


def test_damaged_record_is_reported_and_holds_up_nothing(
    bus: MemoryAnnouncements, capsys: pytest.CaptureFixture[str]
) -> None:
    event = batch()
    event["Records"][0]["dynamodb"]["NewImage"]["record"]["S"] += " "
    assert announce.handler(event, None) == {"batchItemFailures": []}
    assert [told.kind for told in bus.told] == ["Restore Started"]
    lines = printed(capsys)
    assert counted(lines)["VerificationFailed"] == 1
    assert any(line.get("message", "").startswith("damaged: ") for line in lines)


def test_bus_that_does_not_answer_fails_the_whole_batch_and_says_so(
    bus: MemoryAnnouncements, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(_: Event) -> str:
        raise AwsFailure("putting 2 events on the bus: no answer from AWS")

    bus.refuse = silent
    with pytest.raises(AwsFailure):
        announce.handler(batch(), None)
    [line] = printed(capsys)
    assert (line["level"], line["error_code"]) == ("ERROR", "AwsFailure")
    assert "told again" in line["message"]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (IMAGE, {"volume_id": IMAGE.volume_id, "snapshot_id": IMAGE.id}),
        (
            INTO_VOLUME.failed(BUSY, INTO_VOLUME.created_at),
            {"task_id": INTO_VOLUME.id, "snapshot_id": INTO_VOLUME.snapshot_id},
        ),
        (
            replace(OF_VOLUME, last_missed=MISSED),
            {"volume_id": OF_VOLUME.volume_id, "schedule_id": OF_VOLUME.id},
        ),
    ],
    ids=["a snapshot", "a restore", "a schedule"],
)
def test_what_is_told_of_volumes_is_logged_with_the_environment(
    bus: MemoryAnnouncements, capsys: pytest.CaptureFixture[str], record: Stored, said: dict[str, str]
) -> None:
    event = batch()
    key = {"pk": {"S": "ENV#compute-on/test_area"}, "sk": {"S": SORT_KEYS[type(record)]}}
    event["Records"] = [event["Records"][0] | {"dynamodb": {**event["Records"][0]["dynamodb"], "Keys": key}}]
    del event["Records"][0]["dynamodb"]["OldImage"]
    event["Records"][0]["dynamodb"]["NewImage"] = row_of(key, record)
    assert announce.handler(event, None) == {"batchItemFailures": []}
    [told] = bus.told
    assert json.loads(told.detail)["environment"] == TEST_AREA
    lines = printed(capsys)
    assert any(line.get("message") == f"announced: {told.kind}" for line in lines)
    for line in lines:
        assert "tenant" not in line
        assert {"environment": TEST_AREA, **said}.items() <= line.items()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Kind.SNAPSHOT_FAILED, {"SnapshotsFailed": 1}),
        (Kind.SNAPSHOT_DELETED, {"SnapshotsDeleted": 1}),
        (Kind.VERIFICATION_FAILED, {"VerificationsFailed": 1}),
        (Kind.RESTORE_CUT_OVER, {"RestoresCutOver": 1}),
        (Kind.RESTORE_COMPLETED, {"RestoresCompleted": 1, "RestoreDuration": 60_000, "RestoreEntities": 1000}),
        (Kind.RESTORE_ROLLED_BACK, {"RestoresRolledBack": 1}),
        (Kind.BACKUP_FAILED, {"BackupsFailed": 1}),
        (
            Kind.VOLUME_SNAPSHOT_COMPLETED,
            {
                "VolumeSnapshotsCompleted": 1,
                "VolumeSnapshotDuration": 64_000,
                "VolumeSnapshotBytes": 1_310_000,
                "VolumeSnapshotNewBytes": 4096,
            },
        ),
        (Kind.VOLUME_SNAPSHOT_FAILED, {"VolumeSnapshotsFailed": 1}),
        (Kind.VOLUME_SNAPSHOT_DELETED, {"VolumeSnapshotsDeleted": 1}),
        (Kind.VOLUME_RESTORE_COMPLETED, {"VolumeRestoresCompleted": 1, "VolumeRestoreDuration": 120_000}),
        (Kind.VOLUME_RESTORE_FAILED, {"VolumeRestoresFailed": 1}),
        (Kind.VOLUME_TEMPLATE_COMPLETED, {"VolumeTemplatesCompleted": 1}),
        (Kind.VOLUME_TEMPLATE_FAILED, {"VolumeTemplatesFailed": 1}),
        # Counted where it is noted, so that the alarm needs no stream.
        (Kind.BACKUP_MISSED, {}),
    ],
)
def test_each_kind_is_counted_under_its_name(kind: Kind, values: dict[str, float]) -> None:
    assert kind in SAMPLES
    assert {name: value for name, (value, _) in metrics_of(example(kind)).items()} == values


@pytest.mark.usefixtures("ports")
def test_age_is_told_where_nobody_has_snapshots_since_silence_means_that_nobody_watches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(watch.handler, "backup", "watch")
    lines = printed(capsys)
    assert counted(lines)["LastSnapshotAgeSeconds"] == 0
    assert not any("tenant" in line for line in lines)

"""The functions of a capture, run one after the other as the state machine does."""

from typing import Any

import pytest

from functions.capture.abort.handler import handler as abort
from functions.capture.begin.handler import handler as begin
from functions.capture.copy_shard.handler import handler as copy_shard
from functions.capture.seal.handler import handler as seal
from tests.fakes import MemoryWorkflows, Started
from tests.handlers.phases import TENANT, Handler, Left, run, write
from tests.handlers.rest import sample
from tidemark.domain.snapshot import Failure, SnapshotStatus
from tidemark.errors import InvalidRequest, LeaseLost, ManifestCorrupt
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot

ENTITIES = 40


@pytest.fixture
def started(ports: Ports) -> Started:
    """A capture that the create route had no time for, so that its state machine was started."""
    write(ports, *range(ENTITIES))
    assert create_snapshot(ports, TENANT, budget_s=-1).status is SnapshotStatus.CREATING
    assert isinstance(ports.workflows, MemoryWorkflows)
    return ports.workflows.started[0]


def _ids(started: Started) -> dict[str, Any]:
    return {"snapshotId": started.subject, "captureId": started.capture_id, "attempt": started.attempt}


def _copied(started: Started) -> object:
    """The capture with every shard copied; its token."""
    begun = run(begin, "capture", "begin", **_ids(started))
    shards = begun["shards"]
    assert isinstance(shards, list)
    for shard in shards:
        run(copy_shard, "capture", "copy_shard", snapshotId=started.subject, token=begun["token"], shard=shard)
    return begun["token"]


def test_begin_names_the_token_and_every_shard(ports: Ports, started: Started) -> None:
    begun = run(begin, "capture", "begin", **_ids(started))
    state = ports.table.load(TENANT).state
    assert state is not None
    assert state.lease is not None
    assert begun == {"token": state.lease.token, "shards": list(range(state.shards)), "over": False, "dryRun": False}


def test_begin_answers_the_same_when_it_is_repeated(ports: Ports, started: Started) -> None:
    first = run(begin, "capture", "begin", **_ids(started))
    assert run(begin, "capture", "begin", **_ids(started)) == first


def test_copied_shards_hold_every_entity_that_was_there_at_the_cut(ports: Ports, started: Started) -> None:
    begun = run(begin, "capture", "begin", **_ids(started))
    write(ports, *range(ENTITIES, ENTITIES + 5))
    shards = begun["shards"]
    assert isinstance(shards, list)
    ids: dict[str, Any] = {"snapshotId": started.subject, "token": begun["token"]}
    records = [run(copy_shard, "capture", "copy_shard", **ids, shard=shard)["records"] for shard in shards]
    assert sum(int(str(count)) for count in records) == ENTITIES


def test_copy_shard_stops_when_its_token_is_void(ports: Ports, started: Started) -> None:
    begun = run(begin, "capture", "begin", **_ids(started))
    run(begin, "capture", "begin", **{**_ids(started), "attempt": started.attempt + 1})
    with pytest.raises(LeaseLost):
        run(copy_shard, "capture", "copy_shard", snapshotId=started.subject, token=begun["token"], shard=0)


def test_seal_completes_the_snapshot_and_frees_the_tenant(ports: Ports, started: Started) -> None:
    sealed = run(seal, "capture", "seal", snapshotId=started.subject, token=_copied(started))
    assert sealed == {"snapshotId": started.subject, "status": "completed", "entityCount": ENTITIES}
    assert ports.catalog.snapshot(TENANT, started.subject).entity_count == ENTITIES
    state = ports.table.load(TENANT).state
    assert state is not None
    assert state.lease is None


def test_begin_finds_nothing_to_do_when_the_capture_is_over(ports: Ports, started: Started) -> None:
    run(seal, "capture", "seal", snapshotId=started.subject, token=_copied(started))
    assert run(begin, "capture", "begin", **_ids(started))["over"] is True


def test_seal_fails_by_name_when_a_shard_was_not_copied(ports: Ports, started: Started) -> None:
    begun = run(begin, "capture", "begin", **_ids(started))
    with pytest.raises(ManifestCorrupt, match="shard 0 was not copied"):
        run(seal, "capture", "seal", snapshotId=started.subject, token=begun["token"])
    assert ports.catalog.snapshot(TENANT, started.subject).status is SnapshotStatus.CREATING


def test_abort_records_the_failure_by_name_and_frees_the_tenant(ports: Ports, started: Started) -> None:
    aborted = run(abort, "capture", "abort", **_ids(started))
    assert aborted == {"status": "failed", "error": "ManifestCorrupt", "message": "shard 3 was not copied"}
    failed = ports.catalog.snapshot(TENANT, started.subject)
    assert failed.status is SnapshotStatus.FAILED
    assert failed.failure == Failure("ManifestCorrupt", "shard 3 was not copied")
    state = ports.table.load(TENANT).state
    assert state is not None
    assert state.lease is None


def test_abort_leaves_a_completed_snapshot_alone(ports: Ports, started: Started) -> None:
    run(seal, "capture", "seal", snapshotId=started.subject, token=_copied(started))
    assert run(abort, "capture", "abort", **_ids(started))["status"] == "completed"
    assert ports.catalog.snapshot(TENANT, started.subject).failure is None


@pytest.mark.parametrize(
    ("function", "handler"), [("begin", begin), ("copy_shard", copy_shard), ("seal", seal), ("abort", abort)]
)
def test_phases_refuse_an_input_that_is_not_theirs(ports: Ports, function: str, handler: Handler) -> None:
    event = sample("capture", function)
    for wrong in (
        {key: value for key, value in event.items() if key != "snapshotId"},
        {**event, "surprise": 1},
        {**event, "snapshotId": 7},
    ):
        with pytest.raises(InvalidRequest, match="is not what its state machine sends"):
            handler(wrong, Left())

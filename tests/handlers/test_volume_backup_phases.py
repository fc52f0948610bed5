"""The functions of a volume's backup, run one after the other as the state machine does."""

from typing import Any

import pytest

from functions.volume_backup.abort.handler import handler as abort
from functions.volume_backup.await_source.handler import handler as await_source
from functions.volume_backup.begin.handler import handler as begin
from functions.volume_backup.copy_range.handler import handler as copy_range
from functions.volume_backup.finish.handler import handler as finish
from functions.volume_backup.read_back.handler import handler as read_back
from functions.volume_backup.seal.handler import handler as seal
from tests.handlers.phases import Handler, Left
from tests.handlers.phases import run as run_phase
from tests.handlers.rest import sample
from tests.unit.volumes.backing import World
from tidemark import bootstrap
from tidemark.errors import BackupEnded, InvalidRequest
from tidemark.tasks import Result

RANGES = [{"shard": 0, "place": 0}, {"shard": 1, "place": 4096}]


class Backup:
    """A volume in memory, a snapshot of it that was asked for, and the functions that make it."""

    def __init__(self) -> None:
        self.world = World()
        self.snapshot_id = self.world.ask()

    def call(self, handler: Handler, sample_event: str, **said: Any) -> Result:
        with bootstrap.use(self.world.ports):
            return run_phase(handler, *sample_event.split("/"), snapshotId=self.snapshot_id, **said)

    def copied(self) -> None:
        """Have all ranges stored."""
        self.call(begin, "volume_backup/begin")
        self.call(await_source, "volume_backup/await_source")
        for item in RANGES:
            self.call(copy_range, "volume_backup/copy_range", **item)


@pytest.fixture
def backup() -> Backup:
    return Backup()


def test_functions_make_the_snapshot_one_after_the_other(backup: Backup) -> None:
    assert backup.call(begin, "volume_backup/begin") == {"state": "cut", "over": False}
    awaited = backup.call(await_source, "volume_backup/await_source")
    assert (awaited["ready"], awaited["over"], awaited["ranges"]) == (True, False, 2)
    listed = backup.world.ports.payloads.get(str(awaited["workKey"]))
    assert listed == b'[{"shard":0,"place":0},{"shard":1,"place":4096}]'
    copied = [backup.call(copy_range, "volume_backup/copy_range", **item) for item in RANGES]
    assert copied == [{"done": True, "place": 4096, "blocks": 2}, {"done": True, "place": 6144, "blocks": 1}]
    assert backup.call(seal, "volume_backup/seal") == {"ranges": 2}
    for item in RANGES:
        read = backup.call(read_back, "volume_backup/read_back", shard=item["shard"])
        assert int(str(read["sizeBytes"])) > 0
    ended = backup.call(finish, "volume_backup/finish")
    snapshot = backup.world.record(backup.snapshot_id)
    assert snapshot.image is not None
    assert ended == {"state": "stored", "newBytes": snapshot.image.new_bytes}
    assert backup.world.content(snapshot) == backup.world.held
    assert backup.call(begin, "volume_backup/begin") == {"state": "stored", "over": True}


def test_source_that_is_not_completed_is_asked_for_again_later(backup: Backup) -> None:
    backup.world.disks.pending = True
    backup.call(begin, "volume_backup/begin")
    told = {"over": False, "ranges": 0, "workKey": ""}
    assert backup.call(await_source, "volume_backup/await_source") == {**told, "ready": False, "waitSeconds": 2}


def test_range_is_handed_over_when_the_time_of_its_function_is_over(backup: Backup) -> None:
    backup.call(begin, "volume_backup/begin")
    backup.call(await_source, "volume_backup/await_source")
    # A minute is what a phase keeps back for its answer.
    stopped = backup.call(copy_range, "volume_backup/copy_range", left_ms=60_000)
    assert stopped == {"done": False, "place": 1, "blocks": 0}
    assert backup.call(copy_range, "volume_backup/copy_range", place=1) == {"done": True, "place": 4096, "blocks": 2}


def test_first_reason_of_a_failure_stays(backup: Backup) -> None:
    backup.call(begin, "volume_backup/begin")
    first = backup.call(abort, "volume_backup/abort")
    assert (first["state"], first["error"]) == ("failed", "BlockDamaged")
    assert str(first["message"]).startswith("block 7 of snap-")
    assert backup.call(abort, "volume_backup/abort", error="States.ExceedToleratedFailureThreshold", cause="") == first
    backup.world.nothing_is_left()


@pytest.mark.parametrize(
    ("handler", "function"),
    [(copy_range, "volume_backup/copy_range"), (seal, "volume_backup/seal"), (read_back, "volume_backup/read_back")],
)
def test_function_says_so_when_the_backup_is_over(backup: Backup, handler: Handler, function: str) -> None:
    backup.copied()
    backup.call(abort, "volume_backup/abort")
    with pytest.raises(BackupEnded, match="failed"):
        backup.call(handler, function)


@pytest.mark.parametrize("function", ["begin", "await_source", "copy_range", "seal", "read_back", "finish", "abort"])
def test_function_refuses_what_its_machine_does_not_send(function: str) -> None:
    handlers: dict[str, Handler] = {
        "begin": begin,
        "await_source": await_source,
        "copy_range": copy_range,
        "seal": seal,
        "read_back": read_back,
        "finish": finish,
        "abort": abort,
    }
    event = sample("volume_backup", function)
    for wrong in ({**event, "tenant": "smartcity"}, {key: event[key] for key in event if key != "environment"}):
        with pytest.raises(InvalidRequest):
            handlers[function](wrong, Left())

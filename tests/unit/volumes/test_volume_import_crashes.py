"""The import of an image is killed at any of its calls, runs twice, or runs on after it is over: its snapshot holds the
file, or it failed, and nothing that was uploaded is left.
"""

from contextlib import suppress
from functools import cache

import pytest

from tests.fakes.copying import copied
from tests.unit.engine.disturbed import Counter, Death
from tests.unit.volumes.backing import World, run
from tests.unit.volumes.examples import FAILURE, TEST_AREA
from tests.unit.volumes.test_volume_backup_crashes import Interrupted
from tests.unit.volumes.uploading import RawFile, begun, left_of, opened, send
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.errors import BackupEnded, TidemarkError, WrongState
from tidemark.usecases.close_volume_backups import close_volume_backups
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.import_volume_image import ImageWanted, complete_upload, import_volume_image
from tidemark.usecases.volume_phases import backup

FILE = RawFile()
dying = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


def prepared() -> tuple[World, str]:
    """An import whose parts have all arrived."""
    return copied(made())


@cache
def made() -> tuple[World, str]:
    world = World()
    return world, begun(world, FILE).snapshot.id


@cache
def calls_of_run() -> int:
    world, snapshot_id = prepared()
    counter = Counter()
    run(world.numbered(counter), snapshot_id)
    return counter.calls


def holds_the_file(world: World, snapshot_id: str) -> None:
    snapshot = world.record(snapshot_id)
    assert snapshot.state is State.STORED, snapshot.failure
    assert world.content(snapshot) == FILE.content


@dying
def test_import_holds_the_file_when_it_died_at_any_call_and_is_run_again(after: bool) -> None:
    for fatal in range(1, calls_of_run() + 1):
        world, snapshot_id = prepared()
        with pytest.raises(Death):
            run(world.numbered(Counter(fatal, after=after)), snapshot_id)
        run(world.ports, snapshot_id)
        holds_the_file(world, snapshot_id)
        assert left_of(world) == [], fatal
        world.nothing_is_left()


@dying
def test_nothing_is_left_when_an_import_died_at_any_call_and_is_given_up(after: bool) -> None:
    for fatal in range(1, calls_of_run() + 1):
        world, snapshot_id = prepared()
        with pytest.raises(Death):
            run(world.numbered(Counter(fatal, after=after)), snapshot_id)
        ended = backup.abort(world.ports, TEST_AREA, snapshot_id, FAILURE)
        assert ended.state in {State.STORED, State.FAILED}
        if ended.state is State.STORED:
            holds_the_file(world, snapshot_id)
        assert left_of(world) == [], fatal
        world.nothing_is_left()


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_late_run_spoils_nothing_when_another_one_finished_the_import_at_any_of_its_calls(late: bool) -> None:
    for at in range(1, calls_of_run() + 1):
        world, snapshot_id = prepared()

        def happens(world: World = world, identity: str = snapshot_id) -> None:
            run(world.ports, identity)

        counter = Interrupted(at, happens, late=late)
        run(world.numbered(counter), snapshot_id)
        holds_the_file(world, snapshot_id)
        assert left_of(world) == [], at
        world.nothing_is_left()


def nearly(world: World, snapshot_id: str) -> None:
    """Another run, up to where it finishes: the parts are stored and gone."""
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    for shard in backup.await_source(world.ports, TEST_AREA, snapshot_id).shards:
        backup.copy_range(world.ports, TEST_AREA, snapshot_id, shard=shard)
    for shard in backup.seal(world.ports, TEST_AREA, snapshot_id):
        backup.read_back(world.ports, TEST_AREA, snapshot_id, shard=shard)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_late_run_fails_no_import_whose_parts_another_one_has_stored_and_removed(late: bool) -> None:
    for at in range(1, calls_of_run() + 1):
        world, snapshot_id = prepared()

        def happens(world: World = world, identity: str = snapshot_id) -> None:
            with suppress(BackupEnded):
                nearly(world, identity)

        run(world.numbered(Interrupted(at, happens, late=late)), snapshot_id)
        run(world.ports, snapshot_id)
        holds_the_file(world, snapshot_id)


@dying
def test_import_is_stored_once_it_is_asked_for_again_when_asking_died_at_any_call(after: bool) -> None:
    fatal, calls = 0, 1
    while fatal < calls:
        fatal += 1
        world = World()
        snapshot = opened(world)
        send(world.ports, snapshot, FILE.parts)
        counter = Counter(fatal, after=after)
        try:
            complete_upload(world.numbered(counter), TEST_AREA, snapshot.id, digest=FILE.digest)
        except Death:
            calls = fatal + 1
            # Whoever asked asks again, or nobody does and the collector finds it.
            if fatal % 2:
                complete_upload(world.ports, TEST_AREA, snapshot.id, digest=FILE.digest)
            else:
                close_volume_backups(world.ports, TEST_AREA)
                complete_upload(world.ports, TEST_AREA, snapshot.id, digest=FILE.digest)
        run(world.ports, snapshot.id)
        holds_the_file(world, snapshot.id)
        assert left_of(world) == [], fatal


@dying
def test_asking_for_an_import_leaves_nothing_that_is_in_the_way_when_it_died_at_any_call(after: bool) -> None:
    fatal, calls = 0, 1
    while fatal < calls:
        fatal += 1
        world = World()
        wanted = ImageWanted(1, volume_name="disk")
        try:
            import_volume_image(world.numbered(Counter(fatal, after=after)), TEST_AREA, wanted)
        except Death:
            calls = fatal + 1
        assert import_volume_image(world.ports, TEST_AREA, wanted).snapshot.awaits_upload


@dying
def test_giving_an_import_up_is_made_up_for_when_it_died_at_any_call(after: bool) -> None:
    fatal, calls = 0, 1
    while fatal < calls:
        fatal += 1
        world = World()
        snapshot = opened(world)
        send(world.ports, snapshot, FILE.parts)
        try:
            delete_volume_snapshot(world.numbered(Counter(fatal, after=after)), TEST_AREA, snapshot.id)
        except Death:
            calls = fatal + 1
            if world.record(snapshot.id).state is not State.DELETED:
                delete_volume_snapshot(world.ports, TEST_AREA, snapshot.id)
        assert world.record(snapshot.id).state is State.DELETED
        assert left_of(world) == [], fatal


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_import_is_stored_or_given_up_and_never_both_when_the_two_are_asked_for_at_once(late: bool) -> None:
    at, calls = 0, 1
    while at < calls:
        at += 1
        world = World()
        snapshot = opened(world)
        send(world.ports, snapshot, FILE.parts)

        def happens(world: World = world, identity: str = snapshot.id) -> None:
            delete_volume_snapshot(world.ports, TEST_AREA, identity)

        counter = Interrupted(at, happens, late=late)
        # Whatever it says, the end state is what counts.
        with suppress(Exception):
            complete_upload(world.numbered(counter), TEST_AREA, snapshot.id)
        calls = max(calls, counter.calls)
        run(world.ports, snapshot.id)
        record = world.record(snapshot.id)
        assert record.state in {State.STORED, State.DELETED}
        if record.state is State.STORED:
            holds_the_file(world, snapshot.id)
        assert left_of(world) == [], at
        world.nothing_is_left()


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_import_whose_parts_were_said_to_be_there_goes_on_though_it_is_being_given_up(late: bool) -> None:
    at, calls = 0, 1
    while at < calls:
        at += 1
        world = World()
        snapshot = opened(world)
        send(world.ports, snapshot, FILE.parts)
        begun_at: list[int] = []

        def happens(
            world: World = world, identity: str = snapshot.id, at: int = at, done: list[int] = begun_at
        ) -> None:
            with suppress(TidemarkError):
                complete_upload(world.ports, TEST_AREA, identity)
                done.append(at)

        counter = Interrupted(at, happens, late=late)
        with suppress(WrongState):
            delete_volume_snapshot(world.numbered(counter), TEST_AREA, snapshot.id)
        calls = max(calls, counter.calls)
        if begun_at:
            run(world.ports, snapshot.id)
            holds_the_file(world, snapshot.id)
        else:
            assert world.record(snapshot.id).state is State.DELETED

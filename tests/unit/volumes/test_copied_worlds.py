"""A world that is copied: both go on as if there were one of them, and neither sees the other."""

from collections.abc import Callable

import pytest

from tests.fakes import MemoryPayloads
from tests.fakes.copying import copied
from tests.unit.engine.disturbed import Counter
from tests.unit.volumes import test_volume_backup_crashes as backups
from tests.unit.volumes import test_volume_import_crashes as imports
from tests.unit.volumes.backing import World, body, run

type Prepared = Callable[[], tuple[World, str]]


def of_a_backup() -> tuple[World, str]:
    return backups.made.__wrapped__(keeps=True)[:2]


def of_an_import() -> tuple[World, str]:
    return imports.made.__wrapped__()


prepared = pytest.mark.parametrize("prepare", [of_a_backup, of_an_import], ids=["a backup", "an import"])


def told(world: World, snapshot_id: str) -> tuple[object, ...]:
    """All that a test could see of a world, its calls and their number when the snapshot is made."""
    counter = Counter()
    snapshot = run(world.numbered(counter), snapshot_id)
    again = world.take()
    return counter.calls, snapshot, world.content(snapshot), again, world.content(again), *seen(world)


def seen(world: World) -> tuple[object, ...]:
    assert isinstance(world.ports.payloads, MemoryPayloads)
    snapshots = list(world.ports.volumes.volume_snapshots(world.ports.volumes.environment_ids().__next__()))
    disks = {key: sorted(one.content.items()) for key, one in world.disks.held.items()}
    return dict(world.ports.payloads.objects), snapshots, disks, dict(world.held), world.ports.clock.now()


@prepared
def test_a_copy_goes_on_call_by_call_as_one_that_was_made(prepare: Prepared) -> None:
    assert told(*copied(prepare())) == told(*prepare())


@prepared
def test_whatever_happens_to_a_copy_leaves_the_original_as_it_was(prepare: Prepared) -> None:
    world, snapshot_id = prepare()
    before = seen(world)
    other, _ = copied((world, snapshot_id))
    other.change(b3=body("another"))
    told(other, snapshot_id)

    assert seen(world) == before
    assert seen(other) != before
    assert told(world, snapshot_id) == told(*prepare())

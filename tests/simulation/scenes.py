"""The scenes: who acts at once, and what is checked when they are done.

In the first two everybody lives. In the others the seed lets processes die before or after a call, stand still while
others take over and then go on, and lets phases run twice at once; then what is left is driven on.
"""

import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

import pytest

from tests.driving import TENANT, key, put
from tests.simulation.checks import (
    check,
    check_collected,
    check_dry_runs,
    check_restores,
    check_swept,
    delete_failed,
    finish_captures,
    settle,
    undo,
)
from tests.simulation.lives import Lives
from tests.simulation.transfers import STAGING, TENANTS, Movers
from tests.simulation.world import BUDGET_S, World
from tidemark.domain.tenant import Tenant
from tidemark.engine import packs
from tidemark.engine.transfer import building, sorting
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot

# What passes between collections where transfers shall mostly come to their end.
_SHORT: Final = (timedelta(0), timedelta(minutes=10), timedelta(hours=2), timedelta(days=2))

type Actors = dict[str, Callable[[], None]]


class Scene(NamedTuple):
    """`dangers`: what share of the processes something befalls; the seed chooses one of them. `tenants` are those who
    have snapshots; where they are several, state machines run by themselves.
    """

    run: Callable[[World], None]
    dangers: tuple[float, ...] = (0.0,)
    tenants: tuple[Tenant, ...] = (TENANT,)

    def danger(self, seed: int) -> float:
        return random.Random(f"danger of {seed}").choice(self.dangers)


def run_restores(world: World) -> None:
    """Writers, captures and a restore at once; then what was made is checked."""
    seed = world.seed
    create_snapshot(world.base, TENANT, budget_s=BUDGET_S)
    world.scheduler.run(
        {
            "writer-1": lambda: world.writer(6, seed),
            "writer-2": lambda: world.writer(6, seed + 1),
            "churner": lambda: world.churner(12, seed + 2),
            "capture": lambda: world.capturer(3),
            "restore": world.restorer,
            "reader": lambda: world.reader(4),
        }
    )
    finish_captures(world)
    check(world)
    check_restores(world)


def run_collections(world: World) -> None:
    """Collections beside captures, restores and deletes; then what is left is checked."""
    _prepare_collections(world)
    world.scheduler.run(_beside_collectors(world) | {"collect-1": lambda: world.collector(8)})
    finish_captures(world)
    check(world, deletes=True)
    check_collected(world)


def run_crashes(world: World) -> None:
    """Everybody but collectors, and things happen to them."""
    seed = world.seed
    create_snapshot(world.base, TENANT, budget_s=BUDGET_S)
    scenes: list[Actors] = [
        {
            "writer-1": lambda: world.writer(6, seed),
            "writer-2": lambda: world.writer(4, seed + 1),
            "churner": lambda: world.churner(8, seed + 2),
            "capture": lambda: world.capturer(3),
            "ask": lambda: world.asker(2),
            "reader": lambda: world.reader(3),
        },
        {"writer-1": lambda: world.writer(5, seed), "ask": lambda: world.asker(3), "reader": lambda: world.reader(3)},
        {"ask": lambda: world.asker(3)},
        {
            "writer-1": lambda: world.writer(4, seed),
            "churner": lambda: world.churner(6, seed + 2),
            "capture-1": lambda: world.capturer(3),
            "capture-2": lambda: world.capturer(2),
        },
    ]
    others: Actors = {"operator": lambda: world.operator(6), "watcher": lambda: world.watcher(6)}
    world.scheduler.run(scenes[seed % len(scenes)] | others)
    settle(world)
    check(world, crashes=True)
    check_restores(world)
    undo(world)
    delete_failed(world)
    check_collected(world)


def run_crashes_with_collections(world: World) -> None:
    """Collectors beside all others, and things happen to all of them."""
    _prepare_collections(world)
    others: Actors = {
        "operator": lambda: world.operator(6),
        "watcher": lambda: world.watcher(4),
        "collect-1": lambda: world.collector(5),
    }
    world.scheduler.run(_beside_collectors(world) | others)
    settle(world)
    check(world, deletes=True, crashes=True)
    delete_failed(world)
    check_collected(world)


def run_transfers(world: World) -> None:
    """Copies, exports and imports beside all others; then what arrived is held against what left."""
    movers = Movers(world)
    with pytest.MonkeyPatch.context() as patch:
        # Few entities fit in memory or in a pack, and few runs are merged at once.
        patch.setattr(sorting, "RUN_BYTES", 4000)
        patch.setattr(building, "FAN_IN", 2)
        patch.setattr(packs, "FRAME_RAW_BYTES", 800)
        patch.setattr(packs, "PACK_BYTES", 400)
        # Enough that what changes is laid on top of it.
        put(world.base, {key(number, "Still"): number for number in range(30)})
        _prepare_collections(world)
        world.scheduler.run(_beside_movers(world, movers))
    settle(world)
    check(world, deletes=True, crashes=True)
    movers.count()
    world.came += movers.came
    delete_failed(world)
    check_collected(world)


def run_dry_runs(world: World) -> None:
    """Dry runs beside writers, captures and restores, and things happen to all of them."""
    seed = world.seed
    create_snapshot(world.base, TENANT, budget_s=BUDGET_S)
    scenes: list[Actors] = [
        {
            "writer": lambda: world.writer(6, seed),
            "churner": lambda: world.churner(8, seed + 2),
            "plan": lambda: world.planner(4),
            "capture": lambda: world.capturer(3),
        },
        {
            "writer": lambda: world.writer(4, seed),
            "churner": lambda: world.churner(6, seed + 2),
            "plan-1": lambda: world.planner(3),
            "plan-2": lambda: world.planner(3),
            "ask": lambda: world.asker(2),
        },
    ]
    world.scheduler.run(scenes[seed % len(scenes)] | {"operator": lambda: world.operator(6)})
    settle(world)
    check(world, crashes=True)
    check_dry_runs(world)


def run_lives(world: World) -> None:
    """Writers who read before they write, of a tenant that has no snapshot at first; then nothing of theirs is lost."""
    lives, seed = Lives(world), 3 * world.seed
    world.scheduler.run(
        {
            "change-1": lambda: lives.changer(10, seed),
            "change-2": lambda: lives.changer(10, seed + 1),
            "change-3": lambda: lives.changer(10, seed + 2),
            "capture": lambda: world.capturer(3),
        }
    )
    finish_captures(world)
    check(world)
    lives.check()


def run_latecomers(world: World) -> None:
    """Restores beside captures and deletes, and what was staged comes once more; nothing is brought back by it, and no
    tombstone stays when nobody can be late any more.
    """
    seed = world.seed
    put(world.base, {key(number, "Churn"): 0 for number in range(3)})
    create_snapshot(world.base, TENANT, budget_s=BUDGET_S)
    world.scheduler.run(
        {
            "churner": lambda: world.churner(20, seed),
            "capture": lambda: world.capturer(5),
            "restore": world.restorer,
            "late-1": lambda: world.latecomer(6, seed + 1),
            "late-2": lambda: world.latecomer(6, seed + 2),
        }
    )
    finish_captures(world)
    create_snapshot(world.base, TENANT, budget_s=BUDGET_S)
    check(world)
    check_restores(world)
    check_swept(world)
    check(world)


SCENES: Final[Mapping[str, Scene]] = MappingProxyType(
    {
        "restores": Scene(run_restores),
        "collections": Scene(run_collections),
        "crashes": Scene(run_crashes, (0.1, 0.3, 0.6)),
        "crashes with collections": Scene(run_crashes_with_collections, (0.1, 0.3, 0.6)),
        "transfers": Scene(run_transfers, tenants=TENANTS),
        "crashes with transfers": Scene(run_transfers, (0.1, 0.3, 0.6), tenants=TENANTS),
        "lives": Scene(run_lives),
        "latecomers": Scene(run_latecomers),
        "dry runs": Scene(run_dry_runs, (0.1, 0.3, 0.6)),
    }
)


def _prepare_collections(world: World) -> None:
    create_snapshot(world.base, TENANT, budget_s=BUDGET_S)
    put(world.base, {key(1, "Churn"): 0})
    base = create_snapshot(world.base, TENANT, budget_s=BUDGET_S)
    if world.seed % 2:
        # Nothing but what is built on it names its packs: the next capture, or the safety snapshot of a restore.
        delete_snapshot(world.base, TENANT, base.id)


def _beside_collectors(world: World) -> Actors:
    """Who acts beside the collectors: everybody, or captures or a restore alone, which meet more often then."""
    seed = world.seed
    restore = (lambda: world.asker(2)) if world.fates.danger else world.restorer
    scenes: list[Actors] = [
        {
            "writer": lambda: world.writer(4, seed),
            "churner": lambda: world.churner(8, seed + 2),
            "capture": lambda: world.capturer(4),
            "restore": restore,
            "delete-1": lambda: world.deleter(4, seed + 3),
            "delete-2": lambda: world.deleter(4, seed + 4),
            "collect-2": lambda: world.collector(2),
        },
        {
            "churner": lambda: world.churner(3, seed + 2),
            "capture": lambda: world.capturer(6),
            "delete-1": lambda: world.deleter(6, seed + 3),
        },
        {"restore": restore, "delete-1": lambda: world.deleter(2, seed + 3)},
    ]
    return scenes[seed // 2 % len(scenes)]


def _beside_movers(world: World, movers: Movers) -> Actors:
    """Who acts beside copies, exports and imports: everybody, or some who meet them more often then."""
    seed = world.seed
    scenes: list[Actors] = [
        {
            "writer": lambda: world.writer(4, seed),
            "churner": lambda: world.churner(6, seed + 2),
            "capture": lambda: world.capturer(2),
            "restore": lambda: world.asker(2),
            "delete-1": lambda: world.deleter(3, seed + 3),
            "delete-2": lambda: movers.deleter(2, seed + 4),
            "copy-1": lambda: movers.copier(2, seed + 5),
            "export-1": lambda: movers.exporter(2, seed + 6),
            "import-1": lambda: movers.importer(2, seed + 7),
        },
        {
            "churner": lambda: world.churner(3, seed + 2),
            "capture": lambda: world.capturer(2),
            "delete-1": lambda: world.deleter(6, seed + 3),
            "delete-2": lambda: movers.deleter(4, seed + 4),
            "delete-3": lambda: movers.deleter(6, seed + 9, TENANT),
            "copy-1": lambda: movers.copier(3, seed + 5),
            "copy-2": lambda: movers.copier(3, seed + 6),
        },
        {
            "churner": lambda: world.churner(3, seed + 2),
            "capture": lambda: world.capturer(2),
            "delete-1": lambda: world.deleter(3, seed + 3),
            "export-1": lambda: movers.exporter(2, seed + 6),
            "export-2": lambda: movers.exporter(2, seed + 6),
        },
        {
            "export-1": lambda: movers.exporter(1, seed + 6),
            "import-1": lambda: movers.importer(3, seed + 7),
            "import-2": lambda: movers.importer(3, seed + 8),
            "delete-2": lambda: movers.deleter(3, seed + 4),
        },
    ]
    # A day is more than uploads are waited for, an hour or less than what was asked for takes to begin.
    every = random.Random(f"pauses of {seed}").choice((_SHORT, _SHORT, (*_SHORT, timedelta(days=8))))
    others: Actors = {
        "operator": lambda: world.operator(6),
        "watcher": lambda: movers.watcher(4),
        "collect-1": lambda: world.collector(4, TENANT, every),
        "collect-2": lambda: world.collector(4, STAGING, every),
    }
    return scenes[seed // 2 % len(scenes)] | others

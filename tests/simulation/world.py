"""The world that is simulated: accounts, who acts on them, scenes of several actors at once, and what must hold
afterwards.

Writers, captures, restores, readers, deletes and collection are interleaved at the granularity of single calls. Each
seed is one schedule, and a failing one replays.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, cast

from tests.driving import TENANT, content, doc, key, live, put, run_restore
from tests.fakes import ManualClock, memory_ports
from tests.simulation.scheduler import Scheduler, Stepped
from tidemark.domain.collection import Collection
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Cut, Generation, Layout, TenantState
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.engine import manifests
from tidemark.engine.live.writes import Decide, Documents
from tidemark.errors import Conflict, NotFound, Unavailable
from tidemark.ports import EntityTable, Ports
from tidemark.usecases import entities
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.undelete_snapshot import undelete_snapshot

KEYS = [key(number) for number in range(6)]
START = 100
TOTAL = START * len(KEYS)
# A capture in a request never runs out of time here.
BUDGET_S = 1e9


class Oracle:
    """Stands before an entity table and knows what was live at the very moment when a cut, or the flip of a cutover,
    was noted.
    """

    def __init__(self, table: EntityTable, scheduler: Scheduler) -> None:
        self._table = table
        self._scheduler = scheduler
        self.at: dict[tuple[Generation, Cut], dict[EntityKey, str]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def replace_state(self, state: TenantState) -> TenantState:
        with self._scheduler.unseen():
            before = self._table.load(state.tenant).state
        noted = self._table.replace_state(state)
        if before is not None and noted.cut != before.cut:
            with self._scheduler.unseen():
                self.at[before.generation, before.cut] = dict(self._live(before))
        return noted

    def _live(self, state: TenantState) -> Iterator[tuple[EntityKey, str]]:
        for shard in range(state.shards):
            after: str | None = None
            while True:
                page = self._table.page(state.tenant, state.generation, shard, after=after)
                for item in page.items:
                    if item.doc is not None:
                        yield EntityKey.parse(item.key.sort_key), item.doc
                if not page.more:
                    break
                after = page.items[-1].key.sort_key


def in_memory(seed: int, scheduler: Scheduler) -> Ports:
    """Ports in memory, whose every call is a step."""
    return memory_ports(seed)


class World:
    """One run: an account per key; transfers keep the sum constant, so any torn view has another sum.

    `make_ports` gives the ports. Where it registers the steps itself, at a finer grain than calls of the ports,
    `stepped` is false.
    """

    def __init__(
        self, seed: int, make_ports: Callable[[int, Scheduler], Ports] = in_memory, *, stepped: bool = True
    ) -> None:
        self.seed = seed
        self.scheduler = Scheduler(seed)
        ports = make_ports(seed, self.scheduler)
        self.oracle = Oracle(ports.table, self.scheduler)
        self.base: Ports = replace(ports, table=cast("EntityTable", self.oracle), layout=Layout(shards=2, gates=3))
        self._stepped = stepped
        put(self.base, dict.fromkeys(KEYS, START))
        self.random = random.Random(seed)
        self.accounts_read: list[int] = []
        self.committed: set[EntityKey] = set()
        self.collections: list[Collection] = []

    def ports(self) -> Ports:
        """The ports of one process: its own hints, every call a step."""
        own = replace(self.base, placements={})
        if not self._stepped:
            return own
        return replace(
            own,
            table=Stepped(self.base.table, self.scheduler),
            catalog=Stepped(self.base.catalog, self.scheduler),
            payloads=Stepped(self.base.payloads, self.scheduler),
        )

    def writer(self, moves: int, seed: int) -> None:
        """Move amounts between accounts; each move leaves a receipt in its own transaction."""
        ports, choice = self.ports(), random.Random(seed)
        for number in range(moves):
            one, other = choice.sample(KEYS, 2)
            receipt = key(number, f"Receipt{seed}")
            try:
                entities.change(ports, TENANT, [one, other, receipt], _move(one, other, receipt, choice.randint(1, 9)))
            except Unavailable:
                continue
            self.committed.add(receipt)

    def churner(self, moves: int, seed: int) -> None:
        """Make, change and delete the same few entities over and over."""
        ports, choice = self.ports(), random.Random(seed)
        for number in range(moves):
            one = key(choice.randrange(3), "Churn")
            made = doc(one, number) if choice.random() < 0.5 else None
            with suppress(Unavailable):
                entities.change(ports, TENANT, [one], _always({one: made}))

    def capturer(self, times: int) -> None:
        ports = self.ports()
        for _ in range(times):
            with suppress(Conflict):
                create_snapshot(ports, TENANT, budget_s=BUDGET_S)

    def restorer(self) -> None:
        ports = self.ports()
        done = [one for one in ports.catalog.snapshots(TENANT) if one.status is SnapshotStatus.COMPLETED]
        if not done:
            return
        try:
            restore = restore_snapshot(ports, TENANT, done[-1].id)
        except (Conflict, NotFound):
            return
        assert run_restore(ports, restore.id) is None

    def deleter(self, deletes: int, seed: int) -> None:
        """Delete snapshots, and bring some back. Whoever does so may look away for days between two calls."""
        ports, choice = self.ports(), random.Random(seed)
        for _ in range(deletes):
            found = [one for one in ports.catalog.snapshots(TENANT) if one.status is not SnapshotStatus.PURGING]
            if not found:
                return
            # The newest half of the times: it is the base of what comes next.
            one = found[0] if choice.random() < 0.5 else choice.choice(found)
            with suppress(Conflict, NotFound):
                if one.status is SnapshotStatus.DELETED:
                    undelete_snapshot(ports, TENANT, one.id)
                else:
                    delete_snapshot(ports, TENANT, one.id)

    def collector(self, times: int) -> None:
        """Collect after the recycle bin's time is over for all that is in it."""
        ports = self.ports()
        for _ in range(times):
            self.let_days_pass()
            self.collections.append(collect_garbage(ports, TENANT))

    def let_days_pass(self) -> None:
        clock = self.base.clock
        assert isinstance(clock, ManualClock)
        clock.advance(8 * 24 * 3600)

    def reader(self, reads: int) -> None:
        ports = self.ports()
        for _ in range(reads):
            try:
                seen = entities.view(ports, TENANT, lambda found: {one.key: one.doc for one in found})
            except Unavailable:
                continue
            self.accounts_read.append(len(accounts(seen)))


def _always(docs: Documents) -> Decide:
    return lambda _old: docs


def _move(one: EntityKey, other: EntityKey, receipt: EntityKey, amount: int) -> Decide:
    def decide(old: Documents) -> Documents:
        assert old[receipt] is None, "a receipt is written once"
        return {
            one: doc(one, value(old[one]) - amount),
            other: doc(other, value(old[other]) + amount),
            receipt: doc(receipt, amount),
        }

    return decide


def value(text: str | None) -> int:
    return int((text or "").rsplit(":", 1)[1].rstrip("}"))


def accounts(found: dict[EntityKey, str]) -> dict[EntityKey, int]:
    return {one: value(text) for one, text in found.items() if one in KEYS}


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
    check(world)


def run_collections(world: World) -> None:
    """Collections beside captures, restores and deletes; then what is left is checked."""
    create_snapshot(world.base, TENANT, budget_s=BUDGET_S)
    put(world.base, {key(1, "Churn"): 0})
    base = create_snapshot(world.base, TENANT, budget_s=BUDGET_S)
    if world.seed % 2:
        # Nothing but what is built on it names its packs: the next capture, or the safety snapshot of a restore.
        delete_snapshot(world.base, TENANT, base.id)
    world.scheduler.run(collection_scene(world))
    check(world, deletes=True)
    check_collected(world)


SCENES: Final[Mapping[str, Callable[[World], None]]] = MappingProxyType(
    {"restores": run_restores, "collections": run_collections}
)


def collection_scene(world: World) -> dict[str, Callable[[], None]]:
    """Who acts beside the collectors: everybody, or captures or a restore alone, which meet more often then."""
    seed = world.seed
    scenes: list[dict[str, Callable[[], None]]] = [
        {
            "writer": lambda: world.writer(4, seed),
            "churner": lambda: world.churner(8, seed + 2),
            "capture": lambda: world.capturer(4),
            "restore": world.restorer,
            "delete-1": lambda: world.deleter(4, seed + 3),
            "delete-2": lambda: world.deleter(4, seed + 4),
            "collect-2": lambda: world.collector(2),
        },
        {
            "churner": lambda: world.churner(3, seed + 2),
            "capture": lambda: world.capturer(6),
            "delete-1": lambda: world.deleter(6, seed + 3),
        },
        {"restore": world.restorer, "delete-1": lambda: world.deleter(2, seed + 3)},
    ]
    return scenes[seed // 2 % len(scenes)] | {"collect-1": lambda: world.collector(8)}


def check_collected(world: World) -> None:
    """When all is quiet, one more collection leaves what some snapshot needs and nothing else; that is still whole."""
    seed = world.seed
    world.let_days_pass()
    report = collect_garbage(world.base, TENANT)
    assert (report.problems, report.done) == ((), True), seed
    state = world.base.table.load(TENANT).state
    assert state is not None
    assert state.base is not None
    held = list(world.base.catalog.snapshots(TENANT))
    bin_ = [one for one in held if one.status is not SnapshotStatus.COMPLETED]
    assert {one.id for one in bin_} <= {state.base.snapshot_id}, (seed, "only the base outlives its time")
    needed: set[str] = set()
    for one in held:
        assert one.manifest is not None, (seed, one)
        needed |= {one.manifest.key, *(pack.key for pack in manifests.read(world.base.payloads, one.manifest).packs)}
    assert {one.key for one in world.base.payloads.list(f"{TENANT}/")} == needed, seed
    check(world, deletes=True)
    for restore in world.base.catalog.restores(TENANT):
        assert restore.swept, (seed, restore)
        pages = [world.base.table.page(TENANT, restore.dead_generation, shard) for shard in range(state.shards)]
        assert not any(page.items for page in pages), (seed, restore)


def check(world: World, *, deletes: bool = False) -> None:
    """Hold what was made against the oracle. A failure names the seed."""
    seed = world.seed
    assert not world.scheduler.errors, (seed, world.scheduler.errors, world.scheduler.trace[-40:])
    assert set(world.accounts_read) <= {len(KEYS)}, (seed, "a read saw a part of a generation")
    now = live(world.base)
    assert sum(accounts(now).values()) == TOTAL, (seed, "the live data is torn")
    somewhere = set(now)
    for snapshot in world.base.catalog.snapshots(TENANT):
        if deletes and snapshot.status is SnapshotStatus.PURGING:
            continue
        # What is in the recycle bin must be as whole as if it had never been deleted.
        expected = {SnapshotStatus.COMPLETED, SnapshotStatus.DELETED} if deletes else {SnapshotStatus.COMPLETED}
        assert snapshot.status in expected, (seed, snapshot)
        held = content(world.base, snapshot.id)
        assert sum(accounts(held).values()) == TOTAL, (seed, snapshot.id, "the snapshot is torn")
        assert len(held) == snapshot.entity_count
        assert snapshot.generation is not None
        assert snapshot.cut is not None
        assert held == world.oracle.at[snapshot.generation, snapshot.cut], (seed, snapshot.id, "not what was live")
        somewhere |= set(held)
    assert deletes or world.committed <= somewhere, (seed, "a committed write is in no generation that was kept")
    state = world.base.table.load(TENANT).state
    assert state is not None
    assert (state.lease, state.capturing) == (None, None), (seed, state)
    gates = world.base.table.load(TENANT, gates=range(state.gates)).gates.values()
    assert {(gate.generation, gate.cut, gate.capturing, gate.closed_by) for gate in gates} == {
        (state.generation, state.cut, None, None)
    }, seed

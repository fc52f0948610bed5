"""The world that is simulated: accounts, and who acts on them.

Writers, captures, restores, readers, deletes and collection are interleaved at the granularity of single calls. Each
seed is one schedule, and a failing one replays.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import cast

from tests.driving import TENANT, doc, key, put, run_restore
from tests.fakes import ManualClock, MemoryLinks, Started, memory_ports
from tests.simulation.fates import Died, Fates, Stand
from tests.simulation.ledger import Ledger
from tests.simulation.machines import StateMachines
from tests.simulation.oracle import Oracle
from tests.simulation.scheduler import Scheduler, Stepped
from tidemark.dialects.ngsi import restore_filter
from tidemark.domain.collection import Collection
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Layout
from tidemark.domain.restore import Mode
from tidemark.domain.restore_plan import DryRun
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine.live.writes import Decide, Documents
from tidemark.engine.transfer import exports, plans
from tidemark.errors import Conflict, NotFound, Unavailable
from tidemark.ports import Catalog, EntityTable, Ports
from tidemark.usecases import entities
from tidemark.usecases.cancel_restore import cancel_restore
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.contention import FIRST_EXECUTION, IN_REQUEST
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.dry_run import dry_run
from tidemark.usecases.read_restores import RestoreProgress, list_restores
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot
from tidemark.usecases.undelete_snapshot import undelete_snapshot

KEYS = [key(number) for number in range(6)]
ACCOUNTS = restore_filter.accept({"type": KEYS[0].type})
START = 100
TOTAL = START * len(KEYS)
BIN_IS_OVER = timedelta(days=8)
# The rules of the bucket, and what they are about.
EXPIRES_AFTER, UPLOADS_EXPIRE_AFTER = timedelta(days=7), timedelta(days=1)
EXPIRING = (f"{exports.EXPORTS}/", f"{plans.IMPORTS}/")
# A capture in a request never runs out of time here.
BUDGET_S = 1e9


def in_memory(seed: int, scheduler: Scheduler) -> Ports:
    """Ports in memory, whose every call is a step."""
    return memory_ports(seed)


class World:
    """One run: an account per key; transfers keep the sum constant, so any torn view has another sum.

    `make_ports` gives the ports. Where it registers the steps itself, at a finer grain than calls of the ports,
    `stepped` is false. `danger` is the share of processes that die or stand still; where it is 0, state machines run by
    themselves only where there are several `tenants`, those who have snapshots. The first one has the live data.
    """

    def __init__(
        self,
        seed: int,
        make_ports: Callable[[int, Scheduler], Ports] = in_memory,
        *,
        stepped: bool = True,
        danger: float = 0.0,
        tenants: tuple[Tenant, ...] = (TENANT,),
    ) -> None:
        self.seed = seed
        self.tenants = tenants
        # Beside transfers a deleted snapshot is gone before the bucket drops what they have stored for a while.
        self.bin_days = 1 if len(tenants) > 1 else 7
        self.scheduler = Scheduler(seed)
        self.fates = Fates(self.scheduler, seed, danger)
        ports = make_ports(seed, self.scheduler)
        self.oracle = Oracle(ports.table, self.scheduler)
        self.ledger = Ledger(ports.catalog, self.scheduler, self.oracle)
        self.base: Ports = replace(
            ports,
            table=cast("EntityTable", self.oracle),
            catalog=cast("Catalog", self.ledger),
            layout=Layout(shards=2, gates=3),
        )
        self.machines = len(tenants) > 1 or bool(danger)
        if self.machines:
            running = StateMachines(self.scheduler, self.fates, self.ports, self._moves_on, lambda: bool(self.requests))
            self.base = replace(self.base, workflows=running)
        self._stepped = stepped
        put(self.base, dict.fromkeys(KEYS, START))
        self.random = random.Random(seed)
        self.requests: set[str] = set()
        self.lost_requests = 0
        self.accounts_read: list[int] = []
        self.committed: set[EntityKey] = set()
        self.collections: list[Collection] = []
        self.progress: dict[str, int] = {}
        self.came: Counter[str] = Counter()
        self.dry_runs: list[DryRun] = []

    def ports(self) -> Ports:
        """The ports of one process: its own hints, every call a step."""
        own = replace(self.base, placements={})
        if self.machines:
            own = replace(own, workflows=Stepped(self.base.workflows, self.scheduler))
        if not self._stepped:
            return own
        return replace(
            own,
            table=Stepped(self.base.table, self.scheduler),
            catalog=Stepped(self.base.catalog, self.scheduler),
            payloads=Stepped(self.base.payloads, self.scheduler),
            links=Stepped(self.base.links, self.scheduler),
        )

    def process[T](self, work: Callable[[], T], steps: int) -> T:
        """Do work in a process of its own. Raises Died."""
        return self.fates.process(work, steps, lambda: lambda: False)

    def request[T](self, work: Callable[[], T], steps: int) -> T:
        """Do work that takes the lease in a process of its own. Raises Died."""
        name = self.scheduler.actor or ""
        self.requests.add(name)

        def stand() -> Callable[[], bool]:
            # For all that anybody can tell, it is dead.
            self.requests.discard(name)
            self.lost_requests += 1
            return self.lease_passes_on()

        try:
            return self.fates.process(work, steps, stand)
        except Died:
            self.lost_requests += 1
            raise
        finally:
            self.requests.discard(name)

    def lease_passes_on(self) -> Callable[[], bool]:
        """Whether the lease has been taken, or taken over, since this was called."""
        fence = self.oracle.fence
        return lambda: self.oracle.fence > fence

    def _moves_on(self, execution: Started) -> Stand:
        """Whether what the execution holds, the lease or a transfer's record, has been taken from it."""
        if execution.snapshot_id is None:
            return self.lease_passes_on
        return lambda: self.ledger.moves_on(execution.tenant, execution.snapshot_id)

    def writer(self, moves: int, seed: int) -> None:
        """Move amounts between accounts; each move leaves a receipt in its own transaction."""
        ports, choice = self.ports(), random.Random(seed)
        for number in range(moves):
            one, other = choice.sample(KEYS, 2)
            receipt = key(number, f"Receipt{seed}")
            move = _move(one, other, receipt, choice.randint(1, 9))
            with suppress(Unavailable, Died):
                self.process(partial(entities.change, ports, TENANT, [one, other, receipt], move), 6)
                self.committed.add(receipt)

    def churner(self, moves: int, seed: int) -> None:
        """Make, change and delete the same few entities over and over."""
        ports, choice = self.ports(), random.Random(seed)
        for number in range(moves):
            one = key(choice.randrange(3), "Churn")
            made = doc(one, number) if choice.random() < 0.5 else None
            with suppress(Unavailable, Died):
                self.process(partial(entities.change, ports, TENANT, [one], _always({one: made})), 6)

    def capturer(self, times: int) -> None:
        ports = self.ports()
        for _ in range(times):
            # Every fourth has to leave its work to the state machine.
            budget_s = -1.0 if self.fates.danger and self.fates.pick(4) == 0 else BUDGET_S
            with suppress(Conflict, NotFound, Died):
                self.request(partial(create_snapshot, ports, TENANT, budget_s=budget_s), 60)

    def planner(self, times: int) -> None:
        """Ask what restores would do. Every second dry run has to leave its work to the state machine."""
        ports = self.ports()
        for _ in range(times):
            done = [one for one in ports.catalog.snapshots(TENANT) if one.status is SnapshotStatus.COMPLETED]
            wanted = done[self.fates.pick(len(done))].id
            budget_s = -1.0 if self.fates.pick(2) else BUDGET_S
            with suppress(Conflict, NotFound, Unavailable, Died):
                ask = partial(dry_run, ports, TENANT, wanted, self.wish(), budget_s=budget_s)
                self.dry_runs.append(self.request(ask, 40))

    def restorer(self) -> None:
        """Restore the oldest snapshot, to the end."""
        ports = self.ports()
        done = [one for one in ports.catalog.snapshots(TENANT) if one.status is SnapshotStatus.COMPLETED]
        if not done:
            return
        try:
            restore = restore_snapshot(ports, TENANT, done[-1].id, self.wish())
        except (Conflict, NotFound):
            return
        assert run_restore(ports, restore.id, budget_s=0) is None

    def latecomer(self, times: int, seed: int) -> None:
        """A worker of a restore that stood still in what it staged, until whatever time."""
        ports, choice = self.ports(), random.Random(seed)
        for _ in range(times):
            self.wait_a_while()
            if self.oracle.inserts:
                ports.table.insert(*choice.choice(self.oracle.inserts))

    def wish(self) -> Wish:
        """All of a snapshot, or the accounts alone, or what does not delete: each keeps their sum."""
        return self.random.choice((Wish(), Wish(), Wish(selection=ACCOUNTS), Wish(mode=Mode.MERGE)))

    def asker(self, times: int) -> None:
        """Ask for restores; the state machine makes them. Every third is cancelled."""
        ports = self.ports()
        for _ in range(times):
            done = [one for one in ports.catalog.snapshots(TENANT) if one.status is SnapshotStatus.COMPLETED]
            if not done:
                return
            wanted = done[self.fates.pick(len(done))].id
            with suppress(Conflict, NotFound, Unavailable, Died):
                restore = self.request(partial(restore_snapshot, ports, TENANT, wanted, self.wish()), 10)
                if self.fates.pick(3) == 0:
                    # Late, so that it is met in any phase.
                    self.wait_a_while()
                    self.process(partial(cancel_restore, ports, TENANT, restore.id), 4)

    def wait_a_while(self) -> None:
        trace, end = self.scheduler.trace, len(self.scheduler.trace) + self.fates.pick(60)
        self.scheduler.wait(lambda: len(trace) >= end)

    def operator(self, asks: int) -> None:
        """Whoever next wants something of a tenant whose lease nobody drives."""
        ports = self.ports()
        for _ in range(asks):
            self.scheduler.wait(self.abandoned)
            if not self.abandoned():
                return
            with suppress(Conflict, NotFound, Died):
                self.request(partial(create_snapshot, ports, TENANT, budget_s=BUDGET_S), 60)

    def abandoned(self) -> bool:
        """Whether a lease is held and no execution of it runs, nor a request that might hold it."""
        with self.scheduler.unseen():
            state = self.oracle.state
            if state is None or state.lease is None or (state.lease.attempt == IN_REQUEST and self.requests):
                return False
            attempt = max(state.lease.attempt, FIRST_EXECUTION)
            while (running := self.base.workflows.running(TENANT, state.lease.subject, attempt=attempt)) is False:
                attempt += 1
        return running is None

    def watcher(self, looks: int) -> None:
        """Look at the progress of restores, which never goes back and never passes its total."""
        ports = self.ports()
        for _ in range(looks):
            for seen in list_restores(ports, TENANT, limit=100, offset=0).items:
                assert isinstance(seen, RestoreProgress), seen
                before = self.progress.get(seen.restore.id, 0)
                assert before <= seen.done <= seen.restore.total, (seen, before, "progress went back, or too far")
                self.progress[seen.restore.id] = seen.done

    def deleter(self, deletes: int, seed: int) -> None:
        """Delete snapshots, and bring some back. Whoever does so may look away for days between two calls."""
        ports, choice = self.ports(), random.Random(seed)
        for _ in range(deletes):
            found = [one for one in ports.catalog.snapshots(TENANT) if one.status is not SnapshotStatus.PURGING]
            if not found:
                return
            # The newest half of the times: it is the base of what comes next.
            one = found[0] if choice.random() < 0.5 else choice.choice(found)
            delete = partial(delete_snapshot, recycle_bin_days=self.bin_days)
            change = undelete_snapshot if one.status is SnapshotStatus.DELETED else delete
            with suppress(Conflict, NotFound, Died):
                self.process(partial[object](change, ports, TENANT, one.id), 5)

    def collector(self, times: int, tenant: Tenant = TENANT, every: Sequence[timedelta] = (BIN_IS_OVER,)) -> None:
        """Collect, mostly after the recycle bin's time is over for all that is in it."""
        ports = self.ports()
        for _ in range(times):
            self.let_pass(every[self.fates.pick(len(every))])
            with suppress(Died):
                self.collections.append(self.process(partial(collect_garbage, ports, tenant), 50))

    def let_days_pass(self) -> None:
        self.let_pass(BIN_IS_OVER)

    def let_pass(self, time: timedelta) -> None:
        """Let time pass, and the bucket drop what has expired since, as its lifecycle says."""
        clock = self.base.clock
        assert isinstance(clock, ManualClock)
        with self.scheduler.unseen():
            clock.advance(time.total_seconds())
            if len(self.tenants) > 1 and time > EXPIRES_AFTER:
                self.ledger.expired = True
                for prefix in EXPIRING:
                    for one in list(self.base.payloads.list(prefix)):
                        self.base.payloads.delete(one.key)
            if time > UPLOADS_EXPIRE_AFTER and isinstance(self.base.links, MemoryLinks):
                self.base.links.uploads.clear()

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

"""What was live at each cut, known for sure: whatever a snapshot or a restore says is held against it."""

from collections.abc import Iterator, Sequence
from typing import Any

from tests.simulation.scheduler import Scheduler
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Cut, Generation, Item, TenantState
from tidemark.domain.tenant import Tenant
from tidemark.ports import EntityTable


class Oracle:
    """Stands before an entity table and knows what was live at the very moment when a cut, or the flip of a cutover,
    was noted.
    """

    def __init__(self, table: EntityTable, scheduler: Scheduler) -> None:
        self._table = table
        self._scheduler = scheduler
        self.at: dict[tuple[Generation, Cut], dict[EntityKey, str]] = {}
        self.restored: dict[Generation, dict[EntityKey, str]] = {}
        self.inserts: list[tuple[Tenant, Sequence[Item]]] = []
        self.state: TenantState | None = None

    @property
    def fence(self) -> int:
        """The last token that was given out."""
        return self.state.fence if self.state is not None else 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def insert(self, tenant: Tenant, items: Sequence[Item]) -> None:
        self.inserts.append((tenant, items))
        self._table.insert(tenant, items)

    def replace_state(self, state: TenantState) -> TenantState:
        with self._scheduler.unseen():
            before = self._table.load(state.tenant).state
        assert before is not None
        try:
            return self._table.replace_state(state)
        finally:
            # Also when the answer was lost: what counts is what the table says now.
            with self._scheduler.unseen():
                self._note(before)

    def _note(self, before: TenantState) -> None:
        now = self._table.load(before.tenant).state
        assert now is not None
        self.state = now
        if now.cut != before.cut:
            self.at.setdefault((before.generation, before.cut), dict(self._live(before)))
        if now.generation != before.generation:
            self.restored.setdefault(now.generation, dict(self._live(now)))

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

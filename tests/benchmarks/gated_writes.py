"""What the gates cost writers: the requests and units of a write, and of the same write without them.

A write reads its gates and the tenant's state beside its entities and checks the gates in its transaction. Without
gates it would read its entities and put them on condition of their `rev`. Units are counted by `tests.repo.metering`,
which follows DynamoDB's documentation and is held against the adapters' requests.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import Enum
from typing import Final, NamedTuple

from tests.driving import TENANT
from tests.fakes import MemoryEntityTable
from tests.local.city import Entity, city
from tests.repo.metering import READ_UNITS, WRITE_UNITS, Meter, MeteredTable, metered_ports
from tests.repo.units import index_units, read_units, size_of, write_units
from tidemark.adapters import dynamo_rows as rows
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Gate, ItemKey, ItemWrite
from tidemark.domain.tenant import Tenant
from tidemark.engine.live.writes import Decide, Documents
from tidemark.ports import Loaded, Ports
from tidemark.usecases import entities
from tidemark.usecases.create_snapshot import create_snapshot

_BATCH_ENTITIES: Final = 80
ONE: Final = "one entity"
BATCH: Final = f"a batch of {_BATCH_ENTITIES}"
FIRST_SINCE: Final = "one entity, first time since a snapshot"
_SHARDS: Final = 16
_TRANSACTIONAL: Final = 2


class Way(Enum):
    """How a write is committed."""

    GATES = "with gates"
    TRANSACTION = "without: one transaction"
    PUTS = "without: one conditional put each"


class Cost(NamedTuple):
    """One write in one way."""

    what: str
    way: Way
    requests: int
    read_units: int
    write_units: int


class _UngatedTable(MeteredTable):
    """Meters the requests that would be left if there were no gates."""

    def __init__(self, meter: Meter, way: Way) -> None:
        super().__init__(meter)
        self._way = way

    def load(self, tenant: Tenant, keys: Sequence[ItemKey] = (), gates: Sequence[int] = ()) -> Loaded:
        loaded = MemoryEntityTable.load(self, tenant, keys, gates)
        found = loaded.items.values()
        self._meter["GetItem" if len(keys) == 1 else "BatchGetItem"] += 1
        self._meter[READ_UNITS] += sum(read_units(size_of(rows.item_row(tenant, item))) for item in found)
        self._meter[READ_UNITS] += len(set(keys)) - len(found)
        return loaded

    def commit(self, tenant: Tenant, gates: Sequence[Gate], writes: Sequence[ItemWrite]) -> None:
        before = MemoryEntityTable.load(self, tenant, [write.key for write in writes]).items
        units = 0
        for write in writes:
            old = before.get(write.key)
            sizes = [size_of(rows.item_row(tenant, item)) for item in (old, write.item) if item]
            units += write_units(max(sizes, default=0)) + index_units(old, write.item)
        if self._way is Way.TRANSACTION:
            self._meter["TransactWriteItems"] += 1
            self._meter[WRITE_UNITS] += _TRANSACTIONAL * units
        else:
            self._meter["PutItem"] += len(writes)
            self._meter[WRITE_UNITS] += units
        MemoryEntityTable.commit(self, tenant, gates, writes)


def costs() -> list[Cost]:
    """Changes of entities that exist: of one, of a batch, and of one for the first time since a snapshot."""
    found = [cost for way in Way for cost in _costs(way)]
    # One put needs no transaction.
    wanted = [cost for cost in found if cost.way is not Way.TRANSACTION or cost.what == BATCH]
    order = list(dict.fromkeys(cost.what for cost in found))
    return sorted(wanted, key=lambda cost: order.index(cost.what))


def _costs(way: Way) -> Iterator[Cost]:
    meter: Meter = Counter()
    ports = metered_ports(meter, shards=_SHARDS)
    if way is not Way.GATES:
        ports = replace(ports, table=_UngatedTable(meter, way))
    world = list(city(_BATCH_ENTITIES))
    _write(ports, world, "first")
    for what, some in ((ONE, world[:1]), (BATCH, world), (FIRST_SINCE, world[:1])):
        if what == FIRST_SINCE:
            create_snapshot(ports, TENANT)
        meter.clear()
        _write(ports, some, what)
        reads, writes = meter.pop(READ_UNITS), meter.pop(WRITE_UNITS)
        yield Cost(what, way, meter.total(), reads, writes)


def _write(ports: Ports, some: Sequence[Entity], note: str) -> None:
    docs: dict[EntityKey, str] = {}
    for entity in some:
        noted = entity | {"note": {"type": "Text", "value": note, "metadata": {}}}
        key = EntityKey(entity["type"], entity["id"], "/")
        docs[key] = json.dumps(noted, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    entities.change(ports, TENANT, list(docs), _becomes(docs))


def _becomes(docs: Documents) -> Decide:
    return lambda _old: docs

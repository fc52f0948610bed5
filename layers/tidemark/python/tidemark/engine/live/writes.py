"""Writes to live entities: read, decide, commit in one transaction with the gate check, and again after a lost race."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from tidemark.domain.keys import EntityKey, gate_of, shard_of
from tidemark.domain.live import Gate, Generation, ItemKey, ItemWrite, Placement
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import gates as gate_protocol
from tidemark.engine.live.leases import ensure_tenant
from tidemark.engine.live.versions import write_of
from tidemark.errors import EntityTooLarge, GatesClosed, WriteConflict
from tidemark.ports import Entropy, Loaded, Ports

type Documents = Mapping[EntityKey, str | None]
type Decide = Callable[[Documents], Documents]

MAX_ENTITY_BYTES: Final = 180_000
# A transaction takes 100 actions and 4 MB (DynamoDB); the rest is room for keys and attribute names.
MAX_TRANSACTION_ACTIONS: Final = 100
MAX_TRANSACTION_BYTES: Final = 3_500_000
# Writers open gates that stayed closed for this long: a cut takes two round trips, so its owner is gone.
GATE_PATIENCE_S: Final = 2.0
WRITE_BUDGET_S: Final = 15.0
_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.5
# Each more makes items larger, and it would take a write that is under way just when an entity goes and comes again.
_FIRST_REV_BYTES: Final = 4


def change(ports: Ports, tenant: Tenant, keys: Sequence[EntityKey], decide: Decide) -> None:
    """Read the entities, let `decide` say what they become (None: deleted; absent: untouched), and commit it.

    Keys that fit one transaction commit together; more are split by gate. `decide` may raise, then nothing of its group
    is written; it is called again after a lost race, so it must be pure. Raises EntityTooLarge, WriteConflict (too many
    writers for too long), GatesClosed.
    """
    gates = _placement(ports, tenant).gates
    for group in _groups(keys, gates):
        _change_group(ports, tenant, group, decide)


def _groups(keys: Sequence[EntityKey], gates: int) -> Iterable[Sequence[EntityKey]]:
    if len(keys) + len({gate_of(key.id, gates) for key in keys}) <= MAX_TRANSACTION_ACTIONS:
        return [keys]
    by_gate: dict[int, list[EntityKey]] = {}
    for key in keys:
        by_gate.setdefault(gate_of(key.id, gates), []).append(key)
    size = MAX_TRANSACTION_ACTIONS - 1
    return [group[start : start + size] for group in by_gate.values() for start in range(0, len(group), size)]


def _change_group(ports: Ports, tenant: Tenant, keys: Sequence[EntityKey], decide: Decide) -> None:
    began_s = ports.clock.monotonic_s()
    closed_since: dict[int, float] = {}
    pause_s = _FIRST_PAUSE_S
    while True:
        placement = _placement(ports, tenant)
        located = {key: _locate(key, placement) for key in keys}
        numbers = sorted({gate_of(key.id, placement.gates) for key in keys})
        loaded = ports.table.load(tenant, list(located.values()), numbers)
        if len(loaded.gates) < len(numbers):
            del ports.placements[tenant]
            continue
        try:
            if _pass(ports, tenant, loaded, placement, closed_since):
                writes = _writes(ports.entropy, loaded, located, placement, decide)
                if len(writes) > 1 and _size_bytes(writes) > MAX_TRANSACTION_BYTES:
                    middle = len(keys) // 2
                    _change_group(ports, tenant, keys[:middle], decide)
                    return _change_group(ports, tenant, keys[middle:], decide)
                if writes:
                    ports.table.commit(tenant, list(loaded.gates.values()), writes)
                return None
        except WriteConflict:
            if ports.clock.monotonic_s() - began_s > WRITE_BUDGET_S:
                raise
        if ports.clock.monotonic_s() - began_s > WRITE_BUDGET_S:
            raise GatesClosed(f"writes of tenant {tenant} were paused for {WRITE_BUDGET_S:.0f} s; try again")
        ports.clock.sleep(pause_s * (0.5 + ports.entropy.jitter()))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _placement(ports: Ports, tenant: Tenant) -> Placement:
    if tenant not in ports.placements:
        state = ensure_tenant(ports, tenant)
        ports.placements[tenant] = Placement(state.generation, state.shards, state.gates)
    return ports.placements[tenant]


def _locate(key: EntityKey, placement: Placement) -> ItemKey:
    return ItemKey(placement.generation, shard_of(key.id, placement.shards), key.sort_key)


def _pass(ports: Ports, tenant: Tenant, loaded: Loaded, placement: Placement, closed_since: dict[int, float]) -> bool:
    """Whether every gate is open and of the generation that was read.

    Gates that stay closed for too long are reopened.
    """
    now_s = ports.clock.monotonic_s()
    closers = {gate.closed_by for gate in loaded.gates.values() if gate.closed_by is not None}
    for closer in closers:
        if now_s - closed_since.setdefault(closer, now_s) > GATE_PATIENCE_S:
            gate_protocol.reopen(ports, tenant, closer)
            del closed_since[closer]
    if closers:
        return False
    generations = {gate.generation for gate in loaded.gates.values()}
    if generations == {placement.generation}:
        return True
    ports.placements[tenant] = placement._replace(generation=Generation(max(generations)))
    return False


def _writes(
    entropy: Entropy, loaded: Loaded, located: Mapping[EntityKey, ItemKey], placement: Placement, decide: Decide
) -> list[ItemWrite]:
    items = {key: loaded.items.get(item_key) for key, item_key in located.items()}
    decided = decide({key: item.doc if item else None for key, item in items.items()})
    writes = []
    for key, doc in decided.items():
        if doc is not None and len(doc.encode()) > MAX_ENTITY_BYTES:
            raise EntityTooLarge(
                f"entity {key.id!r} of type {key.type!r} has {len(doc.encode())} bytes of JSON; "
                f"the limit is {MAX_ENTITY_BYTES}"
            )
        gate: Gate = loaded.gates[gate_of(key.id, placement.gates)]
        write = write_of(gate, located[key], items[key], doc, first_rev=_first_rev(entropy))
        if write is not None:
            writes.append(write)
    return writes


def _first_rev(entropy: Entropy) -> int:
    """A rev to begin with. An item that was removed may be made again: were its revs the same ones then, a writer that
    read the old item would take the new one for it.
    """
    return int.from_bytes(entropy.token_bytes(_FIRST_REV_BYTES))


def _size_bytes(writes: Sequence[ItemWrite]) -> int:
    return sum(
        len((text or "").encode()) for write in writes if write.item for text in (write.item.doc, write.item.prev)
    )

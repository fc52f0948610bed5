"""Each delta holds exactly the entities that differ from what lies below it, and says what they were, whatever was
written, captured, restored or failed before.
"""

from collections.abc import Mapping
from dataclasses import replace
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.driving import TENANT, content, doc, key, live, run_restore
from tests.fakes import MemoryPayloads, memory_ports
from tidemark.dialects.ngsi import restore_filter
from tidemark.domain.fingerprint import fingerprint
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Layout
from tidemark.domain.manifest import ShardManifest
from tidemark.domain.restore import Mode
from tidemark.engine import copying, manifests
from tidemark.engine.merge import read_shard
from tidemark.engine.packs import read_pack
from tidemark.engine.verification import check_shard
from tidemark.errors import CutViolated
from tidemark.ports import Ports
from tidemark.usecases import entities
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot

KEYS = [key(number, type_) for type_ in ("Car", "Room") for number in range(4)]

type Writes = Mapping[EntityKey, int | None]


class Meddled(MemoryPayloads):
    """Whenever a capture begins to copy a shard, something is written; and it may fail there."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: Ports | None = None
        self.writes: list[Writes] = []
        self.failing = False

    def get(self, key: str) -> bytes:
        if key.endswith(".shard.json") and key not in self.objects and self.ports is not None:
            if self.writes:
                write(self.ports, self.writes.pop())
            if self.failing:
                raise CutViolated("the capture fails")
        return super().get(key)


def write(ports: Ports, change: Writes) -> None:
    docs = {one: None if value is None else doc(one, value) for one, value in change.items()}
    if docs:
        entities.change(ports, TENANT, list(docs), lambda _old: docs)


def held(ports: Ports, shard: ShardManifest) -> dict[str, str]:
    return {one.key: (one.value or b"").decode() for one in read_shard(ports.payloads, shard)}


def assert_exact(ports: Ports, snapshot_id: str) -> None:
    """Each delta says of each entity that differs, and of no other, what it was and what it is."""
    snapshot = ports.catalog.snapshot(TENANT, snapshot_id)
    assert snapshot.manifest is not None
    for shard in manifests.read(ports.payloads, snapshot.manifest).shards:
        check_shard(ports.payloads, "manifest", shard, lambda: None)
        for count in range(1, len(shard.layers)):
            below = held(ports, replace(shard, layers=shard.layers[:count]))
            above = held(ports, replace(shard, layers=shard.layers[: count + 1]))
            said = {
                one.key: (one.was, None if one.value is None else one.value.decode())
                for pack in shard.layers[count].packs
                for one in read_pack(ports.payloads, pack)
            }
            assert said == {
                one: (fingerprint(below.get(one)), above.get(one))
                for one in below | above
                if below.get(one) != above.get(one)
            }


WRITES = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 2) | st.none(), max_size=5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), WRITES),
        st.tuples(st.sampled_from(["capture", "capture", "failing capture", "restore", "restore of a part"]), WRITES),
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_each_delta_is_exact_after_any_history(steps: list[tuple[str, Writes]]) -> None:
    payloads = Meddled()
    ports = replace(memory_ports(), payloads=payloads, layout=Layout(shards=2, gates=2))
    payloads.ports = ports
    write(ports, dict.fromkeys(KEYS[::2], 0))
    expected: dict[str, dict[EntityKey, str]] = {}
    with patch.object(copying, "MAX_DELTAS", 2), patch.object(copying, "COMPACT_SHARE", 1000):
        for step, change in [("capture", {}), *steps, ("capture", {})]:
            if step == "write":
                write(ports, change)
                continue
            before = live(ports)
            payloads.writes = [change]
            if step == "capture":
                expected[create_snapshot(ports, TENANT).id] = before
            elif step == "failing capture":
                fail_to_capture(ports, payloads)
            else:
                expected |= restored(ports, list(expected), step, len(change))
            payloads.writes = []
    for name, entities_then in expected.items():
        assert content(ports, name) == entities_then
        assert ports.catalog.snapshot(TENANT, name).entity_count == len(entities_then)
        assert_exact(ports, name)


def fail_to_capture(ports: Ports, payloads: Meddled) -> None:
    payloads.failing = True
    try:
        create_snapshot(ports, TENANT)
    except CutViolated:
        return
    finally:
        payloads.failing = False
    raise AssertionError("the capture did not fail")


def restored(ports: Ports, snapshots: list[str], step: str, number: int) -> dict[str, dict[EntityKey, str]]:
    """Restore one of the snapshots, whole or in part, while something is written; its safety snapshot."""
    wish = Wish(mode=Mode.MERGE, selection=restore_filter.accept({"type": "Room"}))
    restore = restore_snapshot(
        ports, TENANT, snapshots[number % len(snapshots)], wish if step == "restore of a part" else Wish()
    )
    frozen: dict[EntityKey, str] = {}

    def before_phase(phase: str) -> None:
        if phase in {"Plan", "Verify", "Cutover"}:
            write(ports, {KEYS[0]: number, KEYS[4]: number, KEYS[5]: None})
            frozen.clear()
            frozen.update(live(ports))

    assert run_restore(ports, restore.id, between=before_phase) is None
    safety = ports.catalog.restore(TENANT, restore.id).safety_snapshot_id
    assert safety is not None
    return {safety: frozen}

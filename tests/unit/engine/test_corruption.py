"""Every way in which a stored object can be wrong is noticed and named, and nothing of it is ever restored.

The records of the catalog have the same table of their own in `tests/contract/test_catalog_corruption.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest

from tests.driving import TENANT, content, damage, delete, key, live, packs, put, run_restore
from tests.fakes import ManualClock, MemoryPayloads, memory_ports
from tests.tally import TALLY
from tidemark.domain.live import Layout
from tidemark.domain.manifest import Manifest
from tidemark.domain.restore import RestoreStatus
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.engine import manifests
from tidemark.errors import ManifestCorrupt, PackCorrupt
from tidemark.ports import Ports, StoredObject
from tidemark.usecases import capture_phases
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.verify_snapshot import verify_snapshot

OBJECTS = ["base pack", "delta pack", "table of contents", "manifest"]
OTHER_DAMAGE = ["truncated", "cut to nothing", "missing", "swapped", "extended", "extended in front"]


class Rotting(MemoryPayloads):
    """As S3, tells of an object the length and checksum that it came with, whatever its bytes are now."""

    def __init__(self) -> None:
        super().__init__()
        self._arrived: dict[str, StoredObject] = {}

    def put(self, key: str, body: bytes) -> None:
        super().put(key, body)
        self._arrived[key] = super().head(key)

    def head(self, key: str) -> StoredObject:
        return self._arrived[key]


class World(NamedTuple):
    """A tenant with two snapshots, the second of which has a delta. `payloads` is what is damaged."""

    ports: Ports
    payloads: MemoryPayloads
    first: Snapshot
    second: Snapshot
    manifest: Manifest


def world(payloads: MemoryPayloads) -> World:
    ports = replace(memory_ports(), payloads=payloads, layout=Layout(shards=1, gates=1))
    put(ports, {key(number): number for number in range(6)})
    first = create_snapshot(ports, TENANT)
    put(ports, {key(1): 11})
    delete(ports, key(2))
    second = create_snapshot(ports, TENANT)
    put(ports, {key(3): 33})
    assert second.manifest is not None
    return World(ports, payloads, first, second, manifests.read(payloads, second.manifest))


class Target(NamedTuple):
    """An object that the second snapshot needs, the bytes of it that are damaged, and another one of its kind."""

    key: str
    start: int
    stop: int
    other: str


def target(made: World, which: str) -> Target:
    assert made.first.manifest is not None
    assert made.second.manifest is not None
    base, delta = (layer.packs[0] for layer in made.manifest.shards[0].layers)
    return {
        "base pack": Target(base.key, 0, base.toc_offset, delta.key),
        "delta pack": Target(delta.key, 0, delta.toc_offset, base.key),
        "table of contents": Target(delta.key, delta.toc_offset, delta.size_bytes, base.key),
        "manifest": Target(made.second.manifest.key, 0, made.second.manifest.size_bytes, made.first.manifest.key),
    }[which]


def flipped(body: bytes, offset: int) -> bytes:
    return body[:offset] + bytes([body[offset] ^ 1 << offset % 8]) + body[offset + 1 :]


def otherwise(objects: dict[str, bytes], at: Target, damage: str) -> bytes | None:
    good = objects[at.key]
    return {
        "truncated": good[: at.stop - 1],
        "cut to nothing": b"",
        "missing": None,
        "swapped": objects[at.other],
        "extended": good + b"\0",
        "extended in front": b"\0" + good,
    }[damage]


def store(objects: dict[str, bytes], object_key: str, body: bytes | None) -> None:
    if body is None:
        del objects[object_key]
    else:
        objects[object_key] = body


def cases(made: World, at: Target) -> Iterator[bytes | None]:
    """Each damage of the object in turn."""
    for offset in range(at.start, at.stop):
        yield flipped(made.payloads.objects[at.key], offset)
    for way in OTHER_DAMAGE:
        yield otherwise(made.payloads.objects, at, way)


def assert_noticed_by_verify(made: World, object_key: str) -> None:
    verified, done = verify_snapshot(made.ports, TENANT, made.second.id)
    assert done
    found = verified.verification
    assert found is not None
    assert not found.ok
    assert found.failure is not None
    assert object_key in found.failure.message
    assert found.failure.code in {"PackCorrupt", "ManifestCorrupt"}


def assert_noticed_by_restore(made: World, object_key: str) -> None:
    assert isinstance(made.ports.clock, ManualClock)
    made.ports.clock.advance(1)
    before = live(made.ports)
    rolled_back = run_restore(made.ports, restore_snapshot(made.ports, TENANT, made.second.id).id)
    assert rolled_back is not None
    assert rolled_back.error in {"PackCorrupt", "ManifestCorrupt"}
    assert object_key in (rolled_back.message or "")
    assert live(made.ports) == before
    state = made.ports.table.load(TENANT).state
    assert state is not None
    assert state.lease is None


@pytest.mark.parametrize("notice", [assert_noticed_by_verify, assert_noticed_by_restore], ids=["verify", "restore"])
@pytest.mark.parametrize("which", OBJECTS)
def test_damage_is_noticed_and_named(which: str, notice: Callable[[World, str], None]) -> None:
    """Bits flip unseen by the store; what changes an object's length, or exchanges it, its report shows too."""
    for payloads in (Rotting(), MemoryPayloads()):
        made = world(payloads)
        at = target(made, which)
        objects = made.payloads.objects
        good = objects[at.key]
        for bad in cases(made, at):
            if isinstance(payloads, Rotting) == (bad is None or len(bad) != len(good) or bad == objects[at.other]):
                continue
            store(objects, at.key, bad)
            notice(made, at.key)
            TALLY["corruption matrix, damages noticed and named"] += 1
            objects[at.key] = good
        assert verify_snapshot(made.ports, TENANT, made.second.id).snapshot.verification.ok  # type: ignore[union-attr]


@pytest.mark.parametrize("which", OBJECTS)
def test_capture_never_builds_on_damage_of_its_base(which: str) -> None:
    """A manifest that can't be read costs a full copy; a pack that is not what it was fails the capture, by name, and
    the next one is full.
    """
    sizes = target(world(MemoryPayloads()), which)
    for number in range(sizes.stop - sizes.start + len(OTHER_DAMAGE)):
        made = world(MemoryPayloads())
        at = target(made, which)
        bad = list(cases(made, at))[number]
        store(made.payloads.objects, at.key, bad)
        if which != "manifest":
            with pytest.raises(PackCorrupt, match=at.key):
                create_snapshot(made.ports, TENANT)
            failed, *_ = made.ports.catalog.snapshots(TENANT)
            assert failed.status is SnapshotStatus.FAILED
        after = create_snapshot(made.ports, TENANT)
        needs = manifests.read(made.payloads, after.manifest).packs if after.manifest else ()
        assert all(pack.key.startswith(f"{TENANT}/packs/{after.capture_id}/") for pack in needs)
        assert content(made.ports, after.id) == live(made.ports)
        TALLY["corruption matrix, damages noticed and named"] += 1


def test_capture_never_trusts_a_shard_note_that_is_damaged() -> None:
    ports = replace(memory_ports(), layout=Layout(shards=2, gates=1))
    payloads = ports.payloads
    assert isinstance(payloads, MemoryPayloads)
    put(ports, {key(number): number for number in range(6)})
    earlier = create_snapshot(ports, TENANT)
    put(ports, {key(number): -number for number in range(6)})
    snapshot = create_snapshot(ports, TENANT, budget_s=-1)
    begun = capture_phases.begin(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1)
    for shard in begun.shards:
        capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=shard)
    notes = [f"{TENANT}/packs/{snapshot.capture_id}/{shard:03d}.shard.json" for shard in begun.shards]
    at = Target(notes[0], 0, len(payloads.objects[notes[0]]), f"{TENANT}/packs/{earlier.capture_id}/000.shard.json")
    good = payloads.objects[at.key]
    bad: list[bytes | None] = [flipped(good, offset) for offset in range(len(good))]
    bad += [otherwise(payloads.objects, at, damage) for damage in OTHER_DAMAGE]
    bad.append(payloads.objects[notes[1]])
    for body in bad:
        assert body != good
        store(payloads.objects, at.key, body)
        with pytest.raises(ManifestCorrupt, match=at.key):
            capture_phases.seal(ports, TENANT, snapshot.id, token=begun.token)
        if body is not None:
            with pytest.raises(ManifestCorrupt, match=at.key):
                capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=0)
        assert ports.catalog.snapshot(TENANT, snapshot.id).status is SnapshotStatus.CREATING
        TALLY["corruption matrix, damages noticed and named"] += 1
        payloads.objects[at.key] = good
    assert capture_phases.seal(ports, TENANT, snapshot.id, token=begun.token).status is SnapshotStatus.COMPLETED
    assert content(ports, snapshot.id) == live(ports)


def test_capture_never_adopts_a_pack_that_is_damaged() -> None:
    """The run that stored it died before it noted what it had stored."""
    ports = replace(memory_ports(), payloads=Rotting(), layout=Layout(shards=1, gates=1))
    put(ports, {key(number): number for number in range(6)})
    snapshot = create_snapshot(ports, TENANT, budget_s=-1)
    begun = capture_phases.begin(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1)
    capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=0)
    objects = ports.payloads.objects  # type: ignore[attr-defined]
    (pack,) = [stored for stored in objects if stored.endswith(".pack")]
    objects.pop(f"{TENANT}/packs/{snapshot.capture_id}/000.shard.json")
    good = objects[pack]
    for offset in range(len(good)):
        objects[pack] = flipped(good, offset)
        with pytest.raises(PackCorrupt, match=pack):
            capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=0)
        TALLY["corruption matrix, damages noticed and named"] += 1
    objects[pack] = good
    capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=0)
    assert capture_phases.seal(ports, TENANT, snapshot.id, token=begun.token).status is SnapshotStatus.COMPLETED


@pytest.mark.parametrize("harm", ["missing", "overwritten", "rotten and compacted"])
def test_restore_ends_with_its_safety_snapshot_when_the_packs_that_this_builds_on_are_damaged(harm: str) -> None:
    payloads = Rotting() if harm.startswith("rotten") else MemoryPayloads()
    ports = replace(memory_ports(), payloads=payloads, layout=Layout(shards=1, gates=1))
    put(ports, {key(number): number for number in range(40)})
    first = create_snapshot(ports, TENANT)
    put(ports, {key(1): 11})
    second = create_snapshot(ports, TENANT)
    # Enough for a new base, which reads the packs of the old one; or not.
    put(ports, {key(number): 22 for number in range(2, 22 if harm.startswith("rotten") else 4)})
    [pack] = [one for one in packs(ports) if f"/{second.capture_id}/" in one]
    if harm == "missing":
        del payloads.objects[pack]
    else:
        damage(ports, pack, 20)
    restored, wrecked = content(ports, first.id), live(ports)
    restore = restore_snapshot(ports, TENANT, first.id)
    assert run_restore(ports, restore.id) is None
    done = ports.catalog.restore(TENANT, restore.id)
    assert done.status is RestoreStatus.COMPLETED
    assert live(ports) == restored
    assert content(ports, done.safety_snapshot_id or "") == wrecked
    assert create_snapshot(ports, TENANT).status is SnapshotStatus.COMPLETED

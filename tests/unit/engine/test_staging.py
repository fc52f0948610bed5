"""The parts that a restore is cut into: small enough for a worker, and spread over the shards."""

from dataclasses import replace

import pytest

from tests.driving import TENANT, content, key, live, put, run_restore
from tests.fakes import memory_ports
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Layout
from tidemark.domain.manifest import Manifest
from tidemark.domain.restore import Part
from tidemark.domain.snapshot import SnapshotId
from tidemark.engine import manifests, packs, staging
from tidemark.engine.merge import read_shard
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot

ENTITIES = 600


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Ports:
    monkeypatch.setattr(packs, "FRAME_RAW_BYTES", 1500)
    ports = replace(memory_ports(), layout=Layout(shards=2, gates=2))
    put(ports, {key(number): number for number in range(ENTITIES)})
    return ports


def captured(ports: Ports) -> tuple[SnapshotId, Manifest]:
    snapshot = create_snapshot(ports, TENANT)
    assert snapshot.manifest is not None
    return snapshot.id, manifests.read(ports.payloads, snapshot.manifest)


def keys_of(ports: Ports, manifest: Manifest, part: Part) -> list[EntityKey]:
    shard = manifest.shards[part.shard]
    found = read_shard(ports.payloads, shard, from_key=part.from_key, to_key=part.to_key)
    return [EntityKey.parse(one.key) for one in found]


@pytest.mark.parametrize(("records", "raw_bytes"), [(50, 1 << 20), (1 << 20, 6000)])
def test_pack_with_more_than_a_worker_has_time_for_is_cut_into_parts(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, records: int, raw_bytes: int
) -> None:
    snapshot_id, manifest = captured(ports)
    assert len(staging.parts_of(ports, manifest)) == 2
    monkeypatch.setattr(staging, "PART_RECORDS", records)
    monkeypatch.setattr(staging, "PART_RAW_BYTES", raw_bytes)
    parts = staging.parts_of(ports, manifest)
    found = [keys_of(ports, manifest, part) for part in parts]
    assert sorted(one for some in found for one in some) == sorted(content(ports, snapshot_id))
    assert all(20 < len(some) <= 50 for some in found[:-2])
    assert parts == staging.parts_of(ports, manifest)

    put(ports, {key(number): -1 for number in range(0, ENTITIES, 7)})
    restore = restore_snapshot(ports, TENANT, snapshot_id)
    assert run_restore(ports, restore.id) is None
    assert live(ports) == content(ports, snapshot_id)
    assert ports.catalog.restore(TENANT, restore.id).parts == len(parts)


def test_parts_that_follow_each_other_are_of_different_shards(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 1000)
    _, manifest = captured(ports)
    parts = staging.parts_of(ports, manifest)
    assert [part.number for part in parts] == list(range(len(parts)))
    assert len(parts) == sum(len(shard.layers[0].packs) for shard in manifest.shards) > 10
    fewest = min(len(shard.layers[0].packs) for shard in manifest.shards)
    assert [part.shard for part in parts[: 2 * fewest]] == [0, 1] * fewest

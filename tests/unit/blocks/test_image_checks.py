"""Verification, scrub and collector treat an image as they do entities: by its manifest, and block by block."""

from dataclasses import replace

import pytest

from tests.fakes import ManualClock
from tests.unit.blocks.imaging import IMAGE, Content, Imaging, small
from tests.unit.blocks.recording import OWNER, recorded
from tidemark.domain.snapshot import Failure, Snapshot, SnapshotStatus
from tidemark.engine.blocks.packs import read_blocks_of
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.scrub import scrub
from tidemark.usecases.verify_snapshot import list_packs, verify_shard, verify_snapshot

_CONTENT = {index: small(index) for index in range(6)}
_DAYS = 3
_DAY_S = 24 * 3600.0


def world() -> tuple[Imaging, list[Snapshot]]:
    """Three snapshots of a volume, each upon the one before, with one block changed."""
    made, snapshots = Imaging(owner=OWNER), []
    for content in contents():
        made.hold(content)
        snapshots.append(recorded(made, made.take()))
    return made, snapshots


def contents() -> list[Content]:
    return [_CONTENT, _CONTENT | {1: small("one")}, _CONTENT | {1: small("one"), 4: small("four")}]


def flip(made: Imaging, key: str, offset: int) -> None:
    stored = bytearray(made.payloads.objects[key])
    stored[offset] ^= 1
    made.payloads.objects[key] = bytes(stored)


def scrub_all(made: Imaging) -> list[Failure]:
    """What a scrub of each pack finds."""
    found = []
    for _ in range(_DAYS):
        run = scrub(made.ports, days=_DAYS, budget_s=1e9)
        assert run.done
        found += run.damage
        pass_days(made, 1)
    return found


def pass_days(made: Imaging, days: int) -> None:
    assert isinstance(made.ports.clock, ManualClock)
    made.ports.clock.advance(days * _DAY_S)


def collect(made: Imaging) -> int:
    """Let deleted snapshots go; how many objects went."""
    pass_days(made, 30)
    report = collect_garbage(made.ports, OWNER)
    assert report.done
    assert not report.problems
    return report.deleted.objects


def test_image_is_verified_in_a_request_and_by_phases() -> None:
    made, (*_, newest) = world()
    found = verify_snapshot(made.ports, OWNER, newest.id).snapshot.verification
    assert found is not None
    assert (found.ok, found.checked_packs, found.checked_bytes) == (True, 3, newest.stored_bytes)
    assert list_packs(made.ports, OWNER, newest.id) == [0]
    assert verify_shard(made.ports, OWNER, newest.id, shard=0) == (3, newest.stored_bytes)


def test_scrub_reads_each_pack_of_an_image_once() -> None:
    made, _ = world()
    runs = []
    for _ in range(_DAYS):
        runs.append(scrub(made.ports, days=_DAYS, budget_s=1e9))
        pass_days(made, 1)
    assert sum(run.packs for run in runs) == 3
    assert not [run.damage for run in runs if run.damage]


def test_verification_and_scrub_name_the_block_that_is_damaged() -> None:
    made, snapshots = world()
    pack = made.newest.packs[0]
    entry = read_blocks_of(made.payloads, pack)[3]
    flip(made, pack.key, entry.offset + entry.length - 1)
    for snapshot in snapshots:
        found = verify_snapshot(made.ports, OWNER, snapshot.id).snapshot.verification
        assert found is not None
        assert found.failure is not None
        assert found.failure.code == "PackCorrupt"
        assert found.failure.message.startswith(f"block 3 in pack {pack.key} is damaged")
    assert [one.message[:11] for one in scrub_all(made)] == ["block 3 in "]


def test_what_is_wrong_with_a_pack_but_with_no_block_is_said_of_the_pack() -> None:
    made, (*_, newest) = world()
    pack = made.newest.packs[0]
    made.payloads.objects[pack.key] += b"\0"
    found = verify_snapshot(made.ports, OWNER, newest.id).snapshot.verification
    assert found is not None
    assert found.failure is not None
    assert found.failure.message.startswith(f"pack {pack.key} is damaged: it has")


def test_manifest_of_an_image_that_its_record_does_not_describe_fails_the_verification() -> None:
    made, (*_, newest) = world()
    made.ports.catalog.replace_snapshot(replace(newest, entity_count=newest.entity_count + 1))
    found = verify_snapshot(made.ports, OWNER, newest.id).snapshot.verification
    assert found is not None
    assert found.failure is not None
    assert found.failure.code == "ManifestCorrupt"


def test_collector_keeps_what_later_snapshots_of_a_volume_need_of_those_that_are_deleted() -> None:
    made, (first, second, third) = world()
    manifests = {third.id: made.newest}
    needed = {pack.key for pack in made.newest.packs}
    # The notes of captures that are over.
    assert collect(made) == 3 * IMAGE.shards
    for deleted in (first, second):
        delete_snapshot(made.ports, OWNER, deleted.id)
        # Its manifest; its packs are those that the third builds on.
        assert collect(made) == 1
        assert needed <= made.payloads.objects.keys()
        assert made.read(manifests[third.id]) == contents()[-1]
    made.hold(contents()[0])
    fourth = recorded(made, made.take())
    assert made.read() == contents()[0]
    delete_snapshot(made.ports, OWNER, third.id)
    collect(made)
    assert needed <= made.payloads.objects.keys()
    assert made.read() == contents()[0]
    assert made.check() == 4
    delete_snapshot(made.ports, OWNER, fourth.id)
    collect(made)
    assert not made.payloads.objects
    assert not list(made.ports.catalog.snapshots(OWNER))


def test_collector_keeps_what_a_running_capture_of_a_volume_has_stored_and_builds_on() -> None:
    made, (first, second, third) = world()
    made.hold({0: small("newest")})
    running = recorded(made, made.take())
    made.ports.catalog.replace_snapshot(
        replace(running, status=SnapshotStatus.CREATING, manifest=None, parent_id=third.id)
    )
    stored = dict(made.payloads.objects)
    for deleted in (first, second, third):
        delete_snapshot(made.ports, OWNER, deleted.id)
    collect(made)
    kept = made.payloads.objects.keys()
    assert {key for key in stored if f"/{running.capture_id}/" in key} <= kept
    assert {pack.key for pack in made.newest.packs} <= kept
    assert made.read() == {0: small("newest")}


@pytest.mark.parametrize("damaged", ["missing", "flipped"])
def test_collector_deletes_nothing_while_the_manifest_of_an_image_cannot_be_read(damaged: str) -> None:
    made, (first, _, third) = world()
    assert third.manifest is not None
    delete_snapshot(made.ports, OWNER, first.id)
    if damaged == "missing":
        del made.payloads.objects[third.manifest.key]
    else:
        flip(made, third.manifest.key, 20)
    before = set(made.payloads.objects)
    pass_days(made, 30)
    report = collect_garbage(made.ports, OWNER)
    assert third.manifest.key in report.problems[0]
    assert set(made.payloads.objects) == before

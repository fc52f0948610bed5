"""What `ports.volumes` promises, of the adapters and of the fake; and what EC2 and EBS are asked for."""

import hashlib
import importlib
import itertools
import random
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from botocore.response import StreamingBody

from tests.contract.aws import MEMORY, MOTO, client_of, disturb
from tests.fakes import ManualClock, MemoryDisks, SeededEntropy
from tidemark.adapters.ebs_volumes import EbsBlocks
from tidemark.adapters.ec2_disks import Ec2Disks
from tidemark.domain.blocks import BLOCK_BYTES, ZEROS, Block, BlockRange
from tidemark.errors import AwsFailure, Throttled, TidemarkError, WriteConflict
from tidemark.errors.volumes import (
    BlockDamaged,
    DiskSnapshotInUse,
    DiskSnapshotNotFound,
    DiskSnapshotNotReady,
    DiskSnapshotsUnrelated,
    DisksRefused,
    VolumeNotFound,
)
from tidemark.ports.volumes import BlockAccess, BlockToken, Disks, DiskState

if TYPE_CHECKING:
    from mypy_boto3_ebs.client import EBSClient
    from mypy_boto3_ec2.client import EC2Client

# What makes moto's EBS the documented one; without it moto has no content of volumes, and the fake alone is tried.
_PATCHED = "tests.local.moto_ebs"
_CONTENTS = "tests.local.volumes"
LANES = [MEMORY, *([MOTO] if find_spec(_PATCHED) else [])]
ALL = BlockRange(0, 2048)
TAGS = {"tidemark": "c1", "other": "x*"}
NO_SNAPSHOT = "snap-0123456789abcdef0"
_names = itertools.count()


@dataclass
class World:
    """`volume` makes one of a gibibyte that holds these blocks; `change` writes to it."""

    disks: Disks
    blocks: BlockAccess
    volume: Callable[[Mapping[int, bytes], Mapping[str, str]], str]
    change: Callable[[str, Mapping[int, bytes]], None]
    attach: Callable[[str, str], str]

    def snapshot(self, volume_id: str, **tags: str) -> str:
        """A completed disk snapshot of a volume."""
        made = self.disks.create_snapshot(volume_id, description="", tags={"n": str(next(_names)), **tags})
        assert self.disks.snapshot(made.id).state is DiskState.COMPLETED
        return made.id

    def read(self, snapshot_id: str, within: BlockRange = ALL) -> dict[int, bytes]:
        """What a disk snapshot holds."""
        found = [self.blocks.read(snapshot_id, one) for one in self.blocks.listed(snapshot_id, within)]
        assert all(one.body is None or hashlib.sha256(one.body).digest() == one.sha256 for one in found)
        return {one.index: one.body for one in found if one.body is not None}


def body(seed: object) -> bytes:
    return random.Random(str(seed)).randbytes(BLOCK_BYTES)


def block(index: int, content: bytes) -> Block:
    return Block(index, content, hashlib.sha256(content).digest())


@pytest.fixture
def ec2() -> Iterator["EC2Client"]:
    with client_of("ec2", MOTO) as client:
        yield client


@pytest.fixture
def ebs() -> Iterator["EBSClient"]:
    with client_of("ebs", MOTO) as client:
        yield client


@pytest.fixture
def access(ebs: "EBSClient", clock: ManualClock) -> EbsBlocks:
    return EbsBlocks(ebs, clock=clock, entropy=SeededEntropy())


@pytest.fixture(params=LANES)
def world(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[World]:
    if request.param == MEMORY:
        fake = MemoryDisks()

        def change(volume_id: str, content: Mapping[int, bytes]) -> None:
            fake.content[volume_id] |= content

        def join(volume_id: str, device: str) -> str:
            fake.attach(volume_id, "i-00000000000000001", device, name="web", root_device="/dev/xvda")
            return "i-00000000000000001"

        yield World(fake, fake, lambda content, tags: fake.add_volume(1, dict(content), tags), change, join)
        return
    with ExitStack() as stack:
        importlib.import_module(_PATCHED)
        contents: Any = importlib.import_module(_CONTENTS)
        client = stack.enter_context(client_of("ec2", MOTO))
        direct = stack.enter_context(client_of("ebs", MOTO))

        def write(volume_id: str, content: Mapping[int, bytes]) -> None:
            for index, one in content.items():
                contents.write(volume_id, index * BLOCK_BYTES, one)

        def make(content: Mapping[int, bytes], tags: Mapping[str, str]) -> str:
            named = [{"Key": key, "Value": value} for key, value in tags.items()]
            more = {"TagSpecifications": [{"ResourceType": "volume", "Tags": named}]} if named else {}
            volume_id: str = client.create_volume(AvailabilityZone="eu-west-1a", Size=1, **more)["VolumeId"]
            write(volume_id, content)
            return volume_id

        def attach(volume_id: str, device: str) -> str:
            instance_id = _instance(client)
            client.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)
            return instance_id

        access = EbsBlocks(direct, clock=clock, entropy=SeededEntropy())
        yield World(Ec2Disks(client), access, make, write, attach)


def _instance(client: "EC2Client") -> str:
    """An instance that is called web and starts from /dev/xvda."""
    blank_id = client.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    root_id = client.create_snapshot(VolumeId=blank_id)["SnapshotId"]
    client.describe_snapshots(SnapshotIds=[root_id])
    image_id = client.register_image(
        Name=f"image {next(_names)}",
        Architecture="x86_64",
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": root_id}}],
    )["ImageId"]
    run = client.run_instances(
        ImageId=image_id,
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]}],
    )
    return run["Instances"][0]["InstanceId"]


# --- EC2


def test_volumes_are_found_by_all_of_their_tags(world: World) -> None:
    wanted = world.volume({}, TAGS)
    world.volume({}, {"tidemark": "c1"})
    world.volume({}, {"tidemark": "c1", "other": "xy"})
    assert [(one.id, one.size_gib, dict(one.tags)) for one in world.disks.volumes(TAGS)] == [(wanted, 1, TAGS)]
    assert world.disks.volume(wanted).id == wanted
    assert world.disks.volume(wanted).instance_id is None


def test_zones_are_those_of_the_region(world: World) -> None:
    assert list(world.disks.zones()) == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]


def test_instance_of_a_volume_is_found_with_its_tags_and_root_device(world: World) -> None:
    volume_id = world.volume({}, TAGS)
    assert world.disks.volume(volume_id).created_at.tzinfo is not None
    instance_id = world.attach(volume_id, "/dev/sdf")
    attached = world.disks.volume(volume_id)
    assert (attached.state, attached.instance_id, attached.device) == ("in-use", instance_id, "/dev/sdf")
    found = list(world.disks.instances({instance_id, "i-0123456789abcdef0"}))
    assert [(one.id, one.root_device, dict(one.tags)) for one in found] == [(instance_id, "/dev/xvda", {"Name": "web"})]
    assert list(world.disks.instances(set())) == []


def test_what_is_not_there_is_said(world: World) -> None:
    with pytest.raises(VolumeNotFound, match="vol-0123456789abcdef0"):
        world.disks.volume("vol-0123456789abcdef0")
    with pytest.raises(VolumeNotFound, match="vol-0123456789abcdef0"):
        world.disks.create_snapshot("vol-0123456789abcdef0", description="", tags=TAGS)
    for ask in (
        lambda: world.disks.snapshot(NO_SNAPSHOT),
        lambda: list(world.blocks.listed(NO_SNAPSHOT, ALL)),
        lambda: world.blocks.complete(NO_SNAPSHOT, written=0, checksum=b"\0" * 32),
        lambda: world.blocks.write(NO_SNAPSHOT, block(0, body(0))),
        lambda: world.disks.create_volume(NO_SNAPSHOT, zone="eu-west-1a", kind="gp3", token="t0", tags={}),
    ):
        with pytest.raises(DiskSnapshotNotFound, match=NO_SNAPSHOT):
            ask()


def test_disk_snapshot_is_made_once_for_its_tags_and_holds_what_the_volume_held(world: World) -> None:
    volume_id = world.volume({0: body(0), 5: body(5)}, {})
    made = world.disks.create_snapshot(volume_id, description="first", tags=TAGS)
    assert world.disks.snapshot(made.id).state is DiskState.COMPLETED
    world.change(volume_id, {5: body("later")})
    again = world.disks.create_snapshot(volume_id, description="first", tags=TAGS)
    assert (again.id, again.volume_id, dict(again.tags)) == (made.id, volume_id, TAGS)
    assert [one.id for one in world.disks.snapshots(TAGS)] == [made.id]
    assert world.read(made.id) == {0: body(0), 5: body(5)}
    assert world.disks.create_snapshot(volume_id, description="", tags={"tidemark": "c2"}).id != made.id


def test_deleted_disk_snapshot_is_gone_and_deleting_it_again_is_nothing(world: World) -> None:
    snapshot_id = world.snapshot(world.volume({}, {}))
    for _ in range(2):
        world.disks.delete_snapshot(snapshot_id)
    with pytest.raises(DiskSnapshotNotFound):
        world.disks.snapshot(snapshot_id)


def test_volume_of_a_disk_snapshot_is_made_once_for_its_token(world: World) -> None:
    snapshot_id = world.snapshot(world.volume({3: body(3)}, {}))
    made = [
        world.disks.create_volume(snapshot_id, zone="eu-west-1b", kind="gp3", token="token-1", tags=TAGS)
        for _ in range(2)
    ]
    assert made[0].id == made[1].id
    found = world.disks.volume(made[0].id)
    assert (found.zone, found.kind, found.snapshot_id, dict(found.tags)) == ("eu-west-1b", "gp3", snapshot_id, TAGS)
    assert world.read(world.snapshot(found.id)) == {3: body(3)}


def test_image_is_registered_once_and_keeps_its_disk_snapshot(world: World) -> None:
    volume_id = world.volume({0: body(0)}, {})
    first, second = world.snapshot(volume_id), world.snapshot(volume_id)
    made = [world.disks.register_image(first, name="golden", description="d", tags=TAGS) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0].startswith("ami-")
    with pytest.raises(DisksRefused, match="golden"):
        world.disks.register_image(second, name="golden", description="d", tags=TAGS)
    with pytest.raises(DiskSnapshotInUse, match="deregister") as told:
        world.disks.delete_snapshot(first)
    assert first in told.value.message
    assert made[0] in told.value.message


def test_images_are_found_by_their_tags_and_by_name_until_they_are_deregistered(world: World) -> None:
    snapshot_id = world.snapshot(world.volume({0: body(0)}, {}))
    image_id = world.disks.register_image(snapshot_id, name="gold*", description="d", tags=TAGS)
    other_id = world.disks.register_image(snapshot_id, name="golden", description="d", tags={"tidemark": "c2"})
    [found] = world.disks.images(TAGS)
    assert (found.id, found.name, found.state, found.snapshot_ids) == (image_id, "gold*", "available", (snapshot_id,))
    assert found.tags == TAGS
    named = world.disks.image_named("gold*")
    assert named is not None
    assert named.id == image_id
    assert world.disks.image_named("gold") is None
    for _ in range(2):
        world.disks.deregister_image(image_id)
    assert (list(world.disks.images(TAGS)), world.disks.image_named("gold*")) == ([], None)
    world.disks.deregister_image(other_id)
    world.disks.delete_snapshot(snapshot_id)


def test_volume_is_deleted_unless_it_is_attached(world: World) -> None:
    free_id, used_id = (world.volume({}, TAGS) for _ in range(2))
    world.attach(used_id, "/dev/sdf")
    assert [world.disks.delete_volume(free_id) for _ in range(2)] == [True, True]
    assert world.disks.delete_volume(used_id) is False
    assert [one.id for one in world.disks.volumes(TAGS)] == [used_id]


# --- EBS direct


def test_blocks_are_listed_in_order_within_their_range(world: World) -> None:
    content = {index: body(index) for index in (0, 7, 8, 9, 2047)}
    snapshot_id = world.snapshot(world.volume(content, {}))
    assert world.read(snapshot_id) == content
    assert list(world.read(snapshot_id, BlockRange(7, 9))) == [7, 8]
    assert world.read(snapshot_id, BlockRange(10, 20)) == {}


def test_changes_are_those_of_the_second_from_the_first(world: World) -> None:
    volume_id = world.volume({0: body(0), 1: body(1), 2: body(2)}, {})
    first = world.snapshot(volume_id)
    world.change(volume_id, {1: body("new"), 9: body(9)})
    second = world.snapshot(volume_id)
    found = list(world.blocks.changed(first, second, ALL))
    assert [one.index for one in found] == [1, 9]
    assert [world.blocks.read(second, one).body for one in found] == [body("new"), body(9)]
    assert [one.index for one in world.blocks.changed(first, second, BlockRange(2, 2048))] == [9]


def test_block_that_became_zeros_is_a_change(world: World) -> None:
    volume_id = world.volume({4: body(4)}, {})
    first = world.snapshot(volume_id)
    world.change(volume_id, {4: ZEROS})
    second = world.snapshot(volume_id)
    found = [world.blocks.read(second, one) for one in world.blocks.changed(first, second, ALL)]
    assert found == [Block(4)]


def test_snapshots_of_other_volumes_are_unrelated(world: World) -> None:
    one, other = (world.snapshot(world.volume({0: body(0)}, {})) for _ in range(2))
    with pytest.raises(DiskSnapshotsUnrelated):
        list(world.blocks.changed(one, other, ALL))


def _checksum(content: Mapping[int, bytes]) -> bytes:
    return hashlib.sha256(b"".join(hashlib.sha256(one).digest() for _, one in sorted(content.items()))).digest()


def test_written_disk_snapshot_holds_its_blocks_once_it_is_complete(world: World) -> None:
    content = {2: body(2), 1: body(1)}
    ids = {world.blocks.start(1, token="token-2", description="d", tags=TAGS) for _ in range(2)}
    (snapshot_id,) = ids
    assert world.disks.snapshot(snapshot_id).state is DiskState.PENDING
    assert dict(world.disks.snapshot(snapshot_id).tags) == TAGS
    for _ in range(2):
        for index, one in content.items():
            world.blocks.write(snapshot_id, block(index, one))
    world.blocks.complete(snapshot_id, written=2, checksum=_checksum(content))
    assert world.disks.snapshot(snapshot_id).state is DiskState.COMPLETED
    assert world.read(snapshot_id) == content


def test_token_that_started_something_else_is_refused(world: World) -> None:
    world.blocks.start(1, token="token-3", description="d", tags={})
    with pytest.raises(WriteConflict, match="token-3"):
        world.blocks.start(2, token="token-3", description="d", tags={})


def test_disk_snapshot_is_not_complete_with_other_blocks_than_were_said(world: World) -> None:
    content = {0: body(0)}
    snapshot_id = world.blocks.start(1, token="token-4", description="d", tags={})
    world.blocks.write(snapshot_id, block(0, content[0]))
    for written, checksum in ((2, _checksum(content)), (1, _checksum({0: body(1)}))):
        with pytest.raises(BlockDamaged, match=snapshot_id):
            world.blocks.complete(snapshot_id, written=written, checksum=checksum)
    with pytest.raises(DiskSnapshotNotReady):
        list(world.blocks.listed(snapshot_id, ALL))


def test_block_that_is_not_what_its_checksum_says_is_refused_and_named(world: World) -> None:
    snapshot_id = world.blocks.start(1, token="token-5", description="d", tags={})
    with pytest.raises(BlockDamaged, match="block 6 of"):
        world.blocks.write(snapshot_id, Block(6, body(6), hashlib.sha256(body(7)).digest()))
    with pytest.raises(BlockDamaged, match="block 2048 of"):
        world.blocks.write(snapshot_id, block(2048, body(6)))
    with pytest.raises(ValueError, match="block 5"):
        world.blocks.write(snapshot_id, Block(5))


def test_completed_disk_snapshot_takes_no_blocks(world: World) -> None:
    snapshot_id = world.blocks.start(1, token="token-6", description="d", tags={})
    world.blocks.complete(snapshot_id, written=0, checksum=_checksum({}))
    for late in (
        lambda: world.blocks.write(snapshot_id, block(0, body(0))),
        lambda: world.blocks.complete(snapshot_id, written=0, checksum=_checksum({})),
    ):
        with pytest.raises(DiskSnapshotNotReady):
            late()


# --- what EBS answers


def _answer(content: bytes, checksum_of: bytes | None = None) -> dict[str, Any]:
    checksum = b64encode(hashlib.sha256(checksum_of or content).digest()).decode()
    return {
        "BlockData": StreamingBody(BytesIO(content), len(content)),
        "Checksum": checksum,
        "DataLength": len(content),
    }


def test_block_that_was_damaged_on_its_way_is_read_again(ebs: "EBSClient", access: EbsBlocks) -> None:
    told = disturb(ebs, "GetSnapshotBlock", _answer(body(1), body(0)), _answer(body(0)[:-1]), _answer(body(0)))
    assert access.read(NO_SNAPSHOT, BlockToken(7, "dG9rZW4=")) == block(7, body(0))
    assert len(told.requests) == 3


def test_block_that_stays_damaged_is_named(ebs: "EBSClient", access: EbsBlocks) -> None:
    disturb(ebs, "GetSnapshotBlock", *[_answer(body(1), body(0)) for _ in range(3)])
    with pytest.raises(BlockDamaged, match=f"block 7 of {NO_SNAPSHOT} was read 3 times"):
        access.read(NO_SNAPSHOT, BlockToken(7, "dG9rZW4="))


def test_block_without_a_token_is_zeros_and_asks_nothing(ebs: "EBSClient", access: EbsBlocks) -> None:
    told = disturb(ebs, "GetSnapshotBlock")
    assert access.read(NO_SNAPSHOT, BlockToken(7, None)) == Block(7)
    assert told.requests == []


def _page(indexes: list[int], token: str = "", size: int = BLOCK_BYTES) -> dict[str, Any]:
    blocks = [{"BlockIndex": index, "BlockToken": f"{index}"} for index in indexes]
    return {"Blocks": blocks, "BlockSize": size, "VolumeSize": 1} | ({"NextToken": token} if token else {})


def test_pages_are_read_on_past_empty_ones_until_the_range_is_over(ebs: "EBSClient", access: EbsBlocks) -> None:
    pages = [_page([1, 2], "YQ=="), _page([], "Yg=="), _page([5, 10], "Yw==")]
    told = disturb(ebs, "ListSnapshotBlocks", *pages)
    assert [one.index for one in access.listed(NO_SNAPSHOT, BlockRange(1, 10))] == [1, 2, 5]
    asked = [request["query_string"] for request in told.requests]
    assert [one.get("pageToken") for one in asked] == [None, "YQ==", "Yg=="]
    assert (asked[0]["startingBlockIndex"], asked[0]["maxResults"]) == (1, 100)


def test_blocks_of_another_size_are_refused(ebs: "EBSClient", access: EbsBlocks) -> None:
    disturb(ebs, "ListSnapshotBlocks", _page([1], size=512))
    with pytest.raises(AwsFailure, match="blocks of 512 bytes"):
        list(access.listed(NO_SNAPSHOT, ALL))


def test_write_waits_for_another_write_of_the_same_block(ebs: "EBSClient", access: EbsBlocks) -> None:
    racing = _failing("ValidationException", "CONFLICTING_BLOCK_UPDATE")
    sent = block(0, body(0))
    checksum = b64encode(sent.sha256 or b"").decode()
    told = disturb(ebs, "PutSnapshotBlock", racing, racing, {"Checksum": checksum, "ChecksumAlgorithm": "SHA256"})
    access.write(NO_SNAPSHOT, sent)
    assert len(told.requests) == 3


def test_write_that_ebs_confirms_with_another_checksum_is_damaged(ebs: "EBSClient", access: EbsBlocks) -> None:
    disturb(ebs, "PutSnapshotBlock", {"Checksum": "AAAA", "ChecksumAlgorithm": "SHA256"})
    with pytest.raises(BlockDamaged, match="block 0 of"):
        access.write(NO_SNAPSHOT, block(0, body(0)))


def _failing(code: str, reason: str = "") -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": "no message says anything"}, "Reason": reason, "ResponseMetadata": {}}


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (_failing("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND"), DiskSnapshotNotFound, NO_SNAPSHOT),
        (_failing("ValidationException", "INVALID_SNAPSHOT_ID"), DiskSnapshotNotReady, NO_SNAPSHOT),
        (_failing("ValidationException", "UNRELATED_SNAPSHOTS"), DiskSnapshotsUnrelated, "one volume"),
        (_failing("ValidationException", "INVALID_PAGE_TOKEN"), AwsFailure, "ValidationException"),
        (_failing("AccessDeniedException", "UNAUTHORIZED_ACCOUNT"), DisksRefused, "operator"),
        (_failing("ServiceQuotaExceededException"), DisksRefused, "quota"),
        (
            _failing("ValidationException", "INVALID_CUSTOMER_KEY"),
            DisksRefused,
            "INVALID_CUSTOMER_KEY.*no message says",
        ),
        (_failing("ValidationException", "INVALID_PARAMETER_VALUE"), DisksRefused, "would again"),
        (_failing("ValidationException", "WRITE_REQUEST_TIMEOUT"), AwsFailure, "ValidationException"),
        (_failing("ResourceNotFoundException", "DEPENDENCY_RESOURCE_NOT_FOUND"), DisksRefused, "would again"),
        (_failing("ConcurrentLimitExceededException"), Throttled, "try again later"),
        (_failing("RequestThrottledException"), Throttled, "try again later"),
        (_failing("InternalServerException"), AwsFailure, "InternalServerException"),
    ],
)
def test_ebs_says_why_it_refuses(
    ebs: "EBSClient",
    access: EbsBlocks,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any],
    kind: type[TidemarkError],
    said: str,
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    disturb(ebs, "ListChangedBlocks", *[answer] * 9)
    with pytest.raises(kind, match=said) as raised:
        list(access.changed(NO_SNAPSHOT, NO_SNAPSHOT, ALL))
    assert type(raised.value) is kind


def test_disk_snapshot_that_is_gone_counts_as_deleted_though_its_tags_no_longer_allow_it(ec2: "EC2Client") -> None:
    volume_id = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    there = ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]
    disturb(ec2, "DeleteSnapshot", *[_failing("UnauthorizedOperation")] * 2)
    Ec2Disks(ec2).delete_snapshot(NO_SNAPSHOT)
    with pytest.raises(DisksRefused, match=there):
        Ec2Disks(ec2).delete_snapshot(there)


def test_volume_and_image_that_are_gone_count_as_removed_though_their_tags_no_longer_allow_it(ec2: "EC2Client") -> None:
    volume_id = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    snapshot_id = ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]
    image_id = Ec2Disks(ec2).register_image(snapshot_id, name="there", description="", tags={})
    disturb(ec2, "DeleteVolume", *[_failing("UnauthorizedOperation")] * 2)
    disturb(ec2, "DeregisterImage", *[_failing("UnauthorizedOperation")] * 2)
    assert Ec2Disks(ec2).delete_volume("vol-00000000000000000")
    Ec2Disks(ec2).deregister_image("ami-00000000000000000")
    with pytest.raises(DisksRefused, match=volume_id):
        Ec2Disks(ec2).delete_volume(volume_id)
    with pytest.raises(DisksRefused, match=image_id):
        Ec2Disks(ec2).deregister_image(image_id)


def test_zones_in_which_the_account_can_make_nothing_are_left_out(ec2: "EC2Client") -> None:
    def zone(name: str, state: str, wanted: str = "opt-in-not-required") -> dict[str, str]:
        return {"ZoneName": name, "State": state, "OptInStatus": wanted}

    told = [
        zone("eu-west-1c", "constrained"),
        zone("eu-west-1a", "available"),
        zone("eu-west-1b", "unavailable"),
        zone("eu-west-1-lon-1a", "available", "opted-in"),
        zone("eu-west-1-wl1-lon-wlz-1", "available", "not-opted-in"),
    ]
    disturb(ec2, "DescribeAvailabilityZones", {"AvailabilityZones": told})
    assert list(Ec2Disks(ec2).zones()) == ["eu-west-1-lon-1a", "eu-west-1a", "eu-west-1c"]


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("InvalidVolume.NotFound", VolumeNotFound, "vol-1"),
        ("SnapshotCreationPerVolumeRateExceeded", Throttled, "try again later"),
        ("RequestLimitExceeded", Throttled, "try again later"),
        ("UnauthorizedOperation", DisksRefused, "operator"),
        ("SnapshotLimitExceeded", DisksRefused, "no message says anything; .* quota"),
        ("ResourceLimitExceeded", DisksRefused, "no message says anything; .* quota"),
        ("PendingSnapshotLimitExceeded", Throttled, "try again later"),
        ("InvalidParameterValue", DisksRefused, "InvalidParameterValue.: no message says anything"),
        ("InvalidParameterCombination", DisksRefused, "would again"),
        ("UnsupportedOperation", DisksRefused, "would again"),
        ("VolumeTypeNotAvailableInZone", DisksRefused, "would again"),
        ("AuthFailure", AwsFailure, "AuthFailure"),
        ("InsufficientVolumeCapacity", AwsFailure, "InsufficientVolumeCapacity"),
        ("InternalError", AwsFailure, "InternalError"),
    ],
)
def test_ec2_says_why_it_refuses(
    ec2: "EC2Client", monkeypatch: pytest.MonkeyPatch, code: str, kind: type[TidemarkError], said: str
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    disturb(ec2, "CreateSnapshot", *[_failing(code)] * 9)
    with pytest.raises(kind, match=said) as raised:
        Ec2Disks(ec2).create_snapshot("vol-1", description="", tags=TAGS)
    assert type(raised.value) is kind


def test_what_ec2_says_of_a_missing_right_is_not_told_to_callers(ec2: "EC2Client") -> None:
    disturb(ec2, "CreateSnapshot", _failing("UnauthorizedOperation"))
    with pytest.raises(DisksRefused) as raised:
        Ec2Disks(ec2).create_snapshot("vol-1", description="", tags=TAGS)
    assert "no message says" not in raised.value.message


def test_disk_snapshot_that_failed_says_so(ec2: "EC2Client") -> None:
    told = {"SnapshotId": NO_SNAPSHOT, "VolumeSize": 1, "State": "error", "StateMessage": "key is gone", "Progress": ""}
    disturb(ec2, "DescribeSnapshots", {"Snapshots": [told]})
    found = Ec2Disks(ec2).snapshot(NO_SNAPSHOT)
    assert (found.state, found.reason, found.percent) == (DiskState.FAILED, "key is gone", 0)

"""Blocks of disk snapshots: the EBS direct APIs of one region.

Sources: Amazon EBS User Guide, "Read Amazon EBS snapshots" and "Write Amazon EBS snapshots"; EBS direct APIs Reference.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError

from tidemark.adapters.aws_errors import code_of, message_of, named
from tidemark.adapters.backoff import Backoff
from tidemark.domain.blocks import BLOCK_BYTES, ZEROS, Block, BlockRange
from tidemark.errors import AwsFailure, Throttled, TidemarkError, WriteConflict
from tidemark.errors.volumes import (
    BlockDamaged,
    DiskSnapshotNotFound,
    DiskSnapshotNotReady,
    DiskSnapshotsUnrelated,
    DisksRefused,
)
from tidemark.ports import Clock, Entropy
from tidemark.ports.volumes import BlockToken, DiskState, in_order

if TYPE_CHECKING:
    from mypy_boto3_ebs.client import EBSClient

_READS: Final = 3
_FEWEST: Final = 100
_MOST: Final = 10_000
# The most that StartSnapshot lets a disk snapshot wait between two writes.
_TIMEOUT_MINUTES: Final = 4320
_BROKEN_OFF: Final = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_MISSING: Final = "ResourceNotFoundException"
_INVALID: Final = "ValidationException"
# Each of them is one of the reasons that a ValidationException names.
_UNRELATED: Final = "UNRELATED_SNAPSHOTS"
_OTHER_STATE: Final = "INVALID_SNAPSHOT_ID"
_RACES: Final = "CONFLICTING_BLOCK_UPDATE"
_WRONG_BLOCK: Final = "INVALID_BLOCK"
_WRONG_VALUE: Final = "INVALID_PARAMETER_VALUE"
_REFUSED: Final = ("AccessDeniedException", "ServiceQuotaExceededException")
# Reasons that the same request meets again, however often it is sent; the last one is of a key of KMS.
_IMPOSSIBLE: Final = frozenset(
    {
        "INVALID_CONTENT_ENCODING",
        "INVALID_CUSTOMER_KEY",
        "INVALID_DEPENDENCY_REQUEST",
        "INVALID_IMAGE_ID",
        "INVALID_TAG",
        "INVALID_VOLUME_SIZE",
        _WRONG_BLOCK,
        _WRONG_VALUE,
        "DEPENDENCY_RESOURCE_NOT_FOUND",
    }
)
_OTHER_REQUEST: Final = "ConflictException"
_CONCURRENT: Final = "ConcurrentLimitExceededException"
_STATES: Final = {"pending": DiskState.PENDING, "completed": DiskState.COMPLETED, "error": DiskState.FAILED}


class EbsBlocks:
    """See `tidemark.ports.volumes.BlockAccess`. Safe to share between threads, as its client is."""

    def __init__(self, client: "EBSClient", *, clock: Clock, entropy: Entropy) -> None:
        self._client = client
        self._clock = clock
        self._entropy = entropy

    def listed(self, snapshot_id: str, within: BlockRange) -> Iterator[BlockToken]:
        asked: dict[str, Any] = {"SnapshotId": snapshot_id}
        pages = self._pages(f"listing the blocks of {snapshot_id}", "list_snapshot_blocks", asked, within, snapshot_id)
        found = (BlockToken(one["BlockIndex"], one["BlockToken"]) for page in pages for one in page["Blocks"])
        return in_order(found, within)

    def changed(self, first_id: str, second_id: str, within: BlockRange) -> Iterator[BlockToken]:
        asked: dict[str, Any] = {"FirstSnapshotId": first_id, "SecondSnapshotId": second_id}
        doing = f"listing what changed from {first_id} to {second_id}"
        pages = self._pages(doing, "list_changed_blocks", asked, within, f"{first_id} or {second_id}")
        found = (
            BlockToken(one["BlockIndex"], one.get("SecondBlockToken"))
            for page in pages
            for one in page["ChangedBlocks"]
        )
        return in_order(found, within)

    def read(self, snapshot_id: str, block: BlockToken) -> Block:
        if block.token is None:
            return Block(block.index)
        doing = f"reading block {block.index} of {snapshot_id}"
        backoff = Backoff(self._clock, self._entropy)
        wrong = ""
        for reads_left in reversed(range(_READS)):
            with _named(doing, snapshot_id):
                try:
                    answer = self._client.get_snapshot_block(
                        SnapshotId=snapshot_id, BlockIndex=block.index, BlockToken=block.token
                    )
                    with answer["BlockData"] as stream:
                        body = stream.read()
                except _BROKEN_OFF:
                    body, wrong = b"", "the answer broke off before its end"
                else:
                    sha256 = hashlib.sha256(body).digest()
                    if sha256 == b64decode(answer["Checksum"]) and len(body) == BLOCK_BYTES:
                        return Block(block.index) if body == ZEROS else Block(block.index, body, sha256)
                    wrong = f"its {len(body)} bytes are not those that their checksum says"
            if reads_left:
                backoff.pause(doing)
        raise BlockDamaged(f"block {block.index} of {snapshot_id} was read {_READS} times; at the last {wrong}")

    def start(self, size_gib: int, *, token: str, description: str, tags: Mapping[str, str]) -> str:
        doing = f"starting a disk snapshot of {size_gib} GiB"
        conflict = WriteConflict(f"{doing}: the token {token} was used for something else")
        with _named(doing, "the parent"), named(doing, {_OTHER_REQUEST: conflict}):
            answer = self._client.start_snapshot(
                VolumeSize=size_gib,
                ClientToken=token,
                Description=description,
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                Timeout=_TIMEOUT_MINUTES,
            )
        _check_size(doing, answer["BlockSize"])
        return answer["SnapshotId"]

    def write(self, snapshot_id: str, block: Block) -> None:
        if block.body is None or block.sha256 is None:
            raise ValueError(f"block {block.index} is zeros, which a disk snapshot has where nothing is written")
        doing = f"writing block {block.index} of {snapshot_id}"
        checksum = b64encode(block.sha256).decode()
        backoff = Backoff(self._clock, self._entropy)
        damaged = BlockDamaged(f"block {block.index} of {snapshot_id} was refused by EBS as it was sent")
        racing = WriteConflict(f"{doing}: another worker writes the same block at this moment")
        while True:
            try:
                with _named(doing, snapshot_id, {_RACES: racing, _WRONG_BLOCK: damaged, _WRONG_VALUE: damaged}):
                    answer = self._client.put_snapshot_block(
                        SnapshotId=snapshot_id,
                        BlockIndex=block.index,
                        BlockData=block.body,
                        DataLength=len(block.body),
                        Checksum=checksum,
                        ChecksumAlgorithm="SHA256",
                    )
            except WriteConflict:
                backoff.pause(doing)
                continue
            if answer["Checksum"] != checksum:
                raise BlockDamaged(f"block {block.index} of {snapshot_id} was stored with another checksum than sent")
            return

    def complete(self, snapshot_id: str, *, written: int, checksum: bytes) -> DiskState:
        damaged = BlockDamaged(f"{snapshot_id} has other blocks than the {written} that were to be written to it")
        with _named(f"completing {snapshot_id}", snapshot_id, {_WRONG_VALUE: damaged}):
            answer = self._client.complete_snapshot(
                SnapshotId=snapshot_id,
                ChangedBlocksCount=written,
                Checksum=b64encode(checksum).decode(),
                ChecksumAlgorithm="SHA256",
                ChecksumAggregationMethod="LINEAR",
            )
        return _STATES[answer["Status"]]

    def _pages(
        self, doing: str, operation: str, asked: Mapping[str, Any], within: BlockRange, named_ids: str
    ) -> Iterator[Any]:
        call = getattr(self._client, operation)
        request = {**asked, "StartingBlockIndex": within.start, "MaxResults": _page_of(within)}
        while True:
            with _named(doing, named_ids):
                page = call(**request)
            _check_size(doing, page["BlockSize"])
            yield page
            token = page.get("NextToken")
            blocks = page.get("Blocks", page.get("ChangedBlocks"))
            # A page may be empty and not the last one; one that ends beyond the range is the last that is needed.
            if not token or (blocks and blocks[-1]["BlockIndex"] >= within.stop - 1):
                return
            request = {**asked, "NextToken": token, "MaxResults": _page_of(within)}


def _page_of(within: BlockRange) -> int:
    return max(_FEWEST, min(_MOST, within.stop - within.start))


def _check_size(doing: str, block_bytes: int) -> None:
    if block_bytes != BLOCK_BYTES:
        raise AwsFailure(f"{doing}: EBS has blocks of {block_bytes} bytes; this release knows {BLOCK_BYTES}")


@contextmanager
def _named(
    doing: str, snapshot_ids: str, by_reason: Mapping[str, TidemarkError] = MappingProxyType({})
) -> Iterator[None]:
    """As `aws_errors.named`, with the reasons that a ValidationException of EBS gives."""
    reasons: dict[str, TidemarkError] = {
        _OTHER_STATE: DiskSnapshotNotReady(f"{doing}: {snapshot_ids} is not in the state that this needs"),
        _UNRELATED: DiskSnapshotsUnrelated(f"{doing}: they are not snapshots of one volume"),
        **by_reason,
    }
    refused = DisksRefused(
        f"{doing}: EBS refuses it to this account; its operator has to grant the right, or the quota"
    )
    codes: dict[str, TidemarkError] = {
        _MISSING: DiskSnapshotNotFound(f"{doing}: there is no {snapshot_ids}"),
        _CONCURRENT: Throttled(f"{doing}: too many disk snapshots are being written at once; try again later"),
        **dict.fromkeys(_REFUSED, refused),
    }
    with named(doing, codes):
        try:
            yield
        except ClientError as error:
            reason = error.response.get("Reason") if code_of(error) in {_INVALID, _MISSING} else None
            if reason in reasons:
                raise reasons[reason] from error
            if reason in _IMPOSSIBLE:
                raise DisksRefused(
                    f"{doing}: EBS refuses it, and would again ({reason}): {message_of(error)}"
                ) from error
            raise

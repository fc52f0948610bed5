"""Makes moto's EBS direct APIs those of the documents; the original's know neither a volume's snapshots nor a check.

What is wrong with the original (5.2.5): blocks of 512 bytes; snapshots of EC2 answer 500; a snapshot can be read before
it is complete, and written after; no checksum is looked at; no tokens, pages, parents, client tokens or timeouts; each
StartSnapshot leaves a volume behind. All six operations are here instead, over the snapshots and the content of
`moto_ec2.py`. What the documents leave open is answered with a refusal rather than with a favour: completing twice.

Blocks of zeros are never listed, and a block that became zeros is a changed block without a second token. (EBS may also
list zeros that were written: `Content.put` with `keep_zeros` makes such blocks.)

Source: EBS direct APIs Reference (all six operations, their errors in botocore's model), Amazon EBS User Guide,
"Read Amazon EBS snapshots with EBS direct APIs" (pages, which may be empty), "Use EBS direct APIs checksums to validate
snapshot data", "Ensure idempotency in StartSnapshot API requests", "Frequently asked questions for EBS direct APIs"
(order of indexes, fewest results, life of tokens); the aggregated checksum as in awslabs/coldsnap, src/upload.rs.
"""

import base64
import contextlib
import datetime as dt
import hashlib
import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ebs.responses import EBSResponse
from moto.ec2.models.elastic_block_store import Snapshot, Volume
from moto.ec2.utils import random_snapshot_id

from tests.local.moto_ec2 import LOCK, begin_settling, content_of, look
from tests.local.patching import replace
from tests.local.volume_blocks import BLOCK_BYTES, GIB_BYTES, Content

_BLOCKS_A_GIB = GIB_BYTES // BLOCK_BYTES
_LARGEST_VOLUME_GIB = 65_536
_FEWEST_RESULTS, _MOST_RESULTS = 100, 10_000
_BLOCK_TOKEN_S, _PAGE_TOKEN_S = 7 * 24 * 3600, 3600
_DEFAULT_TIMEOUT_MINUTES = 60
_NO_VOLUME = "vol-ffffffff"  # what EC2 tells as the volume of a snapshot that was not made of one
_SNAPSHOT_ID = re.compile(r"snap-[0-9a-f]{1,59}")
_calls = itertools.count(1)
# Their types want members that the original has no use for either.
_volume: Any = Volume
_snapshot: Any = Snapshot


@dataclass
class _Started:
    """What there is to know of a snapshot that StartSnapshot made, besides what it holds."""

    asked: dict[str, Any]
    timeout: dt.timedelta
    checksums: dict[int, bytes] = field(default_factory=dict)


class _Refused(ServiceException):
    def __init__(self, code: str, message: str, reason: str | None = None) -> None:
        super().__init__(code, message)
        if reason is not None:
            self.Reason = self.reason = reason


def _invalid(reason: str, message: str) -> _Refused:
    return _Refused("ValidationException", message, reason)


_damaged: set[int] = set()


@contextlib.contextmanager
def damaged_block(index: int) -> Iterator[None]:
    """Let one block of every snapshot be read with a wrong bit, under the checksum of what it should be."""
    _damaged.add(index)
    try:
        yield
    finally:
        _damaged.discard(index)


# --- Writing ----------------------------------------------------------------------------------------------------------


def _start_snapshot(self: EBSResponse) -> ActionResult:
    asked = {name: value for name, value in self.params.items() if name != "ClientToken"}
    token, backend = self.params.get("ClientToken"), self.ebs_backend.ec2_backend
    with LOCK:
        started = vars(backend).setdefault("snapshots_by_token", {})
        snapshot = started.get(token) if token else None
        if snapshot is None:
            snapshot = started[token] = _make(backend, asked)
        elif snapshot.started.asked != asked:
            raise _Refused("ConflictException", f"Client token {token} was used with other parameters")
    described = {
        "SnapshotId": snapshot.id,
        "OwnerId": snapshot.owner_id,
        "Status": "pending",
        "StartTime": snapshot.start_time,
        "VolumeSize": snapshot.volume_size,
        "BlockSize": BLOCK_BYTES,
        "Tags": asked.get("Tags", []),
        "Description": snapshot.description,
        "ParentSnapshotId": asked.get("ParentSnapshotId"),
        "KmsKeyArn": snapshot.kms_key_id,
    }
    return ActionResult({name: value for name, value in described.items() if value is not None})


def _make(backend: Any, asked: dict[str, Any]) -> Any:
    size_gib, parent_id = asked["VolumeSize"], asked.get("ParentSnapshotId")
    encrypted, key = bool(asked.get("Encrypted")), asked.get("KmsKeyArn")
    timeout_minutes = asked.get("Timeout", _DEFAULT_TIMEOUT_MINUTES)
    if not 1 <= size_gib <= _LARGEST_VOLUME_GIB:
        raise _invalid("INVALID_VOLUME_SIZE", f"VolumeSize {size_gib} is not between 1 and {_LARGEST_VOLUME_GIB} GiB")
    if not 10 <= timeout_minutes <= 4320:
        raise _invalid("INVALID_PARAMETER_VALUE", f"Timeout {timeout_minutes} is not between 10 and 4320 minutes")
    if parent_id and asked.get("Encrypted") is not None:
        raise _invalid("INVALID_PARAMETER_VALUE", "Encrypted can't be given with ParentSnapshotId")
    snapshot_id = random_snapshot_id()
    content = Content(lineage=snapshot_id)
    if parent_id:
        parent = _readable(backend, parent_id)
        content, encrypted, key = content_of(parent).copy(), parent.encrypted, key or parent.kms_key_id
        if size_gib < parent.volume_size:
            raise _invalid("INVALID_VOLUME_SIZE", f"VolumeSize {size_gib} is below {parent.volume_size}, the parent's")
    volume = _volume(backend, _NO_VOLUME, size_gib, None)
    snapshot = _snapshot(backend, snapshot_id, volume, asked.get("Description"), encrypted, key)
    snapshot.status, snapshot.size_gib, snapshot.content = "pending", size_gib, content
    snapshot.started = _Started(asked, dt.timedelta(minutes=timeout_minutes))
    snapshot.expires_at = utcnow() + snapshot.started.timeout
    backend.snapshots[snapshot_id] = snapshot
    snapshot.add_tags({tag["Key"]: tag["Value"] for tag in asked.get("Tags", [])})
    return snapshot


def _put_snapshot_block(self: EBSResponse) -> ActionResult:
    asked = self.params
    snapshot = _writable(self.ebs_backend.ec2_backend, asked["SnapshotId"])
    index, content = asked["BlockIndex"], asked["BlockData"]
    if not 0 <= index < snapshot.volume_size * _BLOCKS_A_GIB:
        raise _invalid("INVALID_BLOCK", f"Block {index} is not in a volume of {snapshot.volume_size} GiB")
    if asked["DataLength"] != BLOCK_BYTES or len(content) != BLOCK_BYTES:
        raise _invalid("INVALID_BLOCK", f"Block {index} has {len(content)} bytes, said {asked['DataLength']}")
    checksum = hashlib.sha256(content).digest()
    _check("SHA256", asked.get("ChecksumAlgorithm"), f"block {index}: checksum algorithm")
    _check(base64.b64encode(checksum).decode(), asked.get("Checksum"), f"block {index}: checksum")
    with LOCK:
        _writable(self.ebs_backend.ec2_backend, snapshot.id)
        content_of(snapshot).put(index, content)
        snapshot.started.checksums[index] = checksum
        snapshot.expires_at = utcnow() + snapshot.started.timeout
    return ActionResult({"Checksum": asked["Checksum"], "ChecksumAlgorithm": "SHA256"})


def _complete_snapshot(self: EBSResponse) -> ActionResult:
    asked = self.params
    with LOCK:
        snapshot = _writable(self.ebs_backend.ec2_backend, asked["SnapshotId"])
        checksums = snapshot.started.checksums
        if asked["ChangedBlocksCount"] != len(checksums):
            raise _invalid(
                "INVALID_PARAMETER_VALUE",
                f"ChangedBlocksCount is {asked['ChangedBlocksCount']}, {len(checksums)} blocks were written",
            )
        if asked.get("Checksum") is not None:
            linear = hashlib.sha256(b"".join(checksum for _, checksum in sorted(checksums.items()))).digest()
            _check("SHA256", asked.get("ChecksumAlgorithm"), "checksum algorithm")
            _check("LINEAR", asked.get("ChecksumAggregationMethod"), "checksum aggregation method")
            _check(base64.b64encode(linear).decode(), asked["Checksum"], "aggregated checksum")
        begin_settling(snapshot)
    return ActionResult({"Status": "pending"})


def _check(expected: str, given: str | None, what: str) -> None:
    if given != expected:
        raise _invalid("INVALID_PARAMETER_VALUE", f"{what} is {given}, expected {expected}")


# --- Reading ----------------------------------------------------------------------------------------------------------


def _list_snapshot_blocks(self: EBSResponse) -> ActionResult:
    snapshot = _readable(self.ebs_backend.ec2_backend, self.params["SnapshotId"])
    page, next_token = _page(self.params, content_of(snapshot).blocks, snapshot.id)
    tokens = _Tokens(snapshot.id)
    blocks = [{"BlockIndex": index, "BlockToken": tokens.of(index)} for index in page]
    return _listed({"Blocks": blocks}, snapshot, tokens, next_token)


def _list_changed_blocks(self: EBSResponse) -> ActionResult:
    backend, first_id = self.ebs_backend.ec2_backend, self.params.get("FirstSnapshotId")
    if first_id is None:
        raise _invalid("INVALID_SNAPSHOT_ID", "FirstSnapshotId is missing")
    first, second = _readable(backend, first_id), _readable(backend, self.params["SecondSnapshotId"])
    before, after = content_of(first), content_of(second)
    if before.lineage != after.lineage:
        raise _invalid("UNRELATED_SNAPSHOTS", f"Snapshots {first.id} and {second.id} are of different volumes")
    # A page is of so many blocks that either snapshot has, changed or not: it may well tell of none.
    page, next_token = _page(self.params, before.blocks.keys() | after.blocks.keys(), f"{first.id}/{second.id}")
    first_tokens, tokens = _Tokens(first.id), _Tokens(second.id)
    changed = []
    for index in page:
        old, new = before.blocks.get(index), after.blocks.get(index)
        if old is not new:
            pair = {"FirstBlockToken": old and first_tokens.of(index), "SecondBlockToken": new and tokens.of(index)}
            changed.append({"BlockIndex": index, **{name: token for name, token in pair.items() if token}})
    return _listed({"ChangedBlocks": changed}, second, tokens, next_token)


def _listed(found: dict[str, Any], snapshot: Any, tokens: "_Tokens", next_token: str | None) -> ActionResult:
    paging = {"NextToken": next_token} if next_token else {}
    sizes = {"VolumeSize": snapshot.volume_size, "BlockSize": BLOCK_BYTES}
    return ActionResult({**found, **sizes, "ExpiryTime": dt.datetime.fromtimestamp(tokens.ends_s, dt.UTC), **paging})


def _get_snapshot_block(self: EBSResponse) -> ActionResult:
    snapshot, index = _readable(self.ebs_backend.ec2_backend, self.params["SnapshotId"]), self.params["BlockIndex"]
    told = _opened(self.params["BlockToken"], "INVALID_BLOCK_TOKEN")
    if (told.get("of"), told.get("index")) != (snapshot.id, index):
        raise _invalid("INVALID_BLOCK_TOKEN", f"The token is not that of block {index} of {snapshot.id}")
    block = content_of(snapshot).blocks[index]
    content = content_of(snapshot).read(index)
    if index in _damaged:
        content = bytes([content[0] ^ 1]) + content[1:]
    return ActionResult(
        {
            "DataLength": len(content),
            "BlockData": content,
            "Checksum": base64.b64encode(block.checksum).decode(),
            "ChecksumAlgorithm": "SHA256",
        }
    )


class _Tokens:
    """Block tokens of one answer: those of the next are others, and each ends in time."""

    def __init__(self, snapshot_id: str) -> None:
        self._snapshot_id = snapshot_id
        self._call = next(_calls)
        self.ends_s = time.time() + _BLOCK_TOKEN_S

    def of(self, index: int) -> str:
        return _sealed({"of": self._snapshot_id, "index": index, "call": self._call, "ends_s": self.ends_s})


def _page(asked: dict[str, Any], indexes: Any, what: str) -> tuple[list[int], str | None]:
    """The indexes that one answer is about, and the token of the next."""
    most = asked.get("MaxResults", _MOST_RESULTS)
    if most > _MOST_RESULTS:
        raise _invalid("INVALID_PARAMETER_VALUE", f"MaxResults {most} is above {_MOST_RESULTS}")
    start = asked.get("StartingBlockIndex", 0)
    if asked.get("NextToken"):
        told = _opened(asked["NextToken"], "INVALID_PAGE_TOKEN")
        if told.get("pages_of") != what:
            raise _invalid("INVALID_PAGE_TOKEN", f"The token is not one of {what}")
        start = told["index"]
    found = sorted(index for index in indexes if index >= start)
    page, rest = found[: max(most, _FEWEST_RESULTS)], found[max(most, _FEWEST_RESULTS) :]
    if not rest:
        return page, None
    return page, _sealed({"pages_of": what, "index": rest[0], "ends_s": time.time() + _PAGE_TOKEN_S})


def _sealed(document: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def _opened(token: str, reason: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(base64.b64decode(token, validate=True))
    except ValueError:
        raise _invalid(reason, "Nobody gave that token") from None
    if time.time() >= document["ends_s"]:
        raise _invalid(reason, "The token has expired")
    return document


# --- Finding ----------------------------------------------------------------------------------------------------------


def _find(backend: Any, snapshot_id: str) -> Any:
    if not _SNAPSHOT_ID.fullmatch(snapshot_id):
        raise _invalid("INVALID_SNAPSHOT_ID", f"{snapshot_id} is no id of a snapshot")
    snapshot = backend.snapshots.get(snapshot_id)
    if snapshot is None:
        raise _Refused(
            "ResourceNotFoundException", f"The snapshot '{snapshot_id}' does not exist.", "SNAPSHOT_NOT_FOUND"
        )
    return snapshot


def _readable(backend: Any, snapshot_id: str) -> Any:
    snapshot = _find(backend, snapshot_id)
    if look(snapshot) != "completed":
        raise _invalid("INVALID_SNAPSHOT_ID", f"Snapshot {snapshot_id} is {snapshot.status}, not completed")
    return snapshot


def _writable(backend: Any, snapshot_id: str) -> Any:
    snapshot = _find(backend, snapshot_id)
    if look(snapshot) != "pending" or "started" not in vars(snapshot) or vars(snapshot).get("settling"):
        raise _invalid("INVALID_SNAPSHOT_ID", f"Snapshot {snapshot_id} is {snapshot.status}, and not being written")
    return snapshot


replace(EBSResponse, "start_snapshot", _start_snapshot)
replace(EBSResponse, "put_snapshot_block", _put_snapshot_block)
replace(EBSResponse, "complete_snapshot", _complete_snapshot)
replace(EBSResponse, "list_snapshot_blocks", _list_snapshot_blocks)
replace(EBSResponse, "list_changed_blocks", _list_changed_blocks)
replace(EBSResponse, "get_snapshot_block", _get_snapshot_block)

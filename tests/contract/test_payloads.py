"""What `ports.PayloadStore` promises."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from tests.contract.aws import bucket_on
from tests.fakes import ManualClock, MemoryPayloads, SeededEntropy
from tidemark.adapters.s3_payloads import S3Payloads
from tidemark.errors import ObjectExists, ObjectNotFound
from tidemark.ports import PayloadStore, StoredObject

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

KEY = "acme/packs/c-1/00-0.pack"


@pytest.mark.parametrize(
    "body", [b"", b"\x00\xff some bytes\r\n", bytes(range(256)) * 40_000], ids=["none", "few", "many"]
)
def test_get_returns_what_was_put(payloads: PayloadStore, body: bytes) -> None:
    payloads.put(KEY, body)
    assert payloads.get(KEY) == body


@pytest.mark.parametrize("body", [b"first", b"second"])
def test_put_is_refused_when_the_key_is_taken_by_whatever_bytes(payloads: PayloadStore, body: bytes) -> None:
    payloads.put(KEY, b"first")
    with pytest.raises(ObjectExists):
        payloads.put(KEY, body)
    assert payloads.get(KEY) == b"first"


def test_put_lets_one_win_when_many_race(payloads: PayloadStore) -> None:
    def tried(number: int) -> bool:
        try:
            payloads.put(KEY, bytes([number]))
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(tried, range(8)))
    assert won.count(True) == 1
    assert payloads.get(KEY) == bytes([won.index(True)])


@pytest.mark.parametrize(
    "body", [b"", b"\x00\xff some bytes\r\n", bytes(range(256)) * 40_000], ids=["none", "few", "many"]
)
def test_copy_stores_the_same_bytes_under_another_key(payloads: PayloadStore, body: bytes) -> None:
    payloads.put(KEY, body)
    payloads.copy(KEY, "other/packs/c-2/00-0.pack")
    assert payloads.get("other/packs/c-2/00-0.pack") == payloads.get(KEY) == body
    copied = payloads.head("other/packs/c-2/00-0.pack")
    assert (copied.size_bytes, copied.sha256) == (len(body), hashlib.sha256(body).hexdigest())


def test_copy_is_refused_when_the_key_is_taken_by_whatever_bytes(payloads: PayloadStore) -> None:
    payloads.put(KEY, b"first")
    payloads.put(KEY + "2", b"second")
    for source in (KEY, KEY + "2"):
        with pytest.raises(ObjectExists):
            payloads.copy(source, KEY + "2")
    assert payloads.get(KEY + "2") == b"second"


def test_copy_finds_nothing_when_there_is_no_source(payloads: PayloadStore) -> None:
    with pytest.raises(ObjectNotFound):
        payloads.copy(KEY, KEY + "2")
    with pytest.raises(ObjectNotFound):
        payloads.get(KEY + "2")


def test_get_finds_nothing_when_there_is_no_object(payloads: PayloadStore) -> None:
    payloads.put(KEY, b"x")
    with pytest.raises(ObjectNotFound):
        payloads.get(KEY + "x")
    with pytest.raises(ObjectNotFound):
        payloads.get_range(KEY[:-1], 0, 1)
    with pytest.raises(ObjectNotFound):
        payloads.get_range(KEY[:-1], 0, 0)
    with pytest.raises(ObjectNotFound):
        payloads.head("acme")


@pytest.mark.parametrize(
    ("offset", "length_bytes", "expected"),
    [
        (0, 10, b"0123456789"),
        (0, 1, b"0"),
        (3, 4, b"3456"),
        (9, 1, b"9"),
        (0, 0, b""),
        (4, 0, b""),
        (8, 5, b"89"),
        (10, 1, b""),
        (50, 5, b""),
    ],
)
def test_get_range_returns_the_part(payloads: PayloadStore, offset: int, length_bytes: int, expected: bytes) -> None:
    payloads.put(KEY, b"0123456789")
    assert payloads.get_range(KEY, offset, length_bytes) == expected


@pytest.mark.parametrize("body", [b"", b"some bytes" * 1000])
def test_head_tells_length_and_checksum(payloads: PayloadStore, body: bytes) -> None:
    payloads.put(KEY, body)
    assert payloads.head(KEY) == StoredObject(KEY, len(body), hashlib.sha256(body).hexdigest())


def test_list_returns_objects_in_key_order(payloads: PayloadStore) -> None:
    for key in ("a/b/2", "a/b/10", "a/b", "a/c", "b/a", "A/b/2"):
        payloads.put(key, key.encode())
    assert list(payloads.list("a/b")) == [StoredObject(key, len(key)) for key in ("a/b", "a/b/10", "a/b/2")]
    assert [each.key for each in payloads.list("")] == ["A/b/2", "a/b", "a/b/10", "a/b/2", "a/c", "b/a"]
    assert list(payloads.list("z")) == []


def test_list_returns_every_object_when_they_are_more_than_a_page(payloads: PayloadStore) -> None:
    keys = [f"acme/packs/{number:04}" for number in range(1005)]
    for key in keys:
        payloads.put(key, b"")
    assert [each.key for each in payloads.list("acme/packs/")] == keys


def test_delete_removes_one_object(payloads: PayloadStore) -> None:
    for key in (KEY, KEY + "2"):
        payloads.put(key, b"x")
    assert payloads.delete(KEY) is True
    with pytest.raises(ObjectNotFound):
        payloads.get(KEY)
    with pytest.raises(ObjectNotFound):
        payloads.head(KEY)
    assert [each.key for each in payloads.list("")] == [KEY + "2"]


def test_delete_succeeds_when_there_is_nothing(payloads: PayloadStore) -> None:
    payloads.put(KEY, b"x")
    assert payloads.delete(KEY + "2") is True
    assert payloads.delete(KEY) is True
    assert payloads.delete(KEY) is True
    payloads.put(KEY, b"y")
    assert payloads.get(KEY) == b"y"


def test_legal_hold_is_put_on_the_object_and_taken_from_it_and_no_other(s3: "S3Client", clock: ManualClock) -> None:
    with bucket_on(s3, object_lock=True) as name:
        locked = S3Payloads(s3, name, clock=clock, entropy=SeededEntropy())
        for key in (KEY, KEY + "2"):
            locked.put(key, b"x")
        locked.hold(KEY + "2", on=True)
        for on in (True, True, False, False):
            locked.hold(KEY, on=on)
            answer = s3.get_object_legal_hold(Bucket=name, Key=KEY)
            assert answer["LegalHold"]["Status"] == ("ON" if on else "OFF")
            version = s3.head_object(Bucket=name, Key=KEY)["VersionId"]
            if on:
                with pytest.raises(ClientError, match="AccessDenied"):
                    s3.delete_object(Bucket=name, Key=KEY, VersionId=version)
        assert s3.get_object_legal_hold(Bucket=name, Key=KEY + "2")["LegalHold"]["Status"] == "ON"


@pytest.mark.parametrize("on", [True, False])
def test_legal_hold_of_what_is_not_there_says_so(s3: "S3Client", clock: ManualClock, *, on: bool) -> None:
    with bucket_on(s3, object_lock=True) as name:
        for payloads in (S3Payloads(s3, name, clock=clock, entropy=SeededEntropy()), MemoryPayloads()):
            with pytest.raises(ObjectNotFound):
                payloads.hold(KEY, on=on)


def test_held_object_of_the_store_in_memory_is_retained() -> None:
    payloads = MemoryPayloads()
    payloads.put(KEY, b"x")
    payloads.hold(KEY, on=True)
    assert payloads.delete(KEY) is False
    payloads.hold(KEY, on=False)
    assert payloads.delete(KEY) is True

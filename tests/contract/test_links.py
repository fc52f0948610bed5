"""What `links.Links` promises, with an HTTP client on the other side of the addresses."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.contract.aws import MEMORY, S3_LANES, bucket_on, client_of
from tests.fakes import ManualClock, MemoryLinks, MemoryPayloads, SeededEntropy
from tidemark.adapters import clients
from tidemark.adapters.s3_links import S3Links
from tidemark.adapters.s3_payloads import S3Payloads
from tidemark.errors import ObjectNotFound
from tidemark.ports import Links, PayloadStore

KEY = "transfer-imports/acme/c-1/files/0000"
PART_BYTES = 5 * 1024 * 1024


@dataclass
class World:
    """`fetch` and `send` are what a caller does with an address."""

    links: Links
    payloads: PayloadStore
    fetch: Callable[[str], bytes]
    send: Callable[[str, bytes], None]


def _fetch(url: str) -> bytes:
    answer = requests.get(url, timeout=10)
    answer.raise_for_status()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a.zst"'
    return answer.content


def _send(url: str, body: bytes) -> None:
    requests.put(url, data=body, timeout=10).raise_for_status()


@pytest.fixture(params=S3_LANES)
def world(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[World]:
    if request.param == MEMORY:
        payloads = MemoryPayloads()
        links = MemoryLinks(payloads, clock)
        yield World(links, payloads, links.fetch, links.send)
        return
    with ExitStack() as stack:
        client = stack.enter_context(client_of("s3", request.param))
        bucket = stack.enter_context(bucket_on(client))
        objects = S3Payloads(client, bucket, clock=clock, entropy=SeededEntropy())
        yield World(S3Links(client, bucket), objects, _fetch, _send)


@pytest.mark.parametrize("body", [b"", b"\x00\xff some bytes\r\n"])
def test_object_is_read_under_its_address(world: World, body: bytes) -> None:
    world.payloads.put(KEY, body)
    assert world.fetch(world.links.download(KEY, filename="a.zst", expires_s=60)) == body


def test_parts_become_one_object_in_the_order_of_their_numbers(world: World) -> None:
    upload = world.links.begin_upload(KEY)
    bodies = {1: b"a" * PART_BYTES, 2: b"b"}
    assert world.links.uploaded(KEY, upload) == []
    for number in (2, 1):
        world.send(world.links.upload(KEY, upload, number, expires_s=60), bodies[number])
    parts = world.links.uploaded(KEY, upload)
    assert [(part.number, part.size_bytes) for part in parts] == [(1, PART_BYTES), (2, 1)]
    with pytest.raises(ObjectNotFound):
        world.payloads.get(KEY)
    world.links.complete_upload(KEY, upload, parts)
    assert world.payloads.get(KEY) == bodies[1] + bodies[2]


def test_part_that_is_sent_again_takes_the_place_of_the_first(world: World) -> None:
    upload = world.links.begin_upload(KEY)
    for body in (b"wrong", b"right"):
        world.send(world.links.upload(KEY, upload, 1, expires_s=60), body)
    world.links.complete_upload(KEY, upload, world.links.uploaded(KEY, upload))
    assert world.payloads.get(KEY) == b"right"


def test_file_may_be_empty(world: World) -> None:
    upload = world.links.begin_upload(KEY)
    world.send(world.links.upload(KEY, upload, 1, expires_s=60), b"")
    world.links.complete_upload(KEY, upload, world.links.uploaded(KEY, upload))
    assert world.payloads.get(KEY) == b""


def test_upload_is_not_found_when_it_is_completed(world: World) -> None:
    upload = world.links.begin_upload(KEY)
    world.send(world.links.upload(KEY, upload, 1, expires_s=60), b"x")
    parts = world.links.uploaded(KEY, upload)
    world.links.complete_upload(KEY, upload, parts)
    with pytest.raises(ObjectNotFound):
        world.links.uploaded(KEY, upload)
    with suppress(ObjectNotFound):
        world.links.complete_upload(KEY, upload, parts)
    assert world.payloads.get(KEY) == b"x"


@pytest.mark.parametrize("body", [b"", b"\x00\xff some bytes\r\n"])
def test_object_is_stored_under_the_address_that_it_is_put_to_and_written_over(world: World, body: bytes) -> None:
    for sent in (b"before", body):
        world.send(world.links.put(KEY, len(sent), expires_s=60), sent)
    assert world.payloads.get(KEY) == body
    assert [one.size_bytes for one in world.payloads.list(KEY)] == [len(body)]
    world.send(world.links.put(f"{KEY}-of-any-size", None, expires_s=60), body)
    assert world.payloads.get(f"{KEY}-of-any-size") == body


@pytest.mark.parametrize(("region", "host"), [("eu-west-1", "s3.eu-west-1.amazonaws.com"), ("us-east-1", "s3.")])
def test_addresses_are_signed_for_the_regions_own_host_and_ask_for_no_header(
    monkeypatch: pytest.MonkeyPatch, region: str, host: str
) -> None:
    """A client with nothing but the address can use it: no checksum or other header is part of the signature."""
    for name, value in (
        ("REGION", region),
        ("DEFAULT_REGION", region),
        ("ACCESS_KEY_ID", "a"),
        ("SECRET_ACCESS_KEY", "b"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    clients.forget()
    try:
        links = S3Links(clients.s3_links(), "a-bucket")
        for url, signed in (
            (links.upload(KEY, "u", 2, expires_s=60), "host"),
            (links.download(KEY, filename="a", expires_s=60), "host"),
            (links.put(KEY, None, expires_s=60), "host"),
            # Every client sends the length of its own accord.
            (links.put(KEY, 7, expires_s=60), "content-length;host"),
        ):
            parts = urlsplit(url)
            query = parse_qs(parts.query)
            assert parts.netloc.startswith(f"a-bucket.{host}")
            assert query["X-Amz-SignedHeaders"] == [signed]
            assert query["X-Amz-Expires"] == ["60"]
            assert not [name for name in query if "checksum" in name.lower()]
    finally:
        clients.forget()

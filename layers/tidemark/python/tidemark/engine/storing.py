"""Storing a run of records as packs. A pack is the unit of resume: whoever starts again goes on after the last pack
that is stored.

Workers that run twice write the same keys; whichever stored a pack first has written it, the other adopts it and goes
on behind it. What a record is, is for the form of the packs to say.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from tidemark.domain.digest import SetDigest
from tidemark.domain.manifest import PackRef
from tidemark.errors import ObjectExists, ObjectNotFound, PackCorrupt
from tidemark.ports import PayloadStore


class Built(Protocol):
    """A pack ready to be stored, and the digest of its records."""

    @property
    def body(self) -> bytes:
        """Its bytes."""
        ...

    @property
    def digest(self) -> SetDigest:
        """The digest of its records."""
        ...


class PackForm[R](NamedTuple):
    """How packs of one kind of records are made and read.

    `build` makes a pack of the first records, None when there are none, and consumes no more than it takes; `describe`
    is the reference of a pack from its key and bytes; `digest` unpacks and checks one that somebody else stored.
    """

    build: Callable[[Iterator[R]], Built | None]
    describe: Callable[[str, bytes], PackRef]
    digest: Callable[[str, bytes], SetDigest]


class _StoredPack(NamedTuple):
    """The reference of a pack that was read back, the digest of its records, and whether another worker stored it."""

    pack: PackRef
    digest: SetDigest
    adopted: bool


def store_run[R](
    payloads: PayloadStore,
    prefix: str,
    source: Callable[[str | None], Iterator[R]],
    proceed: Callable[[], None],
    form: PackForm[R],
) -> tuple[list[PackRef], SetDigest]:
    """Store the records that `source` gives after a key as packs `{prefix}-00000.pack`, ...: their references, and the
    digest of their records.

    Goes on after the packs that are there. `proceed` is called before each pack and may raise to stop.
    """
    digest = SetDigest()
    packs: list[PackRef] = []
    records: Iterator[R] | None = None
    while True:
        proceed()
        key = f"{prefix}-{len(packs):05d}.pack"
        stored = _adopted(payloads, key, form)
        if stored is None:
            records = records or source(packs[-1].last_key if packs else None)
            stored = _store_next(payloads, key, records, form)
        if stored is None:
            break
        if stored.adopted:
            # Where it ends has nothing to do with how far this worker has read.
            records = None
        packs.append(stored.pack)
        digest.add_hex(stored.digest.hex, stored.digest.count)
    return packs, digest


def _adopted[R](payloads: PayloadStore, key: str, form: PackForm[R]) -> _StoredPack | None:
    """The pack that an earlier or another worker stored under `key`; None when there is none."""
    try:
        body = payloads.get(key)
    except ObjectNotFound:
        return None
    # Nothing but the store's own checksum vouches for it yet.
    if payloads.head(key).sha256 != hashlib.sha256(body).hexdigest():
        raise PackCorrupt(f"pack {key} is damaged: its bytes are not those that the store was given")
    return _StoredPack(form.describe(key, body), form.digest(key, body), adopted=True)


def _store_next[R](payloads: PayloadStore, key: str, records: Iterator[R], form: PackForm[R]) -> _StoredPack | None:
    """Store a pack of the next records under `key`, or adopt the one that came to be there meanwhile; None when no
    records are left.
    """
    built = form.build(records)
    if built is None:
        return None
    pack, digest = form.describe(key, built.body), built.digest
    try:
        payloads.put(key, built.body)
    except ObjectExists:
        return _adopted(payloads, key, form)
    # So that the pack is in memory once, not twice, while it is read back.
    del built
    if hashlib.sha256(payloads.get(key)).hexdigest() != pack.sha256:
        raise PackCorrupt(f"pack {key} does not read back as it was written")
    return _StoredPack(pack, digest, adopted=False)

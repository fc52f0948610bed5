"""The data of a benchmark: a seeded city in three forms, as files, each version of it the same for the same seed.

- `first.ndjson`, `second.ndjson`: canonical JSON of the entities in key order; the second has 1 % of them changed
- `first.pages`: bodies of DynamoDB's answers to Query, as the service sends them, for every shard
- `changed.items`: the changed entities, one item of such an answer each
"""

import json
import random
import shutil
import sys
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from tests.local.city import KINDS, SEED, entity, read_again
from tidemark.domain.fingerprint import fingerprint
from tidemark.domain.keys import EntityKey, shard_of

SHARDS: Final = 16
CHANGED_SHARE: Final = 0.01
TENANT: Final = "smartcity"
# What DynamoDB puts into one answer: items of 1 MB together.
_PAGE_BYTES: Final = 1_000_000
_RUN: Final = 10_000
# Moves when the files of the same data get another form.
_FORM: Final = 2
# What an entity takes in all files at their largest, the sorted runs included.
_DISK_BYTES: Final = 9000


class Entity(NamedTuple):
    """One entity: the sort key of its item and its canonical JSON."""

    sort_key: str
    doc: bytes


class Page(NamedTuple):
    """Where an answer lies in `first.pages`, the sort key that it begins after, and the checksum that comes with it."""

    shard: int
    after: str
    offset: int
    length: int
    crc32: int


@dataclass(frozen=True)
class Dataset:
    """The files, in a folder. `entities` is how many there are, `changed` how many of them differ in the second;
    `shards` is for the answers of Query alone.
    """

    folder: Path
    entities: int
    shards: int = SHARDS

    @property
    def changed(self) -> int:
        return round(self.entities * CHANGED_SHARE)

    @property
    def first(self) -> Path:
        return self.folder / "first.ndjson"

    @property
    def second(self) -> Path:
        return self.folder / "second.ndjson"

    @property
    def pages(self) -> Path:
        return self.folder / "first.pages"

    @property
    def changed_items(self) -> Path:
        return self.folder / "changed.items"

    @property
    def index(self) -> Path:
        return self.folder / "index.json"

    @property
    def changed_index(self) -> Path:
        return self.folder / "changed.json"


def made(folder: Path, entities: int, shards: int = SHARDS, *, compared: bool = True) -> Dataset:
    """The data set of that many entities: made, unless a complete one is there. The second version as a whole is only
    there for restores to be `compared` with. Raises SystemExit when the disk has too little room.
    """
    dataset = Dataset(folder / f"{entities}-{shards}-{SEED}-{_FORM}", entities, shards)
    if not dataset.index.exists() or (compared and not dataset.second.exists()):
        dataset.folder.mkdir(parents=True, exist_ok=True)
        dataset.index.unlink(missing_ok=True)
        _assert_room(dataset)
        _write_lines(dataset, (1, 2) if compared else (1,))
        _write_changed(dataset)
        _write_pages(dataset)
    return dataset


def _assert_room(dataset: Dataset) -> None:
    needed_bytes = dataset.entities * _DISK_BYTES
    free_bytes = shutil.disk_usage(dataset.folder).free
    if free_bytes < needed_bytes:
        sys.exit(
            f"{dataset.folder} needs {needed_bytes / 1e9:.1f} GB of disk for {dataset.entities:,} entities and has "
            f"{free_bytes / 1e9:.1f} GB: make room, or name another folder or fewer entities"
        )


def changed_numbers(entities: int, share: float, seed: int = SEED) -> list[int]:
    """Which entities differ: so many of all, at random."""
    return sorted(random.Random(seed).sample(range(entities), round(entities * share)))


def first_version(number: int) -> Entity:
    """An entity as it was first."""
    return _stored(entity(number))


def second_version(number: int) -> Entity:
    """The entity after its sensor reported again."""
    before = entity(number)
    return _stored(before | read_again(before, random.Random(number)))


def sort_key_of(doc: bytes) -> str:
    """The sort key of an entity from its JSON."""
    read = _identity.decode(doc)
    return EntityKey(read.type, read.id, "/").sort_key


class _Identity(msgspec.Struct):
    id: str
    type: str


_identity: Final = msgspec.json.Decoder(_Identity)


def _stored(one: dict[str, object]) -> Entity:
    key = EntityKey(str(one["type"]), str(one["id"]), "/")
    return Entity(key.sort_key, msgspec.json.encode(one, order="sorted"))


def _write_lines(dataset: Dataset, versions: Sequence[int]) -> None:
    """The versions in key order, by sorted runs, so that the whole need not fit into memory."""
    changed = changed_numbers(dataset.entities, CHANGED_SHARE)
    jobs = []
    for start in range(0, dataset.entities, _RUN):
        stop = min(start + _RUN, dataset.entities)
        some = frozenset(changed[bisect_left(changed, start) : bisect_left(changed, stop)])
        jobs.append(_RunJob(start, stop, some, tuple(versions), dataset.folder))
    with ProcessPoolExecutor() as pool:
        paths = list(pool.map(_write_run, jobs))
    for version, target in ((1, dataset.first), (2, dataset.second)):
        if version not in versions:
            continue
        mine = [found[version] for found in paths]
        with target.open("wb") as file:
            file.writelines(doc + b"\n" for _, doc in merge(*map(_run, mine)))
        for path in mine:
            path.unlink()


class _RunJob(NamedTuple):
    """The entities of one sorted run, and which of them differ in the second version."""

    start: int
    stop: int
    changed: frozenset[int]
    versions: tuple[int, ...]
    folder: Path


def _write_run(job: _RunJob) -> dict[int, Path]:
    first = {number: first_version(number) for number in range(job.start, job.stop)}
    written = {}
    for version in job.versions:
        found = first if version == 1 else first | {number: second_version(number) for number in job.changed}
        path = written[version] = job.folder / f"{version}-{job.start}.run"
        path.write_bytes(b"".join(one.sort_key.encode() + b"\t" + one.doc + b"\n" for one in sorted(found.values())))
    return written


def _run(path: Path) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as file:
        for line in file:
            sort_key, _, doc = line.rstrip(b"\n").partition(b"\t")
            yield sort_key.decode(), doc


def _item(pk: str, one: Entity, shard_id: str, before: Entity | None = None) -> bytes:
    """An item as DynamoDB writes it: each attribute with its type, what is not ASCII left as it is.

    It is of cut 1, or of cut 2 where it was something before.
    """
    cut = 1 if before is None else 2
    anchors = {} if before is None else {"anchors": {"S": f"1:{fingerprint(before.doc)}"}}
    return msgspec.json.encode(
        anchors
        | {
            "sk": {"S": one.sort_key},
            "changed": {"N": str(cut)},
            "doc": {"S": one.doc.decode()},
            "id": {"S": shard_id},
            "pk": {"S": pk},
            "rev": {"N": str(cut)},
        }
    )


def _write_changed(dataset: Dataset) -> None:
    """The changed entities as items of cut 2, and an index: shard, sort key, offset, length."""
    index: list[tuple[int, str, int, int]] = []
    with dataset.changed_items.open("wb") as file:
        for number in changed_numbers(dataset.entities, CHANGED_SHARE):
            one = second_version(number)
            id_ = EntityKey.parse(one.sort_key).id
            shard = shard_of(id_, dataset.shards)
            item = _item(f"{TENANT}#1#{shard}", one, id_, first_version(number))
            index.append((shard, one.sort_key, file.tell(), len(item)))
            file.write(item)
    dataset.changed_index.write_text(json.dumps(sorted(index)))


def _write_pages(dataset: Dataset) -> None:
    """What Query answers for each shard, page after page, one shard's pages among the others' as they fill up."""
    pages: list[Page] = []
    with dataset.pages.open("wb") as file, dataset.first.open("rb") as lines:
        filling = [_Filling(shard) for shard in range(dataset.shards)]
        for line in lines:
            doc = line.rstrip(b"\n")
            one = Entity(sort_key_of(doc), doc)
            id_ = EntityKey.parse(one.sort_key).id
            page = filling[shard_of(id_, dataset.shards)]
            page.items.append(_item(f"{TENANT}#1#{page.shard}", one, id_))
            page.size_bytes += len(doc) + 3 * len(id_) + 60
            page.last = one.sort_key
            if page.size_bytes >= _PAGE_BYTES:
                pages.append(page.emptied(file.tell(), full=True))
                file.write(page.body)
        for page in filling:
            pages.append(page.emptied(file.tell(), full=False))
            file.write(page.body)
    dataset.index.write_text(json.dumps(pages))


class _Filling:
    """The page of a shard that is being filled."""

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.items: list[bytes] = []
        self.size_bytes = 0
        self.after = self.last = ""
        self.body = b""

    def emptied(self, offset: int, *, full: bool) -> Page:
        start = {"pk": {"S": f"{TENANT}#1#{self.shard}"}, "sk": {"S": self.last}}
        more = b',"LastEvaluatedKey":' + msgspec.json.encode(start) if full else b""
        count = str(len(self.items)).encode()
        self.body = (
            b'{"Count":'
            + count
            + b',"Items":['
            + b",".join(self.items)
            + b"]"
            + more
            + b',"ScannedCount":'
            + count
            + b"}"
        )
        page = Page(self.shard, self.after, offset, len(self.body), zlib.crc32(self.body))
        self.after, self.items, self.size_bytes = self.last, [], 0
        return page


assert len({kind.type for kind in KINDS}) == len(KINDS), "ids are numbered by type"

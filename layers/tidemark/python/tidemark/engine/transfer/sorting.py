"""Sorting the entities of uploaded files: each file is read once, checked line by line, and stored as sorted runs by
shard, of as many entities as fit in memory.

A run is a layer of packs like any other, but for one thing: its keys have a fourth part, where the entity was found. So
entities with the same key lie next to each other when runs are merged, and can be named.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from tidemark.domain.digest import SetDigest
from tidemark.domain.keys import SEPARATOR, EntityKey, shard_of
from tidemark.domain.snapshot import CaptureId
from tidemark.domain.tenant import Tenant
from tidemark.engine.packs import RECORDS
from tidemark.engine.records import Record, record
from tidemark.engine.storing import store_run
from tidemark.engine.transfer.documents import Document, Form, Place, documents, form_of, refused
from tidemark.engine.transfer.plans import ImportFile, ImportPlan, prefix_of, upload_of
from tidemark.engine.transfer.uploads import text_of
from tidemark.errors import ImportRefused, ManifestCorrupt, ObjectExists, ObjectNotFound, TidemarkError
from tidemark.ports import PayloadStore

# Text of the entities that are held and sorted at once; Python needs some times as much for it.
RUN_BYTES: Final = 24 * 1024 * 1024
# What the key of an entity and Python's own objects take beside its text.
_HELD_BESIDE_BYTES: Final = 256
_RECORD_MEMBERS: Final = frozenset({"key", "value"})
_KEY_PARTS: Final = 3

# From an entity's JSON and the service path for it to its key and canonical document. Raises what says why not.
type EntityReader = Callable[[object, str], tuple[EntityKey, str]]


class SortJob(NamedTuple):
    """One file of an import."""

    tenant: Tenant
    capture_id: CaptureId
    plan: ImportPlan
    number: int

    @property
    def file(self) -> ImportFile:
        """What is known of it."""
        return self.plan.files[self.number]


class Progress(msgspec.Struct, frozen=True):
    """How far a file was sorted: its text up to `offset`, and how many entities were in it, with their set digest."""

    form: Form
    number: int = 0
    offset: int = 0
    records: int = 0
    digest: str = "0"

    @property
    def told(self) -> dict[str, str | int]:
        """As a state machine passes it on."""
        return {
            "form": self.form.value,
            "number": self.number,
            "offset": self.offset,
            "records": self.records,
            "digest": self.digest,
        }


class Counted(msgspec.Struct, frozen=True):
    """What a whole file holds."""

    records: int
    digest: str


# Made once, while the module is imported: threads that first meet a type at the same moment can crash in msgspec.
_COUNTED: Final = msgspec.json.Decoder(Counted)


def sort_file(
    payloads: PayloadStore,
    job: SortJob,
    read: EntityReader,
    progress: Progress | None,
    proceed: Callable[[], bool],
    sorted_run: Callable[[int, int], None],
) -> Progress | None:
    """Store runs of the file's entities from where it was left: None when the whole file is sorted, else how far.

    `proceed` is asked after each run and may raise to stop for good. Runs begin and end at the same entities whoever
    makes them, and however often. `sorted_run` is told of each: after which document it begins, and its number of
    entities. Raises ImportRefused.
    """
    form, text = form_of(text_of(payloads, upload_of(job.tenant, job.capture_id, job.number, job.file)))
    progress = progress or Progress(form)
    found = documents(job.file.name, text, Place(progress.form, progress.number, progress.offset))
    while True:
        run, last, ended = _gather(job, read, progress.form, found)
        digest = SetDigest()
        digest.add_hex(progress.digest, progress.records)
        for shard, entities in run.items():
            digest.add_all([record(key.rpartition(SEPARATOR)[0], doc).line for key, doc in entities])
            _store(payloads, job, progress.number, shard, entities)
        sorted_run(progress.number, digest.count - progress.records)
        if last is not None:
            progress = Progress(progress.form, last.number, last.end, digest.count, digest.hex)
        if ended:
            _note(payloads, job, Counted(digest.count, digest.hex))
            return None
        if not proceed():
            return progress


def counted(payloads: PayloadStore, job: SortJob) -> Counted:
    """What the file was found to hold. Raises ManifestCorrupt when it was not sorted to its end."""
    key = _count_key(job)
    try:
        return _COUNTED.decode(payloads.get(key))
    except (ObjectNotFound, msgspec.DecodeError) as error:
        raise ManifestCorrupt(f"file {job.file.name!r} was not sorted: {key} is missing") from error


def run_prefix(tenant: Tenant, capture_id: CaptureId, level: int, shard: int) -> str:
    """What the keys of the runs of a shard begin with; runs of a higher level are merged ones."""
    return f"{prefix_of(tenant, capture_id)}/runs/{level}/{shard:03d}/"


def found_at(job_plan: ImportPlan, position: str) -> str:
    """Where an entity was found, in words, from the fourth part of its key."""
    file, form, number = position.split(" ")
    return f"file {job_plan.files[int(file)].name!r}, {form} {int(number)}"


def _gather(
    job: SortJob, read: EntityReader, form: Form, found: Iterator[Document]
) -> tuple[dict[int, list[tuple[str, str]]], Document | None, bool]:
    """The next entities by shard, the last document of them, and whether the text has ended."""
    run: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    held_bytes, last = 0, None
    for document in found:
        last = document
        try:
            key, doc = _entity(document.text, read, job.plan.path)
        except ImportRefused:
            raise
        except TidemarkError as error:
            raise refused(job.file.name, form, document.number, error.message) from error
        position = f"{job.number:04d} {form.value} {document.number:012d}"
        run[shard_of(key.id, job.plan.shards)].append((f"{key.sort_key}{SEPARATOR}{position}", doc))
        held_bytes += len(doc) + _HELD_BESIDE_BYTES
        if held_bytes >= RUN_BYTES:
            return run, last, False
    return run, last, True


def _entity(text: bytes, read: EntityReader, path: str) -> tuple[EntityKey, str]:
    try:
        document: Any = msgspec.json.decode(text)
    except RecursionError:
        raise _Unreadable("it is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise _Unreadable(f"it is not JSON: {error}") from None
    if not isinstance(document, dict) or "key" not in document or "id" in document:
        return read(document, path)
    key = document["key"]
    if not isinstance(key, list) or len(key) != _KEY_PARTS or not all(isinstance(part, str) for part in key):
        raise _Unreadable("its key must be an array of type, id and service path")
    if document.keys() != _RECORD_MEMBERS:
        raise _Unreadable("it must have a key and a value and nothing else: it is of a layer of changes, or no export")
    found, doc = read(document["value"], key[2])
    if list(found) != key:
        raise _Unreadable(f"its key {key} is not that of the entity in it, {list(found)}")
    return found, doc


class _Unreadable(TidemarkError):
    """A line is not what an import reads; whoever catches it names the place."""


def _store(payloads: PayloadStore, job: SortJob, after: int, shard: int, entities: list[tuple[str, str]]) -> None:
    entities.sort()

    def source(last: str | None) -> Iterator[Record]:
        return (record(key, doc) for key, doc in entities if last is None or key > last)

    prefix = run_prefix(job.tenant, job.capture_id, 0, shard)
    store_run(payloads, f"{prefix}{job.number:04d}-{after:012d}", source, lambda: None, RECORDS)


def _note(payloads: PayloadStore, job: SortJob, whole: Counted) -> None:
    if job.file.records not in {None, whole.records}:
        raise ImportRefused(
            f"file {job.file.name!r}: it holds {whole.records} entities; the manifest says {job.file.records}"
        )
    try:
        payloads.put(_count_key(job), msgspec.json.encode(whole))
    except ObjectExists:
        if counted(payloads, job) != whole:
            raise ManifestCorrupt(f"file {job.file.name!r} was sorted twice with different results") from None


def _count_key(job: SortJob) -> str:
    return f"{prefix_of(job.tenant, job.capture_id)}/counts/{job.number:04d}.json"

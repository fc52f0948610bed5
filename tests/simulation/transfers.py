"""Who takes snapshots elsewhere: copies, exports and imports are asked for, fetched, and held against what their
sources held.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import requests
import zstandard

from tests.driving import TENANT, doc, key, upload_urls
from tests.fakes import MemoryLinks
from tests.fakes.links import LinkExpired
from tests.simulation.fates import Died
from tests.simulation.world import KEYS, START, World
from tidemark.domain.digest import SetDigest
from tidemark.domain.keys import EntityKey
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine.transfer.plans import ImportFile
from tidemark.errors import (
    Corrupt,
    ExportFailed,
    ImportIncomplete,
    ImportNotOpen,
    ObjectNotFound,
    SnapshotInUse,
    SnapshotNotCompleted,
    SnapshotNotFound,
    Unavailable,
)
from tidemark.usecases.copy_snapshot import copy_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.export_snapshot import Exported, cancel_export, export_snapshot
from tidemark.usecases.import_snapshot import ImportWanted, Opened, open_import, read_import, start_import
from tidemark.usecases.read_snapshots import transfer_progress

STAGING = Tenant("staging")
TENANTS = (TENANT, STAGING)
_ASKS = 12
_REFUSALS = (ExportFailed, ImportIncomplete, ImportNotOpen, SnapshotInUse, SnapshotNotCompleted, SnapshotNotFound)


class Taken(NamedTuple):
    """What somebody has fetched, or made up, to be imported. Without `content` it must be refused."""

    wanted: ImportWanted
    files: tuple[bytes, ...]
    content: dict[EntityKey, str] | None


class Movers:
    """Copies, exports and imports of one world. `came` counts how they ended."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._taken: list[Taken] = []
        self.came: Counter[str] = Counter()

    def copier(self, times: int, seed: int) -> None:
        """Copy snapshots within a tenant or to the other one."""
        ports, choice = self._world.ports(), random.Random(seed)
        for _ in range(times):
            source = self._pick(choice)
            if source is None:
                return
            target = choice.choice(TENANTS)
            with suppress(Died, Unavailable, *_REFUSALS):
                self._world.process(partial(copy_snapshot, ports, source.tenant, source.id, target), 10)

    def exporter(self, times: int, seed: int) -> None:
        """Ask for exports until they are ready, and fetch them."""
        ports, choice = self._world.ports(), random.Random(seed)
        for _ in range(times):
            source = self._pick(choice)
            if source is None:
                return
            # Some ask once and never come back.
            for _ in range(choice.choice((1, _ASKS, _ASKS))):
                with suppress(Died, Unavailable, *_REFUSALS):
                    if self._export(source):
                        break
                    if choice.random() < 0.05:
                        self._world.process(partial(cancel_export, ports, source.tenant, source.id), 4)
                self._world.wait_a_while()

    def importer(self, times: int, seed: int) -> None:
        """Import what was fetched, or other files, of which some have to be refused."""
        ports, choice = self._world.ports(), random.Random(seed)
        for _ in range(times):
            taken = choice.choice(self._taken) if self._taken and choice.random() < 0.5 else self._made_up(choice)
            tenant = choice.choice(TENANTS)
            with suppress(Died, Unavailable, *_REFUSALS):
                begun = self._world.process(partial(open_import, ports, tenant, taken.wanted), 10)
                if taken.content is not None:
                    self._world.ledger.must_hold(tenant, begun.id, taken.content)
                self._upload(self._world.process(partial(read_import, ports, tenant, begun.id), 2), taken)
                for _ in range(choice.choice((1, 1, 2))):
                    self._world.process(partial(start_import, ports, tenant, begun.id), 12)

    def deleter(self, deletes: int, seed: int, tenant: Tenant = STAGING) -> None:
        """Delete snapshots of a tenant, whatever they are just now, and mostly what is being copied."""
        ports, choice = self._world.ports(), random.Random(seed)
        for _ in range(deletes):
            found = [one for one in ports.catalog.snapshots(tenant) if not one.forgotten]
            copied = {
                one.origin.snapshot_id
                for target in TENANTS
                for one in ports.catalog.snapshots(target)
                if one.status is SnapshotStatus.CREATING and one.origin is not None
            }
            if found:
                found = [one for one in found if one.id in copied] or found
                with suppress(Died, Unavailable, *_REFUSALS):
                    one = choice.choice(found)
                    delete = partial(delete_snapshot, recycle_bin_days=self._world.bin_days)
                    self._world.process(partial(delete, ports, tenant, one.id), 5)
            self._world.wait_a_while()

    def watcher(self, looks: int) -> None:
        """Look at the progress of copies and imports, which never goes back and never passes its total."""
        ports = self._world.ports()
        seen: dict[str, int] = {}
        for _ in range(looks):
            for tenant in TENANTS:
                for snapshot in ports.catalog.snapshots(tenant):
                    progress = transfer_progress(ports, snapshot)
                    if progress is not None:
                        before = seen.get(snapshot.capture_id, 0)
                        assert progress.done >= before, (snapshot, before, progress, "progress went back")
                        assert progress.total is None or progress.done <= progress.total, (snapshot, progress)
                        seen[snapshot.capture_id] = progress.done
            self._world.wait_a_while()

    def count(self) -> None:
        """How what is known of has ended."""
        for tenant in TENANTS:
            for snapshot in self._world.base.catalog.snapshots(tenant):
                if snapshot.origin is not None:
                    how = "was completed" if snapshot.was_completed else "was not completed"
                    self.came[f"{snapshot.trigger.value} {how}"] += 1

    def _pick(self, choice: random.Random) -> Snapshot | None:
        catalog = self._world.ports().catalog
        found = [
            one for tenant in TENANTS for one in catalog.snapshots(tenant) if one.status is SnapshotStatus.COMPLETED
        ]
        return choice.choice(found) if found else None

    def _export(self, source: Snapshot) -> bool:
        """Whether the export was there, or is past having."""
        world, ports = self._world, self._world.ports()
        asked_at = world.base.clock.now()
        try:
            found = world.process(partial(export_snapshot, ports, source.tenant, source.id), 20)
            if found.parts is None:
                return False
            with world.scheduler.unseen():
                self._fetch(found)
        except (Corrupt, ObjectNotFound):
            # Nobody takes days between asking and fetching; here they may, and what was asked for is gone.
            if world.base.clock.now() == asked_at:
                raise
        return True

    def _fetch(self, found: Exported) -> None:
        """Hold an export against what its snapshot holds, and keep it."""
        world, parts = self._world, found.parts or []
        files = tuple(world.base.payloads.get(part.key) for part in parts)
        lines = [line for file in files for line in _unpacked(file).splitlines()]
        digest = SetDigest()
        digest.add_all(lines)
        assert digest.hex == found.digest, (world.seed, found, "the digest is another one")
        content = {EntityKey(*one["key"]): _compact(one["value"]) for one in map(json.loads, lines)}
        assert len(content) == len(lines), (world.seed, found, "an entity is there twice")
        assert content == world.ledger.held_by(found.snapshot), (world.seed, found, "not what the snapshot holds")
        told = tuple(ImportFile(part.name, part.size_bytes, part.sha256, part.records) for part in parts)
        self._taken.append(Taken(ImportWanted(told, "", "/", len(lines), digest.hex), files, content))
        self.came["export was fetched"] += 1

    def _made_up(self, choice: random.Random) -> Taken:
        """Two files of entities, the accounts among them; every third time one is there twice."""
        content = {one: doc(one, START) for one in KEYS}
        content |= {(one := key(number, "Made")): doc(one, number) for number in range(choice.randint(1, 12))}
        lines = list(content.values())
        choice.shuffle(lines)
        refused = choice.random() < 0.33
        if refused:
            lines.append(lines[0])
        middle = len(lines) // 2
        files = tuple("\n".join(some).encode() for some in (lines[:middle], lines[middle:]))
        told = tuple(ImportFile(f"file-{number}", len(file)) for number, file in enumerate(files))
        return Taken(ImportWanted(told), files, None if refused else content)

    def _upload(self, opened: Opened, taken: Taken) -> None:
        """Send the files, unless there is nothing to send them to any more."""
        world = self._world
        for number, file in enumerate(taken.files):
            [url] = upload_urls(world.base, opened, number)
            with world.scheduler.unseen(), suppress(LinkExpired, ObjectNotFound):
                _sending(world)(url, file)
            world.scheduler.pause("upload")


def _sending(world: World) -> Callable[[str, bytes], None]:
    if isinstance(world.base.links, MemoryLinks):
        return world.base.links.send

    def put(url: str, body: bytes) -> None:
        requests.put(url, data=body, timeout=10).raise_for_status()

    return put


def _unpacked(file: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader:
        return reader.read()


def _compact(document: object) -> str:
    return json.dumps(document, separators=(",", ":"), sort_keys=True)

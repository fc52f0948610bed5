"""What each snapshot must hold, and that a record which says how a capture or transfer ended never says otherwise."""

from collections.abc import Callable
from typing import Any, Final

from tests.simulation.oracle import Oracle
from tests.simulation.scheduler import Scheduler
from tidemark.domain.keys import EntityKey
from tidemark.domain.snapshot import CaptureId, ExportStatus, Snapshot, SnapshotStatus, Trigger
from tidemark.domain.tenant import Tenant
from tidemark.errors import (
    AwsFailure,
    ImportIncomplete,
    ImportRefused,
    RecordExists,
    SnapshotNotCompleted,
    SnapshotNotFound,
    TransferCancelled,
    TransferEnded,
)
from tidemark.ports import Catalog

_ENDS: Final = {SnapshotStatus.COMPLETED, SnapshotStatus.FAILED}
_REASONS: Final = (AwsFailure, ImportIncomplete, TransferCancelled, TransferEnded)
# A copy's source may go before it is held.
_EARLY_REASONS: Final = (*_REASONS, SnapshotNotCompleted, SnapshotNotFound)


class Ledger:
    """Stands before a catalog and looks at each record after it was replaced, by whomever."""

    def __init__(self, catalog: Catalog, scheduler: Scheduler, oracle: Oracle) -> None:
        self._catalog = catalog
        self._scheduler = scheduler
        self._oracle = oracle
        self._last: dict[tuple[Tenant, str], Snapshot] = {}
        self._named: dict[tuple[Tenant, str], CaptureId] = {}
        # Whether the bucket has dropped what had expired: then a transfer that was under way may miss anything.
        self.expired = False
        self._held: dict[tuple[Tenant, str], dict[EntityKey, str]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def add_snapshot(self, snapshot: Snapshot) -> Snapshot:
        # No request lives for days, as some do here: none registers what it named before another one was forgotten.
        if self._named.setdefault((snapshot.tenant, snapshot.id), snapshot.capture_id) != snapshot.capture_id:
            raise RecordExists(f"snapshot {snapshot.id} was registered once")
        return self._catalog.add_snapshot(snapshot)

    def replace_snapshot(self, snapshot: Snapshot) -> Snapshot:
        try:
            return self._catalog.replace_snapshot(snapshot)
        finally:
            # Also when the answer was lost: what counts is what the catalog says now.
            with self._scheduler.unseen():
                self._note(snapshot.tenant, snapshot.id)

    def must_hold(self, tenant: Tenant, snapshot_id: str, content: dict[EntityKey, str]) -> None:
        """Know what an import will hold if it is completed."""
        self._held[tenant, snapshot_id] = content

    def held_by(self, snapshot: Snapshot) -> dict[EntityKey, str]:
        """What a completed snapshot must hold: what was live at its cut, what its source had, or what its files had."""
        origin = snapshot.origin
        if origin is None:
            assert snapshot.generation is not None
            assert snapshot.cut is not None
            return self._oracle.at[snapshot.generation, snapshot.cut]
        if origin.tenant is not None and origin.snapshot_id is not None:
            return self.held_by(self._last[origin.tenant, origin.snapshot_id])
        held = self._held.get((snapshot.tenant, snapshot.id))
        assert held is not None, f"import {snapshot.id} was completed of files that it had to refuse"
        return held

    def moves_on(self, tenant: Tenant, snapshot_id: str | None) -> Callable[[], bool]:
        """Whether a transfer has ended, or has been taken over, since this was called."""
        with self._scheduler.unseen():
            before = self._standing(tenant, snapshot_id)

        def moved() -> bool:
            return self._standing(tenant, snapshot_id) != before

        return moved

    def _standing(self, tenant: Tenant, snapshot_id: str | None) -> object:
        snapshot = self._last.get((tenant, snapshot_id or ""))
        return snapshot and (snapshot.status, snapshot.origin and snapshot.origin.attempt, snapshot.export)

    def _note(self, tenant: Tenant, snapshot_id: str) -> None:
        try:
            now = self._catalog.snapshot(tenant, snapshot_id)
        except SnapshotNotFound:
            return
        before = self._last.get((tenant, snapshot_id))
        self._last[tenant, snapshot_id] = now
        if before is None or (before.failure, before.export) != (now.failure, now.export):
            self._check_failures(now)
        if before is None or before.status is SnapshotStatus.CREATING:
            return
        assert now.status is not SnapshotStatus.CREATING, (before, now, "what was over is being made again")
        assert {before.status, now.status} != _ENDS, (before, now, "it ended twice")
        assert (now.manifest, now.entity_count) == (before.manifest, before.entity_count), (before, now, "it changed")
        assert before.digest in {None, now.digest}, (before, now, "the digest changed")
        one, other = before.export, now.export
        if now.status is SnapshotStatus.DELETED and before.status is not now.status:
            assert one is None or one.status is not ExportStatus.PREPARING, (
                before,
                now,
                "it was deleted under an export",
            )
        if one is not None and other is not None and one.transfer_id == other.transfer_id:
            assert one.status in {ExportStatus.PREPARING, other.status}, (before, now, "an export that was over moved")

    def _check_failures(self, now: Snapshot) -> None:
        """Nothing fails but what AWS, time or its own files would not let be, or what nobody drives any more."""
        failures = (now.failure if now.origin is not None else None, now.export.failure if now.export else None)
        begun = now.origin is None or now.origin.shards > 0
        codes = {reason.__name__ for reason in (_REASONS if begun else _EARLY_REASONS)}
        if now.trigger is Trigger.IMPORT and (now.tenant, now.id) not in self._held:
            codes.add(ImportRefused.__name__)
        # What it stored on its way may have expired.
        may_miss = self.expired and now.trigger is not Trigger.COPY
        for failure in failures:
            assert failure is None or may_miss or failure.code in codes, (now, "it failed without a reason")

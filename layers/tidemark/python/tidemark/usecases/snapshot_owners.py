"""Whose snapshots are read back, and where it is noted what was found: those of a tenant's entities, or of the volumes
of an environment. So verification and scrub need not know which.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tidemark.domain.environment import EnvironmentId, environment_of
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import DamagedSnapshot, Failure, Scope, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.domain.volume import DamagedVolumeSnapshot, VolumeSnapshotState
from tidemark.engine import verification
from tidemark.engine.blocks.manifests import check_manifest
from tidemark.engine.verification import Checked
from tidemark.ports import Ports
from tidemark.usecases import verify_snapshot, verify_volume_snapshot


class Kept(NamedTuple):
    """A snapshot whose bytes are kept. `read_manifest` reads its manifest and raises ManifestCorrupt."""

    id: str
    read_manifest: Callable[[], Manifest]


class Owner(Protocol):
    """One whose snapshots are read back. Methods that take the id of one raise NotFound."""

    def kept(self) -> Iterator[Kept | Failure]:
        """The snapshots whose bytes are kept; and what is wrong with the records of others."""
        ...

    def list_packs(self, snapshot_id: str) -> list[int]:
        """The shards of a snapshot that have packs. Raises ManifestCorrupt, and Conflict for one that isn't whole."""
        ...

    def verify_shard(self, snapshot_id: str, shard: int) -> Checked:
        """Read one shard back; how much that was. Raises ManifestCorrupt, PackCorrupt."""
        ...

    def record(self, snapshot_id: str, checked: Iterable[Checked], scope: Scope, failure: Failure | None) -> bool:
        """Note what was found; whether the snapshot is still one whose bytes are kept."""
        ...


def owner_named(ports: Ports, name: Tenant) -> Owner:
    """The one that objects are filed under by this name."""
    environment = environment_of(name)
    return _Tenant(ports, name) if environment is None else _Environment(ports, environment)


@dataclass(frozen=True, slots=True)
class _Tenant:
    ports: Ports
    tenant: Tenant

    def kept(self) -> Iterator[Kept | Failure]:
        payloads = self.ports.payloads
        for one in self.ports.catalog.found_snapshots(self.tenant):
            if isinstance(one, DamagedSnapshot):
                yield one.failure
            elif one.status is SnapshotStatus.COMPLETED:
                yield Kept(one.id, lambda one=one: verification.check_manifest(payloads, one))  # type: ignore[misc]

    def list_packs(self, snapshot_id: str) -> list[int]:
        return verify_snapshot.list_packs(self.ports, self.tenant, snapshot_id)

    def verify_shard(self, snapshot_id: str, shard: int) -> Checked:
        return verify_snapshot.verify_shard(self.ports, self.tenant, snapshot_id, shard=shard)

    def record(self, snapshot_id: str, checked: Iterable[Checked], scope: Scope, failure: Failure | None) -> bool:
        noted = verify_snapshot.record(self.ports, self.tenant, snapshot_id, checked, scope=scope, failure=failure)
        return noted.status is SnapshotStatus.COMPLETED


@dataclass(frozen=True, slots=True)
class _Environment:
    ports: Ports
    environment: EnvironmentId

    def kept(self) -> Iterator[Kept | Failure]:
        payloads = self.ports.payloads
        for one in self.ports.volumes.volume_snapshots(self.environment):
            if isinstance(one, DamagedVolumeSnapshot):
                yield one.failure
            elif one.state is VolumeSnapshotState.STORED:
                yield Kept(one.id, lambda one=one: check_manifest(payloads, one))  # type: ignore[misc]

    def list_packs(self, snapshot_id: str) -> list[int]:
        return verify_volume_snapshot.list_packs(self.ports, self.environment, snapshot_id)

    def verify_shard(self, snapshot_id: str, shard: int) -> Checked:
        return verify_volume_snapshot.verify_shard(self.ports, self.environment, snapshot_id, shard=shard)

    def record(self, snapshot_id: str, checked: Iterable[Checked], scope: Scope, failure: Failure | None) -> bool:
        noted = verify_volume_snapshot.record(
            self.ports, self.environment, snapshot_id, checked, scope=scope, failure=failure
        )
        return noted.state is VolumeSnapshotState.STORED

"""CopyPacks: store the packs of one shard under the copy's own name."""

from tidemark.domain.tenant import Tenant
from tidemark.engine import verification
from tidemark.engine.transfer import copies
from tidemark.ports import Ports
from tidemark.usecases.transfer_phases.begin import source_of
from tidemark.usecases.transfer_phases.lifecycle import driven, note_done


def copy_packs(ports: Ports, tenant: Tenant, snapshot_id: str, transfer_id: str, *, attempt: int, shard: int) -> int:
    """The number of entities that the shard holds. Goes on after the last pack of an earlier run.

    Raises TransferEnded, ManifestCorrupt, PackCorrupt.
    """

    def proceed() -> None:
        driven(ports.catalog.snapshot(tenant, snapshot_id), transfer_id, attempt)

    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    source_tenant, source_id = source_of(driven(snapshot, transfer_id, attempt))
    source = verification.check_manifest(ports.payloads, ports.catalog.snapshot(source_tenant, source_id))
    job = copies.ShardCopy(source.shards[shard], tenant, snapshot.capture_id)
    records = copies.copy_packs(ports.payloads, job, proceed).records
    note_done(ports, tenant, transfer_id, shard, records)
    return records

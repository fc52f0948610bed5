"""The phases of an import: SortFiles and BuildShards, and what Seal holds its result against."""

from typing import Final

from tidemark.domain.digest import SetDigest
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.engine.transfer import building, plans, sorting
from tidemark.engine.transfer.sorting import EntityReader, Progress, SortJob
from tidemark.errors import ImportRefused, ManifestCorrupt
from tidemark.ports import Ports
from tidemark.usecases.transfer_phases.lifecycle import driven, note_done

# Notes of progress are told apart by a number: that of a shard, or of a file and of the document before a run of it.
_A_FILE: Final = 10**13


def sort_file(  # noqa: PLR0913 - which transfer, which part of it, and how
    ports: Ports,
    tenant: Tenant,
    snapshot_id: str,
    transfer_id: str,
    read: EntityReader,
    *,
    attempt: int,
    file: int,
    progress: Progress | None = None,
    budget_s: float = 600.0,
) -> Progress | None:
    """Sort a file's entities, as many as the budget lets; None when that is all, else where to go on.

    Raises TransferEnded, ImportRefused.
    """
    until_s = ports.clock.monotonic_s() + budget_s
    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    driven(snapshot, transfer_id, attempt)
    plan = plans.read(ports.payloads, tenant, snapshot.capture_id)

    def proceed() -> bool:
        driven(ports.catalog.snapshot(tenant, snapshot_id), transfer_id, attempt)
        return ports.clock.monotonic_s() < until_s

    def sorted_run(after: int, entities: int) -> None:
        note_done(ports, tenant, transfer_id, (file + 1) * _A_FILE + after, entities)

    job = SortJob(tenant, snapshot.capture_id, plan, file)
    return sorting.sort_file(ports.payloads, job, read, progress, proceed, sorted_run)


def build_shard(ports: Ports, tenant: Tenant, snapshot_id: str, transfer_id: str, *, attempt: int, shard: int) -> int:
    """Merge what was sorted of one shard; the number of its entities. Goes on after the last pack of an earlier run.

    Raises TransferEnded, ImportRefused.
    """

    def proceed() -> None:
        driven(ports.catalog.snapshot(tenant, snapshot_id), transfer_id, attempt)

    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    driven(snapshot, transfer_id, attempt)
    plan = plans.read(ports.payloads, tenant, snapshot.capture_id)
    job = building.BuildJob(tenant, snapshot.capture_id, plan, shard)
    records = building.build_shard(ports.payloads, job, proceed).records
    note_done(ports, tenant, transfer_id, shard, records)
    return records


def check_import(ports: Ports, snapshot: Snapshot, manifest: Manifest) -> None:
    """See that the snapshot holds what was read of its files, and that this is what the files' manifest says.

    Raises ManifestCorrupt where something was lost on the way, ImportRefused where the files are others.
    """
    plan = plans.read(ports.payloads, snapshot.tenant, snapshot.capture_id)
    read = SetDigest()
    jobs = [SortJob(snapshot.tenant, snapshot.capture_id, plan, number) for number in range(len(plan.files))]
    for count in ports.parallel.map(lambda job: sorting.counted(ports.payloads, job), jobs):
        read.add_hex(count.digest, count.records)
    if (manifest.records, manifest.digest) != (read.count, read.hex):
        raise ManifestCorrupt(
            f"snapshot {snapshot.id} holds {manifest.records} entities of {read.count} that were read"
        )
    if plan.records not in {None, read.count}:
        raise ImportRefused(f"the files hold {read.count} entities; their manifest says {plan.records}")
    if plan.digest not in {None, read.hex}:
        raise ImportRefused(f"the files' entities have the digest {read.hex}; their manifest says {plan.digest}")

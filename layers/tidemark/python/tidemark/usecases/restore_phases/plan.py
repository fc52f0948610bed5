"""Plan: take the restore over, check that everything the snapshot needs is stored, lay out the work."""

from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from tidemark.domain.live import FencingToken
from tidemark.domain.restore import Part, Phase, Restore, RestoreStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import staging
from tidemark.engine.copying import check_pack
from tidemark.engine.live import gates, leases
from tidemark.errors import (
    ManifestCorrupt,
    ObjectExists,
)
from tidemark.ports import Ports
from tidemark.usecases.records import amend_restore
from tidemark.usecases.restore_phases.lifecycle import driven, end_attempt, manifest_of, refuse_cancelled, use


class Planned(NamedTuple):
    """What the following phases need.

    `resume_at`: Stage, or CatchUp or Cutover where an earlier attempt had come so far (Cutover: had flipped), or None
    when the restore is over. `partial`: what else is live stays, and is to be caught up with.
    """

    token: FencingToken
    resume_at: Phase | None
    work_key: str
    parts: int
    shards: list[int]
    partial: bool


def plan(ports: Ports, tenant: Tenant, restore_id: str, *, attempt: int) -> Planned:
    """Take the restore over from earlier attempts, check that everything the snapshot needs is stored, and lay out the
    work.

    Raises LeaseLost, RestoreCancelled, ManifestCorrupt, PackCorrupt.
    """
    restore = ports.catalog.restore(tenant, restore_id)
    if restore.status is not RestoreStatus.RESTORING:
        end_attempt(ports, restore, attempt)
        return Planned(restore.token, None, "", 0, [], restore.partial)
    state = leases.take_over(ports, tenant, owner=restore.owner, subject=restore_id, attempt=attempt)
    token = leases.token_of(state)
    shards = list(range(state.shards))
    work_key = f"work-lists/{tenant}/{restore_id}.json"
    if state.generation == restore.generation:
        return Planned(token, Phase.CUTOVER, work_key, restore.parts or 0, shards, restore.partial)
    refuse_cancelled(restore)
    if restore.source_tenant is not None:
        # The collector of the other tenant does not see this restore, only that the snapshot is in use.
        use(ports, restore)
    manifest = manifest_of(ports, restore)
    if manifest.records != restore.total:
        raise ManifestCorrupt(
            f"the manifest of {restore.snapshot_id} has {manifest.records} entities, its record {restore.total}"
        )
    ports.parallel.map(lambda pack: check_pack(ports.payloads, pack), manifest.packs)
    baseline = gates.cut(ports, tenant, token) if restore.partial else None
    # What was staged and added to since can't be staged or verified again, only be caught up with.
    resume_at = Phase.STAGE if restore.caught_up is None else Phase.CATCH_UP
    parts = [Part(shard, shard) for shard in shards] if restore.partial else staging.parts_of(ports, manifest)
    try:
        ports.payloads.put(work_key, _work_list(parts))
    except ObjectExists:
        # All attempts work on the list that was stored first, which an earlier release may have cut differently.
        parts = read_work_list(ports.payloads.get(work_key))

    def note(record: Restore) -> Restore:
        refuse_cancelled(record)
        planned = replace(driven(record, token), attempt=attempt, parts=len(parts), baseline=baseline)
        return planned.entering(resume_at, ports.clock.now())

    amend_restore(ports.catalog, tenant, restore_id, note)
    return Planned(token, resume_at, work_key, len(parts), shards, restore.partial)


class _WorkItem(msgspec.Struct, rename="camel"):
    part: int
    shard: int
    from_key: str | None
    to_key: str | None


_WORK_LIST: Final = msgspec.json.Decoder(list[_WorkItem])


def _work_list(parts: list[Part]) -> bytes:
    return msgspec.json.encode([_WorkItem(part.number, part.shard, part.from_key, part.to_key) for part in parts])


def read_work_list(body: bytes) -> list[Part]:
    """The parts in a stored work list, as the Distributed Map hands them out one by one."""
    items = _WORK_LIST.decode(body)
    return [Part(item.part, item.shard, item.from_key, item.to_key) for item in items]

"""Verify: read the new generation back and compare it with what was staged and what the manifest says."""

from tidemark.domain.digest import SetDigest
from tidemark.domain.live import FencingToken
from tidemark.domain.manifest import Manifest
from tidemark.domain.restore import BEFORE_CUTOVER, Phase, Restore, StagedPart
from tidemark.domain.tenant import Tenant
from tidemark.engine import staging
from tidemark.engine.live import leases
from tidemark.errors import (
    StageIncomplete,
    VerificationFailed,
)
from tidemark.ports import Ports
from tidemark.usecases.records import amend_restore
from tidemark.usecases.restore_phases.lifecycle import manifest_of, refuse_cancelled


def verify(ports: Ports, tenant: Tenant, restore_id: str, *, token: int, shard: int) -> int:
    """Read a shard of the new generation back and compare it with what was staged and what the manifest says; the
    number of its records.

    Raises VerificationFailed, StageIncomplete, RestoreCancelled, LeaseLost.
    """
    leases.held_state(ports.table, tenant, FencingToken(token))

    def go_on(record: Restore) -> Restore:
        refuse_cancelled(record)
        # A late run does not take the restore back to where it could be cancelled.
        return record.entering(Phase.VERIFY, ports.clock.now()) if record.phase in BEFORE_CUTOVER else record

    restore = amend_restore(ports.catalog, tenant, restore_id, go_on)
    parts = _all_parts(ports, restore)
    if not restore.partial:
        _compare_with_manifest(manifest_of(ports, restore), parts)
    expected = SetDigest()
    for part in parts:
        for staged in part.shards:
            if staged.shard == shard:
                expected.add_hex(staged.digest, staged.records)
    found = staging.read_back(ports, tenant, restore.generation, shard)
    if (found.count, found.hex) != (expected.count, expected.hex):
        raise VerificationFailed(
            f"shard {shard} of the new generation holds {found.count} entities "
            f"that do not match the {expected.count} staged"
        )
    return found.count


def _all_parts(ports: Ports, restore: Restore) -> list[StagedPart]:
    parts = ports.catalog.parts(restore.tenant, restore.id)
    staged = {part.part for part in parts if part.reached is None}
    missing = sorted(set(range(restore.parts or 0)) - staged)
    if restore.parts is None or missing:
        raise StageIncomplete(f"restore {restore.id} has not staged all of {len(missing)} parts: {missing[:10]}")
    return parts


def _compare_with_manifest(manifest: Manifest, parts: list[StagedPart]) -> None:
    """Set digests add up, so the parts together must make what the shards together are said to be."""
    staged, stated = SetDigest(), SetDigest()
    for part in parts:
        for shard in part.shards:
            staged.add_hex(shard.digest, shard.records)
    for one in manifest.shards:
        stated.add_hex(one.digest or "0", one.records)
    if staged.count != stated.count:
        raise VerificationFailed(f"{staged.count} entities were staged, the manifest has {stated.count}")
    if all(one.digest is not None for one in manifest.shards) and staged.hex != stated.hex:
        raise VerificationFailed("the entities that were staged are not those that the manifest was made of")

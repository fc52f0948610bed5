"""Dry runs and their plans as stored: what was asked for, what was counted of each shard, and how it ended.

Each is an object that is stored once and expires. A plan that is ready counts, even where a late failure was noted too:
it was counted under the lease.
"""

from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec

from tidemark.domain.change import Change
from tidemark.domain.keys import EntityKey
from tidemark.domain.restore_plan import Counted, DryRun, RestorePlan, is_plan_id
from tidemark.domain.snapshot import Failure
from tidemark.domain.tenant import Tenant
from tidemark.errors import ObjectExists, ObjectNotFound, PlanNotFound, PlanNotReady
from tidemark.ports import Ports

_READY: Final = "ready"
_ASKED: Final = "asked"
_FAILED: Final = "failed"
_SHARD: Final = "shard-"
_WHOLE: Final = 100
# Made once, while the module is imported: threads that first meet a type at the same moment can crash in msgspec.
_DECODERS: Final[dict[type, msgspec.json.Decoder[Any]]] = {
    kind: msgspec.json.Decoder(kind) for kind in (Counted, DryRun, Failure, RestorePlan)
}


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A dry run that an execution counts: how many of its shards are, and why it failed, if it did."""

    dry_run: DryRun
    counted: int
    failure: Failure | None

    @property
    def percent(self) -> int:
        """How much is done, rounded down."""
        return _WHOLE * self.counted // self.dry_run.shards


def ask(ports: Ports, dry_run: DryRun) -> None:
    """Note what an execution is to count."""
    _put(ports, dry_run.id, _ASKED, msgspec.json.encode(dry_run))


def note_shard(ports: Ports, plan_id: str, shard: int, counted: Counted) -> None:
    """Note what was counted of a shard. Can be repeated: whoever counts it under the lease counts the same."""
    _put(ports, plan_id, f"{_SHARD}{shard:03}", msgspec.json.encode(counted))


def noted_shard(ports: Ports, plan_id: str, shard: int) -> Counted | None:
    """What was counted of a shard, if it was."""
    try:
        return _get(ports, plan_id, f"{_SHARD}{shard:03}", Counted)
    except ObjectNotFound:
        return None


def finish(ports: Ports, dry_run: DryRun, counted: Counted) -> RestorePlan:
    """The plan, ready and stored. Can be repeated."""
    named = {kind: tuple(EntityKey.parse(key) for key in counted.named[kind]) for kind in Change}
    plan = RestorePlan(
        **{one.name: getattr(dry_run, one.name) for one in fields(DryRun)},
        changes=counted.changes,
        created=named[Change.CREATED],
        updated=named[Change.UPDATED],
        deleted=named[Change.DELETED],
    )
    _put(ports, plan.id, _READY, msgspec.json.encode(plan))
    return plan


def fail(ports: Ports, plan_id: str, failure: Failure) -> None:
    """Note why there will be no plan. Can be repeated; the first reason stays."""
    _put(ports, plan_id, _FAILED, msgspec.json.encode(failure))


def find(ports: Ports, plan_id: str) -> RestorePlan | UnderWay | None:
    """The plan, or how far its dry run is; None where an execution was never asked for it and it is not ready."""
    try:
        return _get(ports, plan_id, _READY, RestorePlan)
    except ObjectNotFound:
        prefix = _key(plan_id, "").removesuffix(".json")
        names = {one.key.removeprefix(prefix).removesuffix(".json") for one in ports.payloads.list(prefix)}
    if _READY in names:
        # It became so between the two.
        return _get(ports, plan_id, _READY, RestorePlan)
    if _ASKED not in names:
        return None
    return UnderWay(
        dry_run=_get(ports, plan_id, _ASKED, DryRun),
        counted=sum(name.startswith(_SHARD) for name in names),
        failure=_get(ports, plan_id, _FAILED, Failure) if _FAILED in names else None,
    )


def look_at_plan(ports: Ports, tenant: Tenant, plan_id: str) -> RestorePlan | UnderWay:
    """A plan of the tenant whose snapshot it is about, or how far it is. Raises PlanNotFound, also when its time is
    over.
    """
    found = find(ports, plan_id) if is_plan_id(plan_id) else None
    if found is None or asked_of(found).source != tenant:
        raise PlanNotFound(
            f"no plan {plan_id[:100]!r}: plans come from restores with dryRun and are kept for some days"
        )
    return found


def asked_of(found: RestorePlan | UnderWay) -> DryRun:
    """What was asked for."""
    return found.dry_run if isinstance(found, UnderWay) else found


def read_plan(ports: Ports, tenant: Tenant, plan_id: str) -> RestorePlan:
    """A plan that can be carried out. Raises PlanNotFound, PlanNotReady."""
    found = look_at_plan(ports, tenant, plan_id)
    if isinstance(found, RestorePlan):
        return found
    if found.failure is not None:
        raise PlanNotReady(f"plan {plan_id} could not be made; ask for another dry run")
    raise PlanNotReady(f"plan {plan_id} is still being made; wait until it is planned")


def _get[T](ports: Ports, plan_id: str, name: str, kind: type[T]) -> T:
    found: T = _DECODERS[kind].decode(ports.payloads.get(_key(plan_id, name)))
    return found


def _put(ports: Ports, plan_id: str, name: str, body: bytes) -> None:
    with suppress(ObjectExists):
        ports.payloads.put(_key(plan_id, name), body)


def _key(plan_id: str, name: str) -> str:
    return f"work-lists/plans/{plan_id}/{name}.json"

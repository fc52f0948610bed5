"""Drives captures, restores and transfers phase by phase on any ports, as the state machines do."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from tests.fakes import Started
from tidemark.dialects.ngsi.imports import read_entity
from tidemark.domain.keys import EntityKey
from tidemark.domain.restore import Part, Phase
from tidemark.domain.restore_plan import is_plan_id
from tidemark.domain.snapshot import Failure
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.live.writes import Decide, Documents
from tidemark.engine.merge import read_shard
from tidemark.engine.transfer.sorting import Progress
from tidemark.errors import RestoreNotFound, SnapshotNotFound, TidemarkError, Unavailable
from tidemark.ports import Ports
from tidemark.usecases import capture_phases, dry_run_phases, entities, restore_phases, transfer_phases
from tidemark.usecases.import_snapshot import Opened

TENANT = Tenant("smartcity")


def key(number: int, type_: str = "Room", path: str = "/") -> EntityKey:
    return EntityKey(type_, f"urn:ngsi-ld:{type_}:{number:06d}", path)


def doc(one: EntityKey, value: int) -> str:
    return f'{{"id":"{one.id}","type":"{one.type}","value":{{"metadata":{{}},"type":"Number","value":{value}}}}}'


def put(ports: Ports, values: dict[EntityKey, int], tenant: Tenant = TENANT) -> None:
    """Write entities, some at a time."""
    keys = list(values)
    for start in range(0, len(keys), 80):
        some: dict[EntityKey, str | None] = {one: doc(one, values[one]) for one in keys[start : start + 80]}
        entities.change(ports, tenant, list(some), _always(some))


def _always(docs: Documents) -> Decide:
    return lambda _old: docs


def delete(ports: Ports, *keys: EntityKey, tenant: Tenant = TENANT) -> None:
    entities.change(ports, tenant, keys, _always(dict.fromkeys(keys)))


def live(ports: Ports, tenant: Tenant = TENANT) -> dict[EntityKey, str]:
    """Everything that readers see."""
    return entities.view(ports, tenant, lambda found: {one.key: one.doc for one in found})


def content(ports: Ports, snapshot_id: str, tenant: Tenant = TENANT) -> dict[EntityKey, str]:
    """Everything that a snapshot holds."""
    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    assert snapshot.manifest is not None
    manifest = manifests.read(ports.payloads, snapshot.manifest)
    return {
        EntityKey.parse(record.key): (record.value or b"").decode()
        for shard in manifest.shards
        for record in read_shard(ports.payloads, shard)
    }


class Invoke(Protocol):
    """Runs a phase, as a state machine has a worker do."""

    def __call__[T](self, phase: Callable[[], T]) -> T:
        """The result of the phase."""
        ...


def run_capture(
    ports: Ports,
    snapshot_id: str,
    capture_id: str,
    attempt: int = 1,
    tenant: Tenant = TENANT,
    tries: int = 1,
    invoke: Invoke | None = None,
) -> None:
    """Run the phases of a capture, or of a dry run, as their state machine does, each up to `tries` times, or by
    `invoke`.
    """
    name, run = snapshot_id, invoke or trying(tries)
    if is_plan_id(name):
        _count(ports, name, attempt, tenant, run)
        return
    try:
        begun = run(lambda: capture_phases.begin(ports, tenant, name, capture_id, attempt=attempt))
        for shard in begun.shards:
            run(partial(capture_phases.copy_shard, ports, tenant, name, token=begun.token, shard=shard))
        if not begun.over:
            run(lambda: capture_phases.seal(ports, tenant, name, token=begun.token))
    except TidemarkError as error:
        failure = Failure(error.code, error.message)
        with suppress(SnapshotNotFound):
            run(
                lambda: capture_phases.abort(ports, tenant, name, capture_id, attempt=attempt, failure=failure),
            )


def _count(ports: Ports, plan_id: str, attempt: int, tenant: Tenant, run: Invoke) -> None:
    try:
        begun = run(lambda: dry_run_phases.begin(ports, tenant, plan_id, attempt=attempt))
        for shard in begun.shards:
            run(partial(dry_run_phases.count_shard, ports, tenant, plan_id, token=begun.token, shard=shard))
        if not begun.over:
            run(lambda: dry_run_phases.conclude(ports, tenant, plan_id, token=begun.token))
    except TidemarkError as error:
        failure = Failure(error.code, error.message)
        run(lambda: dry_run_phases.abort(ports, tenant, plan_id, attempt=attempt, failure=failure))


def trying(tries: int) -> Invoke:
    """Has each phase tried again, as `retried` does."""

    def invoke[T](phase: Callable[[], T]) -> T:
        return retried(tries, phase)

    return invoke


def run_transfer(
    ports: Ports, started: Started, tries: int = 1, invoke: Invoke | None = None, budget_s: float = 0
) -> None:
    """Run the phases of a transfer as its state machine does, each up to `tries` times, or by `invoke`.

    `budget_s` is what sorting a file may take at once: one run unless there is more.
    """
    tenant, name, transfer, attempt = started.tenant, started.snapshot_id or "", started.subject, started.attempt
    told: dict[str, Any] = {"attempt": attempt}
    run = invoke or trying(tries)
    try:
        begun = run(lambda: transfer_phases.begin(ports, tenant, name, transfer, **told))
        shard_phase = {
            "copy": transfer_phases.copy_packs,
            "export": transfer_phases.merge_shard,
            "import": transfer_phases.build_shard,
        }[begun.kind]
        for file in begun.files:
            _sort_file(ports, started, file, run, budget_s)
        for shard in begun.shards:
            run(partial(shard_phase, ports, tenant, name, transfer, **told, shard=shard))
        if begun.kind == "export" and not begun.over:
            run(lambda: transfer_phases.publish(ports, tenant, name, transfer, **told))
        elif not begun.over:
            run(lambda: transfer_phases.seal(ports, tenant, name, transfer, **told))
    except TidemarkError as error:
        failure = Failure(error.code, error.message)
        run(lambda: transfer_phases.abort(ports, tenant, name, transfer, **told, failure=failure))


def _sort_file(ports: Ports, started: Started, file: int, run: Invoke, budget_s: float) -> None:
    place: Progress | None = None

    def some(place: Progress | None) -> Progress | None:
        return transfer_phases.sort_file(
            ports,
            started.tenant,
            started.snapshot_id or "",
            started.subject,
            read_entity,
            attempt=started.attempt,
            file=file,
            progress=place,
            budget_s=budget_s,
        )

    while (place := run(partial(some, place))) is not None:
        pass


def upload_urls(ports: Ports, opened: Opened, number: int) -> list[str]:
    """The addresses to which the parts of a file are still to be PUT."""
    return [url for url in opened.upload_urls(ports, number, 3600) if url is not None]


def retried[T](tries: int, phase: Callable[[], T]) -> T:
    """The result of a phase that is tried again, as the state machines' Retry does, when it was AWS that failed."""
    for _ in range(tries - 1):
        with suppress(Unavailable):
            return phase()
    return phase()


def run_restore(
    ports: Ports,
    restore_id: str,
    attempt: int = 1,
    between: Callable[[str], None] = lambda _phase: None,
    tenant: Tenant = TENANT,
    tries: int = 1,
    invoke: Invoke | None = None,
    budget_s: float = 60,
) -> restore_phases.RolledBack | None:
    """Run the phases of a restore as its state machine does, each up to `tries` times, or by `invoke`; the result of
    Rollback when it came to that.

    `between` is called before each phase. `budget_s` is what an invocation of Stage may take.
    """
    name, run = restore_id, invoke or trying(tries)
    try:
        between("Plan")
        planned = run(lambda: restore_phases.plan(ports, tenant, name, attempt=attempt))
        token = planned.token
        if planned.resume_at is None:
            return None
        _before_cutover(ports, tenant, name, planned, between, run, budget_s)
        between("Cutover")
        cut_over = run(lambda: restore_phases.cutover(ports, tenant, name, token=token))
    except TidemarkError as error:
        failure = Failure(error.code, error.message)
        try:
            return run(
                lambda: restore_phases.rollback(ports, tenant, name, attempt=attempt, failure=failure, budget_s=60),
            )
        except RestoreNotFound:
            return None
    between("Preserve")
    safety_id = cut_over.safety_snapshot_id
    if safety_id is not None:
        for shard in cut_over.shards:
            run(partial(capture_phases.copy_shard, ports, tenant, safety_id, token=token, shard=shard))
        run(lambda: capture_phases.seal(ports, tenant, safety_id, token=token))
    between("Retire")
    while not run(lambda: restore_phases.retire(ports, tenant, name, token=token, budget_s=60)):
        pass
    return None


def _before_cutover(
    ports: Ports,
    tenant: Tenant,
    name: str,
    planned: restore_phases.Planned,
    between: Callable[[str], None],
    run: Invoke,
    budget_s: float,
) -> None:
    token = planned.token
    if planned.resume_at is Phase.STAGE:
        between("Stage")
        for part in run(lambda: work(ports, planned.work_key)):
            stage_part = partial(restore_phases.stage, ports, tenant, name, token=token, part=part, budget_s=budget_s)
            while not run(stage_part).done:
                pass
        between("Verify")
        for shard in planned.shards:
            run(partial(restore_phases.verify, ports, tenant, name, token=token, shard=shard))
    if planned.partial and planned.resume_at is not Phase.CUTOVER:
        between("CatchUp")
        while not run(lambda: restore_phases.catch_up(ports, tenant, name, token=token, budget_s=60)):
            pass


def work(ports: Ports, work_key: str) -> list[Part]:
    """The work list that Plan stored."""
    return restore_phases.read_work_list(ports.payloads.get(work_key))


def damage(ports: Ports, object_key: str, offset: int = 0) -> None:
    """Flip one bit of a stored object."""
    objects = ports.payloads.objects  # type: ignore[attr-defined]
    body = bytearray(objects[object_key])
    body[offset] ^= 1
    objects[object_key] = bytes(body)


def packs(ports: Ports, tenant: Tenant = TENANT) -> list[str]:
    """The keys of all packs that are stored."""
    return [stored.key for stored in ports.payloads.list(f"{tenant}/packs/") if stored.key.endswith(".pack")]

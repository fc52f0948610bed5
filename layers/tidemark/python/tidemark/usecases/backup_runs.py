"""One run of the backup over all tenants: the list of those that are due, and what became of each.

The list is stored as an object under `work-lists/`, which expires: a state machine passes no more than 256 KiB on,
whatever the number of tenants. What became of them is in the records of their schedules.
"""

import re
from collections import Counter
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from itertools import batched
from typing import Final, NamedTuple

import msgspec

from tidemark.domain.schedule import STACK_SCHEDULE_ID, RunStatus, Schedule
from tidemark.domain.tenant import Tenant
from tidemark.errors import Corrupt, InvalidRequest, ObjectExists, ScheduleNotFound
from tidemark.ports import Ports
from tidemark.usecases.slot_notes import refuse_yet_to_come
from tidemark.usecases.stack_schedule import StackBackups, kept_in_step

_RUN: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_NAMED_AT_MOST: Final = 50
_TOGETHER: Final = 64


class Fate(StrEnum):
    """What became of a tenant's slot. `OVERTAKEN`: a later slot was run before it; `UNBEGUN`: nothing was done."""

    COMPLETED = "completed"
    FAILED = "failed"
    RUNNING = "running"
    SKIPPED = "skipped"
    OVERTAKEN = "overtaken"
    UNBEGUN = "unbegun"


class DueList(NamedTuple):
    """Where the list of tenants is stored whose slot is due, and how many they are."""

    key: str
    tenants: int


class RunSummary(NamedTuple):
    """What a run came to: how many tenants met which fate, and the first of those that failed or were not begun."""

    tenants: int
    fates: dict[Fate, int]
    failed: tuple[Tenant, ...]
    unbegun: tuple[Tenant, ...]


class _Listed(msgspec.Struct):
    tenant: Tenant


_LIST: Final = msgspec.json.Decoder(list[_Listed])


def list_due(ports: Ports, run: str, slot_at: datetime, stack: StackBackups | None) -> DueList:
    """Store the list of the tenants that have not run this slot of the stack's schedule, nor a later one. Repeating it
    gives the list that is stored.

    Raises InvalidRequest where there is no such schedule, the stack's parameters make none, or the slot is yet to come.
    """
    refuse_yet_to_come(ports, slot_at)
    if stack is None:
        raise InvalidRequest("the stack has no schedule for all tenants: its parameter BackupSchedule is disabled")
    key = _key(run)
    due: list[_Listed] = []
    for tenants in batched(ports.catalog.tenants(), _TOGETHER, strict=False):
        found = ports.parallel.map(lambda tenant: _is_due(ports, tenant, slot_at, stack), tenants)
        due += [_Listed(tenant) for tenant, is_due in zip(tenants, found, strict=True) if is_due]
    with suppress(ObjectExists):
        ports.payloads.put(key, msgspec.json.encode(due))
    return DueList(key, len(_listed(ports, run)))


def summary_of(ports: Ports, run: str, slot_at: datetime) -> RunSummary:
    """What became of the tenants of a run's list. Can be repeated."""
    fates = Counter[Fate]()
    failed: list[Tenant] = []
    unbegun: list[Tenant] = []
    tenants = _listed(ports, run)
    for some in batched(tenants, _TOGETHER, strict=False):
        for tenant, fate in zip(some, ports.parallel.map(lambda one: _fate(ports, one, slot_at), some), strict=True):
            fates[fate] += 1
            if fate is Fate.FAILED:
                failed.append(tenant)
            elif fate is Fate.UNBEGUN:
                unbegun.append(tenant)
    counts = {fate: fates[fate] for fate in Fate}
    return RunSummary(len(tenants), counts, tuple(failed[:_NAMED_AT_MOST]), tuple(unbegun[:_NAMED_AT_MOST]))


def _is_due(ports: Ports, tenant: Tenant, slot_at: datetime, stack: StackBackups) -> bool:
    try:
        schedule = kept_in_step(ports, tenant, stack)
    except Corrupt:
        # Its own execution fails of it and says so, while the others' go on.
        return True
    return schedule is not None and schedule.newer(slot_at)


def _fate(ports: Ports, tenant: Tenant, slot_at: datetime) -> Fate:
    try:
        schedule = ports.catalog.schedule(tenant, STACK_SCHEDULE_ID)
    except ScheduleNotFound:
        return Fate.UNBEGUN
    except Corrupt:
        return Fate.FAILED
    return _fate_in(schedule, slot_at)


def _fate_in(schedule: Schedule, slot_at: datetime) -> Fate:
    ran, missed = schedule.last_run, schedule.last_missed
    if ran is not None and ran.slot_at >= slot_at:
        return Fate(ran.status) if ran.slot_at == slot_at else Fate.OVERTAKEN
    if missed is not None and missed.slot_at == slot_at:
        return Fate.SKIPPED if missed.status is RunStatus.SKIPPED else Fate.FAILED
    return Fate.UNBEGUN


def _listed(ports: Ports, run: str) -> list[Tenant]:
    return [one.tenant for one in _LIST.decode(ports.payloads.get(_key(run)))]


def _key(run: str) -> str:
    if _RUN.fullmatch(run) is None:
        raise InvalidRequest(f"a run can't be called {run[:100]!r}: use 1 to 80 letters, digits, - and _")
    return f"work-lists/backups/{run}/tenants.json"

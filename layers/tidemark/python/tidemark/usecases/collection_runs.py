"""One run of the collector over all tenants: the list of them, what was reported of each, and the sum.

Both are stored as objects under `work-lists/`, which expire: a state machine passes no more than 256 KiB on, whatever
the number of tenants.
"""

import re
from contextlib import suppress
from itertools import count
from typing import Final, NamedTuple

import msgspec

from tidemark.domain.collection import Collection
from tidemark.errors import InvalidRequest, ObjectExists
from tidemark.ports import Ports

_RUN: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_NAMED_AT_MOST: Final = 50


class TenantList(NamedTuple):
    """Where the list of tenants is stored, and how many they are."""

    key: str
    tenants: int


class RunTotal(NamedTuple):
    """What a run came to. `unfinished` names tenants of which no whole report was stored, `problems` says what those
    met that were: the first of each.
    """

    tenants: int
    finished: int
    total: Collection | None
    unfinished: tuple[str, ...]
    problems: tuple[str, ...]


class _Listed(msgspec.Struct):
    tenant: str


_LIST: Final = msgspec.json.Decoder(list[_Listed])
_REPORT: Final = msgspec.json.Decoder(Collection)


def list_tenants(ports: Ports, run: str) -> TenantList:
    """Store the list of all tenants for a run. Repeating it gives the list that is stored."""
    key = f"{_folder(run)}/tenants.json"
    with suppress(ObjectExists):
        ports.payloads.put(key, msgspec.json.encode([_Listed(tenant) for tenant in ports.catalog.tenants()]))
    return TenantList(key, len(_listed(ports, run)))


def note_report(ports: Ports, run: str, report: Collection) -> None:
    """Store the report of one call. Where a tenant takes several, each has its own."""
    body = msgspec.json.encode(report)
    for part in count(1):
        try:
            return ports.payloads.put(f"{_folder(run)}/{report.tenant}/{part:06d}.json", body)
        except ObjectExists:
            continue
    raise AssertionError("count() ended")


def total_of(ports: Ports, run: str) -> RunTotal:
    """The sum of all reports of a run. Can be repeated."""
    whole: dict[str, Collection] = {}
    for stored in ports.payloads.list(f"{_folder(run)}/"):
        if stored.key.count("/") == _folder(run).count("/") + 2:
            report = _REPORT.decode(ports.payloads.get(stored.key))
            before = whole.get(report.tenant)
            whole[report.tenant] = before.followed_by(report) if before is not None else report
    tenants = _listed(ports, run)
    unfinished = [name for name in tenants if name not in whole or not whole[name].done]
    total: Collection | None = None
    for report in whole.values():
        total = report if total is None else total.beside(report)
    problems = total.problems if total is not None else ()
    return RunTotal(
        tenants=len(tenants),
        finished=len(tenants) - len(unfinished),
        total=total,
        unfinished=tuple(unfinished[:_NAMED_AT_MOST]),
        problems=problems[:_NAMED_AT_MOST],
    )


def _listed(ports: Ports, run: str) -> list[str]:
    stored = ports.payloads.get(f"{_folder(run)}/tenants.json")
    return [one.tenant for one in _LIST.decode(stored)]


def _folder(run: str) -> str:
    if _RUN.fullmatch(run) is None:
        raise InvalidRequest(f"a run can't be called {run[:100]!r}: use 1 to 80 letters, digits, - and _")
    return f"work-lists/collections/{run}"

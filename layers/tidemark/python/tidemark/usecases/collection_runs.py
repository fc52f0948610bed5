"""One run of the collector over all owners of objects, which are the tenants and, for the images of their volumes, the
environments: the list of them, what was reported of each, and the sum.

Both are stored as objects under `work-lists/`, which expire: a state machine passes no more than 256 KiB on, whatever
the number of tenants.
"""

import re
from contextlib import suppress
from itertools import count
from typing import Final, NamedTuple

import msgspec

from tidemark.domain.collection import Collection
from tidemark.domain.environment import environment_of, image_owner, spoken
from tidemark.domain.tenant import Tenant
from tidemark.errors import InvalidRequest, ObjectExists
from tidemark.ports import Ports

_RUN: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_NAMED_AT_MOST: Final = 50
_OWNERS: Final = "tenants.json"


class OwnerList(NamedTuple):
    """Where the list of owners is stored, and how many they are of each kind."""

    key: str
    tenants: int
    environments: int


class RunTotal(NamedTuple):
    """What a run came to. `unfinished` names owners of which no whole report was stored, `problems` says what those
    met that were: the first of each.
    """

    tenants: int
    environments: int
    finished: int
    total: Collection | None
    unfinished: tuple[str, ...]
    problems: tuple[str, ...]


class _Listed(msgspec.Struct):
    tenant: Tenant


_LIST: Final = msgspec.json.Decoder(list[_Listed])
_REPORT: Final = msgspec.json.Decoder(Collection)


def list_owners(ports: Ports, run: str) -> OwnerList:
    """Store the list of all owners for a run. Repeating it gives the list that is stored."""
    key = f"{_folder(run)}/{_OWNERS}"
    with suppress(ObjectExists):
        ports.payloads.put(key, msgspec.json.encode([_Listed(owner) for owner in owners(ports)]))
    listed = _listed(ports, run)
    environments = sum(environment_of(owner) is not None for owner in listed)
    return OwnerList(key, len(listed) - environments, environments)


def owners(ports: Ports) -> list[Tenant]:
    """Whose objects there may be, each once, in their order."""
    return sorted({*ports.catalog.tenants(), *map(image_owner, ports.volumes.environment_ids())})


def note_report(ports: Ports, run: str, report: Collection) -> None:
    """Store the report of one call. Where an owner takes several, each has its own."""
    body = msgspec.json.encode(report)
    for part in count(1):
        try:
            return ports.payloads.put(f"{_folder(run)}/{report.tenant}/{part:06d}.json", body)
        except ObjectExists:
            continue
    raise AssertionError("count() ended")


def total_of(ports: Ports, run: str) -> RunTotal:
    """The sum of all reports of a run. Can be repeated."""
    whole: dict[Tenant, Collection] = {}
    for stored in ports.payloads.list(f"{_folder(run)}/"):
        if stored.key != f"{_folder(run)}/{_OWNERS}":
            report = _REPORT.decode(ports.payloads.get(stored.key))
            before = whole.get(report.tenant)
            whole[report.tenant] = before.followed_by(report) if before is not None else report
    listed = _listed(ports, run)
    environments = sum(environment_of(owner) is not None for owner in listed)
    unfinished = [owner for owner in listed if owner not in whole or not whole[owner].done]
    total: Collection | None = None
    for report in whole.values():
        total = report if total is None else total.beside(report)
    problems = total.problems if total is not None else ()
    return RunTotal(
        tenants=len(listed) - environments,
        environments=environments,
        finished=len(listed) - len(unfinished),
        total=total,
        unfinished=tuple(map(spoken, unfinished[:_NAMED_AT_MOST])),
        problems=problems[:_NAMED_AT_MOST],
    )


def _listed(ports: Ports, run: str) -> list[Tenant]:
    stored = ports.payloads.get(f"{_folder(run)}/{_OWNERS}")
    return [one.tenant for one in _LIST.decode(stored)]


def _folder(run: str) -> str:
    if _RUN.fullmatch(run) is None:
        raise InvalidRequest(f"a run can't be called {run[:100]!r}: use 1 to 80 letters, digits, - and _")
    return f"work-lists/collections/{run}"

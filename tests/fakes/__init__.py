"""The ports in memory. They pass the same contract tests as the adapters, so what holds on them holds on AWS."""

from tests.fakes.announcements import MemoryAnnouncements
from tests.fakes.catalog import MemoryCatalog
from tests.fakes.entity_table import MemoryEntityTable
from tests.fakes.links import MemoryLinks
from tests.fakes.payloads import MemoryPayloads
from tests.fakes.repeats import MemoryRepeats
from tests.fakes.schedules import MemorySchedules
from tests.fakes.system import ManualClock, SeededEntropy, Serial
from tests.fakes.volume_catalog import MemoryVolumeCatalog
from tests.fakes.volumes import MemoryDisks
from tests.fakes.workflows import MemoryWorkflows, Started
from tidemark.dialects.ngsi import restore_filter
from tidemark.ports import Ports

__all__ = [
    "ManualClock",
    "MemoryAnnouncements",
    "MemoryCatalog",
    "MemoryDisks",
    "MemoryEntityTable",
    "MemoryLinks",
    "MemoryPayloads",
    "MemoryRepeats",
    "MemorySchedules",
    "MemoryVolumeCatalog",
    "MemoryWorkflows",
    "SeededEntropy",
    "Serial",
    "Started",
    "memory_ports",
]


def memory_ports(seed: int = 0) -> Ports:
    """A fresh, empty world. Use `dataclasses.replace` to exchange a part of it."""
    payloads, clock = MemoryPayloads(), ManualClock()
    return Ports(
        catalog=MemoryCatalog(),
        table=MemoryEntityTable(),
        payloads=payloads,
        links=MemoryLinks(payloads, clock),
        workflows=MemoryWorkflows(),
        clock=clock,
        entropy=SeededEntropy(seed),
        parallel=Serial(),
        schedules=MemorySchedules(),
        announcements=MemoryAnnouncements(),
        select=restore_filter.compiled,
        repeats=MemoryRepeats(clock),
        volumes=MemoryVolumeCatalog(),
    )

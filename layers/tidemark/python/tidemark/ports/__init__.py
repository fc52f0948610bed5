"""What the engine and the use cases need of the outside world, as Protocols.

Every method is one call of the outside world: it either happened, or it raised. Errors are classes of
`tidemark.errors`; besides those that a method names, each may raise Throttled or AwsFailure, after its adapter's own
retries. Reads are strongly consistent. All implementations are safe to share between threads.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidemark.domain.live import Layout, Placement
from tidemark.domain.selection import Selection
from tidemark.domain.tenant import Tenant
from tidemark.errors import NotSupported
from tidemark.ports.announcements import Announcements, Event, NotTaken, Untold
from tidemark.ports.catalog import Catalog, Repeats
from tidemark.ports.entity_table import ChangedPage, EntityTable, Loaded, Page
from tidemark.ports.payloads import Links, ObjectReads, PayloadStore, StoredObject, UploadedPart
from tidemark.ports.schedules import Schedules, Unwired
from tidemark.ports.system import Clock, Entropy, Parallel
from tidemark.ports.workflows import Workflows

if TYPE_CHECKING:
    # Imported from their own modules by those that see a volume: no other function is to load what these stand on.
    from tidemark.ports.volume_catalog import VolumeCatalog
    from tidemark.ports.volumes import Region

__all__ = [
    "Announcements",
    "Catalog",
    "ChangedPage",
    "Clock",
    "EntityTable",
    "Entropy",
    "Event",
    "Links",
    "Loaded",
    "NotTaken",
    "ObjectReads",
    "Page",
    "Parallel",
    "PayloadStore",
    "Ports",
    "Repeats",
    "Schedules",
    "StoredObject",
    "Untold",
    "UploadedPart",
    "Workflows",
]


def _no_filters(_text: str) -> Selection:
    raise NotSupported("filters of restores are not wired here")


def _no_regions(name: str) -> "Region":
    raise NotSupported(f"the disks of region {name} are not wired here")


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the use cases may reach; `catalog` and `volumes` are of one table.

    `layout` is for tenants that are new; `placements` remembers hints between requests. `select` compiles the text of a
    filter that the dialect has accepted; `region` gives the disks of a region, by its name.
    """

    catalog: Catalog
    table: EntityTable
    payloads: PayloadStore
    links: Links
    workflows: Workflows
    clock: Clock
    entropy: Entropy
    parallel: Parallel
    repeats: Repeats
    volumes: "VolumeCatalog"
    layout: Layout = Layout()  # noqa: RUF009 - a frozen tuple
    placements: dict[Tenant, Placement] = field(default_factory=dict)
    schedules: Schedules = field(default_factory=Unwired)
    announcements: Announcements = field(default_factory=Untold)
    select: Callable[[str], Selection] = _no_filters
    region: "Callable[[str], Region]" = _no_regions

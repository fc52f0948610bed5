"""What an import is to be made of: its files and what is known of them beforehand; stored until the import is over.

Everything of an import but its result is under `transfer-imports/`, which expires. No tenant is called so.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from tidemark.domain.snapshot import CaptureId
from tidemark.domain.tenant import Tenant
from tidemark.engine.transfer.uploads import Upload
from tidemark.errors import ObjectNotFound, TransferEnded
from tidemark.ports import PayloadStore

IMPORTS: Final = "transfer-imports"
# Rules of S3: parts are 5 MiB to 5 GiB, but the last, and at most 10,000. An answer has room for fewer addresses.
SMALLEST_PART_BYTES: Final = 64 * 1024 * 1024
MAX_PARTS: Final = 1000
MAX_FILES: Final = 1000
MAX_FILE_BYTES: Final = 100 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ImportFile:
    """One file. `sha256` and `records` are what a manifest says of it, `upload_id` names its upload."""

    name: str
    size_bytes: int
    sha256: str | None = None
    records: int | None = None
    upload_id: str = ""

    @property
    def part_bytes(self) -> int:
        """The size of each of its parts but the last."""
        return max(SMALLEST_PART_BYTES, -(-self.size_bytes // MAX_PARTS))

    @property
    def parts(self) -> int:
        """How many parts it has: one even where it is empty."""
        return max(1, -(-self.size_bytes // self.part_bytes))

    def bytes_of(self, part: int) -> int:
        """The size of one of its parts, from 1."""
        return self.part_bytes if part < self.parts else self.size_bytes - (self.parts - 1) * self.part_bytes


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """`path` is the service path of entities whose lines do not name one, `shards` how many the snapshot will have.

    `records` and `digest` are what a manifest says of the whole, None where there is none.
    """

    files: tuple[ImportFile, ...]
    path: str
    shards: int
    records: int | None = None
    digest: str | None = None


_PLAN: Final = msgspec.json.Decoder(ImportPlan)


def prefix_of(tenant: Tenant, capture_id: CaptureId) -> str:
    """What the keys of an import's objects begin with."""
    return f"{IMPORTS}/{tenant}/{capture_id}"


def file_key(tenant: Tenant, capture_id: CaptureId, number: int) -> str:
    """Where a file is uploaded to."""
    return f"{prefix_of(tenant, capture_id)}/files/{number:04d}"


def upload_of(tenant: Tenant, capture_id: CaptureId, number: int, file: ImportFile) -> Upload:
    """A file as it was uploaded."""
    return Upload(file.name, file_key(tenant, capture_id, number), file.size_bytes, file.sha256)


def store(payloads: PayloadStore, tenant: Tenant, capture_id: CaptureId, plan: ImportPlan) -> None:
    """Store the plan, once."""
    payloads.put(_plan_key(tenant, capture_id), msgspec.json.encode(plan))


def read(payloads: PayloadStore, tenant: Tenant, capture_id: CaptureId) -> ImportPlan:
    """The plan of an import. Raises TransferEnded when it has expired or was never stored."""
    try:
        return _PLAN.decode(payloads.get(_plan_key(tenant, capture_id)))
    except ObjectNotFound as error:
        raise TransferEnded("what was uploaded for this import is not there any more; begin it again") from error


def _plan_key(tenant: Tenant, capture_id: CaptureId) -> str:
    return f"{prefix_of(tenant, capture_id)}/plan.json"

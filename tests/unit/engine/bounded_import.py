"""Imports many generated entities in a process of its own, and prints what memory that took.

Usage: python -m tests.unit.engine.bounded_import ENTITIES. The file and all objects lie on disk.
"""

import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import zstandard

from tests.driving import run_transfer
from tests.fakes import MemoryLinks, MemoryWorkflows, memory_ports
from tests.unit.engine.bounded_memory import DiskPayloads, document, peak_mb
from tidemark.dialects.ngsi.imports import parse_import
from tidemark.domain.keys import EntityKey
from tidemark.domain.tenant import Tenant
from tidemark.engine.transfer import plans
from tidemark.usecases.import_snapshot import open_import, start_import

TENANT = Tenant("smartcity")


def main(entities: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "upload"
        numbers = list(range(entities))
        random.Random(1).shuffle(numbers)
        with file.open("wb") as raw, zstandard.ZstdCompressor(level=1).stream_writer(raw) as packed:
            for number in numbers:
                key = EntityKey("Room", f"urn:ngsi-ld:Room:{number:07d}", "/")
                packed.write(f"{document(key)}\n".encode())
        (Path(folder) / "objects").mkdir()
        payloads = DiskPayloads(Path(folder) / "objects")
        fresh = memory_ports()
        assert isinstance(fresh.links, MemoryLinks)
        ports = replace(fresh, payloads=payloads)
        opened = open_import(ports, TENANT, parse_import({"sizeBytes": file.stat().st_size}))
        key_of_file = plans.file_key(TENANT, opened.capture_id, 0)
        file.rename(payloads.path_of(key_of_file))
        fresh.links.uploads.clear()
        before_mb = peak_mb()
        start_import(ports, TENANT, opened.id)
        assert isinstance(ports.workflows, MemoryWorkflows)
        run_transfer(ports, ports.workflows.started[0])
        made = ports.catalog.snapshot(TENANT, opened.id)
        assert made.entity_count == entities, made.failure
        sys.stdout.write(f"{made.raw_bytes} {peak_mb() - before_mb:.1f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))

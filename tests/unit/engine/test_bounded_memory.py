"""The engine streams: what it holds in memory does not grow with the entities."""

import os
import subprocess
import sys

CEILING_MB = 64
# It holds and sorts 24 MiB of text at once, and merges up to 32 runs by their packs.
IMPORT_CEILING_MB = 96


def test_capture_and_restore_stay_below_the_ceiling_with_200_000_entities() -> None:
    raw_bytes, peak_mb = _run("bounded_memory", 200_000)
    assert raw_bytes > 350_000_000, "the entities are smaller than meant"
    assert peak_mb < CEILING_MB


def test_import_stays_below_its_ceiling_with_100_000_unsorted_entities() -> None:
    raw_bytes, peak_mb = _run("bounded_import", 100_000)
    assert raw_bytes > 180_000_000, "the entities are smaller than meant"
    assert peak_mb < IMPORT_CEILING_MB


def _run(module: str, entities: int) -> tuple[int, float]:
    """The bytes of text that a process of its own has gone through, and its peak memory."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.unit.engine.{module}", str(entities)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    raw_bytes, peak_mb = done.stdout.split()
    return int(raw_bytes), float(peak_mb)

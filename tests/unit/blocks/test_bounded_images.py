"""A volume of 2 GiB: its second snapshot stores what changed, and memory does not grow with what the volume holds."""

import json
import os
import subprocess
import sys

import pytest

from tests.unit.blocks.bounded_image import IMAGE, Measured
from tidemark.domain.blocks import BLOCK_BYTES

# A pack of 32 MiB twice, as it is written and as it is read back; and what each block of a shard has in tables.
CEILING_MB = 80


@pytest.fixture(scope="module")
def few() -> Measured:
    return _run(100)


@pytest.fixture(scope="module")
def many() -> Measured:
    return _run(600)


def test_second_snapshot_of_2_gib_stores_no_more_than_the_one_percent_that_changed_and_one_percent(
    many: Measured,
) -> None:
    assert 0.9 * IMAGE.blocks / 100 < many.changed <= IMAGE.blocks / 100
    assert many.first_bytes > 600 * BLOCK_BYTES, "the blocks are smaller than meant"
    allowed_bytes = many.changed * BLOCK_BYTES * 1.01
    assert 0.8 * allowed_bytes < many.whole_bytes <= allowed_bytes
    assert many.told_bytes == many.whole_bytes


def test_memory_stays_below_the_ceiling_however_much_of_the_volume_is_filled(few: Measured, many: Measured) -> None:
    assert many.first_bytes > 2 * CEILING_MB * 1e6
    assert many.peak_mb < CEILING_MB
    assert many.peak_mb < 1.25 * few.peak_mb + 8


def _run(blocks: int) -> Measured:
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.blocks.bounded_image", str(blocks)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return Measured(**json.loads(done.stdout))

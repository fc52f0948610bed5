"""How fast this machine is at what every backup does, beside the one on which the goals were set."""

import hashlib
import os
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import zstandard

from tests.benchmarks.dataset import Dataset

_SAMPLE_BYTES: Final = 64 * 1024 * 1024
_LEVEL: Final = 3


class Speed(NamedTuple):
    """Megabytes a second of one core."""

    sha256: float
    zstd: float

    def best(self, other: "Speed") -> "Speed":
        """Each at its fastest."""
        return Speed(max(self.sha256, other.sha256), max(self.zstd, other.zstd))


# Where the goals in entities a second were measured.
WHERE_SET: Final = Speed(1780, 926)


def measured(dataset: Dataset) -> Speed:
    """Of the first bytes of the data set."""
    with dataset.first.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return Speed(
            _rate(lambda: hashlib.sha256(sample).digest(), len(sample)),
            _rate(lambda: zstandard.ZstdCompressor(level=_LEVEL).compress(sample), len(sample)),
        )
    finally:
        os.sched_setaffinity(0, cores)


def _rate(work: Callable[[], object], size_bytes: int) -> float:
    started_s = time.process_time()
    work()
    return size_bytes / 1e6 / (time.process_time() - started_s)

"""`python -m tests.simulation` plays the scenes on the ports in memory with as many seeds as wanted, on all cores.

The environment says how many (TIDEMARK_SIMULATION_RUNS, of each scene), or the only one (TIDEMARK_SIMULATION_SEED). It
stops at the first seed that breaks a guarantee and prints its schedule and the command that replays it.
"""

import multiprocessing
import os
import sys
import time
from collections import Counter
from typing import Final

from tests.simulation.running import run, seeds
from tests.simulation.scenes import SCENES

USUAL_RUNS: Final = 10_000
_CHUNK: Final = 20
_PROGRESS_S: Final = 5.0


def main() -> int:
    """The exit code: 1 when a guarantee was broken."""
    wanted = seeds(USUAL_RUNS)
    chunks = [wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK)]
    whole, plays, steps = len(wanted) * len(SCENES), 0, 0
    came: Counter[str] = Counter()
    began_s = told_s = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(min(os.process_cpu_count() or 1, len(chunks) or 1)) as pool:
        for played in pool.imap_unordered(run, chunks):
            plays, steps, came = plays + played.plays, steps + played.steps, came + played.came
            if played.broken is not None:
                print(played.broken, flush=True)
                return 1
            if time.monotonic() - told_s > _PROGRESS_S:
                told_s = time.monotonic()
                left_s = (told_s - began_s) / plays * (whole - plays)
                print(f"{plays:,} of {whole:,} plays, {steps:,} steps; about {left_s:,.0f} s to go", flush=True)
    print(f"{plays:,} plays of {len(wanted):,} seeds, {steps:,} steps, {time.monotonic() - began_s:,.0f} s: all held")
    print(", ".join(f"{how} {times:,} times" for how, times in sorted(came.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())

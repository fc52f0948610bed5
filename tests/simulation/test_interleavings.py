"""The scenes on the ports in memory.

TIDEMARK_SIMULATION_RUNS is the number of seeds of each scene, TIDEMARK_SIMULATION_SEED the only one to run.
`make simulate` runs many more.
"""

import multiprocessing
import os
from collections.abc import Iterator
from functools import partial
from multiprocessing.pool import Pool
from typing import Final

import pytest

from tests.simulation.running import run, seeds
from tests.simulation.scenes import SCENES
from tests.tally import TALLY

SEEDS: Final = 520
CHUNK: Final = 20


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """All cores: a play is an interpreter's work, so threads would not do."""
    with multiprocessing.get_context("spawn").Pool(os.process_cpu_count()) as pool:
        yield pool


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scene", SCENES)
def test_guarantees_hold_under_any_interleaving(scene: str, pool: Pool) -> None:
    wanted = seeds(SEEDS)
    chunks = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
    for played in pool.imap_unordered(partial(run, scenes=(scene,)), chunks):
        assert played.broken is None, played.broken
        TALLY["simulation in memory, plays"] += played.plays
        TALLY["simulation in memory, steps"] += played.steps
        for fate, times in played.befell.items():
            TALLY[f"simulation in memory, processes that {fate}"] += times
        for how, times in played.came.items():
            TALLY[f"simulation in memory, transfers: {how}"] += times


def test_nothing_befalls_anybody_in_the_calm_scenes_and_everything_in_the_others() -> None:
    kinds = {"were killed before a call", "were killed after a call", "froze", "ran twice at once"}
    befell = {name: set(run(range(12), scenes=(name,)).befell) for name in SCENES}
    assert befell == {name: kinds if max(SCENES[name].dangers) else set() for name in SCENES}

"""The scenes on the ports in memory.

TIDEMARK_SIMULATION_RUNS is the number of seeds of each scene, TIDEMARK_SIMULATION_SEED the only one to run.
`make simulate` runs many more.
"""

import pytest

from tests.simulation.running import play, seeds

BLOCKS = 10


@pytest.mark.parametrize("block", range(BLOCKS))
def test_snapshots_are_never_torn_and_restores_never_mix_under_any_interleaving(block: int) -> None:
    for seed in seeds(150)[block::BLOCKS]:
        play("restores", seed)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_collection_deletes_garbage_and_nothing_else_under_any_interleaving(block: int) -> None:
    for seed in seeds(150)[block::BLOCKS]:
        play("collections", seed)

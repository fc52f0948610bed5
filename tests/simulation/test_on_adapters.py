"""The scenes on the real adapters over moto, interleaved at the granularity of single requests to AWS.

TIDEMARK_SIMULATION_AWS_RUNS is the number of seeds of each scene, TIDEMARK_SIMULATION_SEED the only one to run.
"""

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.simulation.on_moto import on_moto
from tests.simulation.running import play, seeds
from tests.simulation.scenes import SCENES
from tests.simulation.scheduler import Scheduler
from tidemark.ports import Ports

RUNS: Final = "TIDEMARK_SIMULATION_AWS_RUNS"
BLOCKS: Final = 2
REPLAY: Final = "TIDEMARK_SIMULATION_SEED={seed} make test ARGS=tests/simulation/test_on_adapters.py"


@pytest.fixture
def make_ports() -> Iterator[Callable[[int, Scheduler], Ports]]:
    with on_moto() as make:
        yield make


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("scene", SCENES)
def test_guarantees_hold_on_the_adapters_under_any_interleaving_of_requests(
    scene: str, block: int, make_ports: Callable[[int, Scheduler], Ports]
) -> None:
    for seed in seeds(5, RUNS)[block::BLOCKS]:
        world = play(scene, seed, make_ports, stepped=False, replay=REPLAY)
        assert {"BatchGetItem", "PutItem"} <= {call for _, call in world.scheduler.trace}, seed

"""Plays a scene with a seed, and tells of a failure what is needed to play it again."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import pytest

from tests.simulation.scenes import SCENES
from tests.simulation.scheduler import Scheduler
from tests.simulation.world import World, in_memory
from tidemark.engine import staging
from tidemark.ports import Ports

RUNS: Final = "TIDEMARK_SIMULATION_RUNS"
SEED: Final = "TIDEMARK_SIMULATION_SEED"
STEP_RECORDS: Final = 4


class Broken(AssertionError):
    """A guarantee did not hold: the seed, what was wrong, the schedule, and the command that replays it."""

    def __init__(
        self, scene: str, seed: int, replay: str, cause: BaseException, trace: Sequence[tuple[str, str]]
    ) -> None:
        steps = "\n".join(f"  {number:5d}  {actor:<10}  {call}" for number, (actor, call) in enumerate(trace, 1))
        super().__init__(
            f"scene {scene!r} broke with seed {seed}\n{type(cause).__name__}: {cause}\n"
            f"schedule ({len(trace)} steps):\n{steps}\nreplay it: {replay}"
        )


def seeds(usual: int, runs: str = RUNS) -> Sequence[int]:
    """The seeds to play: the one that the environment names, or as many as it or `usual` says."""
    if named := os.environ.get(SEED):
        return [int(named)]
    return range(int(os.environ.get(runs) or usual))


def play(
    scene: str,
    seed: int,
    make_ports: Callable[[int, Scheduler], Ports] = in_memory,
    *,
    stepped: bool = True,
    replay: str = "make simulate SEED={seed}",
) -> World:
    """Play a scene to its end and check what must hold. Raises Broken."""
    played = SCENES[scene]
    world = World(seed, make_ports, stepped=stepped, danger=played.danger(seed), tenants=played.tenants)
    try:
        with pytest.MonkeyPatch.context() as patch:
            # So that even the few entities of a play take several steps, each an invocation.
            patch.setattr(staging, "STEP_RECORDS", STEP_RECORDS)
            SCENES[scene].run(world)
    except Exception as error:
        raise Broken(scene, seed, replay.format(seed=seed), error, world.scheduler.trace) from error
    return world


class Played(NamedTuple):
    """How many plays and steps went well, what befell processes in them, how many transfers came to which end, and what
    the first broken one says.
    """

    plays: int
    steps: int
    befell: Counter[str]
    came: Counter[str]
    broken: str | None


def run(some: Sequence[int], scenes: Sequence[str] = tuple(SCENES)) -> Played:
    """Play scenes with some seeds, until one breaks."""
    plays = steps = 0
    befell: Counter[str] = Counter()
    came: Counter[str] = Counter()
    for seed in some:
        for scene in scenes:
            try:
                world = play(scene, seed)
            except Broken as broken:
                return Played(plays, steps, befell, came, str(broken))
            plays += 1
            steps += len(world.scheduler.trace)
            befell += world.fates.befell
            came += world.came
    return Played(plays, steps, befell, came, None)

"""Entities that come and go: whoever changes or deletes one has seen what was there, and no two have seen the same."""

import random
from collections import Counter
from contextlib import suppress

from tests.driving import TENANT, doc, key, live
from tests.simulation.world import World
from tidemark.domain.keys import EntityKey
from tidemark.engine.live.writes import Decide, Documents
from tidemark.errors import Unavailable
from tidemark.usecases import entities

LIVES = [key(number, "Life") for number in range(2)]


class Lives:
    """What was made of two entities, each time something else, and what was seen by whoever made the next of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._made: set[str] = set()
        self._seen: Counter[str] = Counter()

    def changer(self, moves: int, seed: int) -> None:
        """Make, change and delete the entities, each time from what is there."""
        ports, choice = self._world.ports(), random.Random(seed)
        for number in range(moves):
            one = choice.choice(LIVES)
            next_one = doc(one, 1000 * seed + number) if choice.random() < 0.6 else None
            read: list[str | None] = []
            with suppress(Unavailable):
                entities.change(ports, TENANT, [one], _after(one, read, next_one))
                self._note(read[-1], next_one)

    def check(self) -> None:
        """Every document that was made was seen by one who made the next of it, or is there still."""
        seed, now = self._world.seed, live(self._world.base)
        there = Counter(now[one] for one in LIVES if one in now)
        assert self._seen + there == Counter(self._made), (seed, "a change was lost")

    def _note(self, was: str | None, made: str | None) -> None:
        if was is not None:
            self._seen[was] += 1
        if made is not None:
            self._made.add(made)


def _after(one: EntityKey, read: list[str | None], next_one: str | None) -> Decide:
    def decide(old: Documents) -> Documents:
        read.append(old[one])
        return {one: next_one}

    return decide

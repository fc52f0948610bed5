"""What the demo proves, it could also disprove: its reader and its generator of a city."""

import json
import random
import time
from collections import Counter

import pytest

from tests.local.city import KINDS, city, read_again
from tests.local.demo_client import Client, DemoFailed, Listing
from tests.local.demo_reader import AFTER, BEFORE, Reader
from tests.local.demo_story import Story
from tests.local.http_messages import Answer, Headers

OLD = Listing((b"[1]", b"[2]"), 2)
NEW = Listing((b"[3]", b"[4]"), 2)


class Scripted(Client):
    """Answers page after page from a list, and the last round for ever."""

    def __init__(self, rounds: list[tuple[bytes, ...]]) -> None:
        super().__init__("http://127.0.0.1:1", {})
        self._bodies = [body for bodies in rounds for body in bodies]

    def page(self, number: int, options: str = "normalized") -> Answer:
        del options
        body = self._bodies.pop(0) if len(self._bodies) > 2 else self._bodies[number]
        if body == b"broken":
            raise DemoFailed("the connection broke")
        return Answer(200, Headers(), body)


def _read(*rounds: tuple[bytes, ...]) -> Counter[str]:
    client = Scripted(list(rounds))
    with Reader(lambda: client, OLD, NEW) as reader:
        while len(client._bodies) > 2:  # noqa: SLF001 - until all is read but the last round
            time.sleep(0.001)
    return reader.judge()


def test_reader_counts_the_reads_of_each_state_when_all_are_whole() -> None:
    counts = _read(OLD.pages, (OLD.pages[0], NEW.pages[1]), NEW.pages, NEW.pages)
    assert counts[BEFORE] == 3
    assert counts[AFTER] >= 5


@pytest.mark.parametrize(
    ("rounds", "said"),
    [
        ([OLD.pages, (b"[1,3]", b"[4]"), NEW.pages], "neither"),
        ([OLD.pages, (NEW.pages[1], NEW.pages[0]), NEW.pages], "neither"),
        ([OLD.pages, NEW.pages, OLD.pages, NEW.pages], "later one"),
        ([OLD.pages, OLD.pages], "before and that after"),
        ([NEW.pages, NEW.pages], "before and that after"),
        ([OLD.pages, (b"broken", b"[4]"), NEW.pages], "could not read"),
    ],
)
def test_reader_fails_the_demo_when_reads_are_not_as_they_must_be(rounds: list[tuple[bytes, ...]], said: str) -> None:
    client = Scripted(rounds)
    with Reader(lambda: client, OLD, NEW) as reader:
        while len(client._bodies) > 2 and reader._failure is None:  # noqa: SLF001 - until all is read but the last round
            time.sleep(0.001)
    with pytest.raises(DemoFailed, match=said):
        reader.judge()


def test_city_is_the_same_again_and_has_twelve_types_of_entities_of_about_two_kilobytes() -> None:
    entities = list(city(1250))
    assert entities == list(city(1250))
    assert entities != list(city(1250, seed=1))
    assert len({entity["id"] for entity in entities}) == 1250
    assert {entity["type"] for entity in entities} == {kind.type for kind in KINDS}
    assert len(KINDS) == 12
    sizes_bytes = [len(json.dumps(entity, ensure_ascii=False, separators=(",", ":")).encode()) for entity in entities]
    assert min(sizes_bytes) > 1500
    assert max(sizes_bytes) < 2200


def test_sensor_sends_another_time_when_it_reads_again() -> None:
    (entity,) = city(1)
    again = read_again(entity, random.Random(1))
    assert (again["id"], again["type"]) == (entity["id"], entity["type"])
    assert again["dateObserved"] != entity["dateObserved"]
    assert set(again) < set(entity)


def test_story_tells_its_steps_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    story = Story()
    with story.step("Count to three") as step:
        step.result = "three"
    assert capsys.readouterr().out.startswith(" 1. Count to three\n")
    lines = story.table().splitlines()
    assert [line.split()[0] for line in lines] == ["#", "--", "1", "--", "all"]
    assert "Count to three" in lines[2]
    assert "three" in lines[2]

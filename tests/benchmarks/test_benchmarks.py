"""The benchmarks run, compare what they restore, and count requests as the design promises."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks import peers, plot, report
from tests.benchmarks.dataset import Dataset, made
from tests.benchmarks.entity_store import count_captures, count_writes, pause_in_round_trips
from tests.benchmarks.functions import cold_starts
from tests.benchmarks.running import Row, run
from tests.repo.sources import FUNCTIONS

_ENTITIES = 1200


class DataPlane(NamedTuple):
    """What was measured, and where the packs are."""

    row: Row
    rates: dict[str, list[float]]
    store: Path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made(tmp_path_factory.mktemp("data"), _ENTITIES)


def test_data_set_is_the_same_when_it_is_made_again(dataset: Dataset, tmp_path: Path) -> None:
    again = made(tmp_path, _ENTITIES)
    for one, other in zip(sorted(dataset.folder.iterdir()), sorted(again.folder.iterdir()), strict=True):
        assert one.read_bytes() == other.read_bytes()
    first, second = (path.read_bytes().splitlines() for path in (dataset.first, dataset.second))
    assert sum(one != other for one, other in zip(first, second, strict=True)) == dataset.changed == 12


@pytest.fixture(scope="module")
def data_plane(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> DataPlane:
    folder = tmp_path_factory.mktemp("stores")
    return DataPlane(*peers.tidemark(dataset, folder), folder / "tidemark")


def test_data_plane_adds_little_when_little_changed(data_plane: DataPlane) -> None:
    assert 0 < data_plane.row.added_bytes < data_plane.row.stored_bytes / 2
    assert set(data_plane.rates) == {"capture", "restore"}
    assert min(min(some) for some in data_plane.rates.values()) > 0


def test_check_fails_when_a_restore_is_not_the_data(data_plane: DataPlane, tmp_path: Path) -> None:
    other = made(tmp_path, _ENTITIES + 100)
    with pytest.raises(SystemExit, match="differs from the data set"):
        run(peers.data_plane("check", other, data_plane.store, 0, 1))


def test_engine_alone_gives_back_the_file(dataset: Dataset, tmp_path: Path) -> None:
    row = peers.tidemark_format(dataset, tmp_path)
    assert 0 < row.added_bytes < row.stored_bytes / 2


def test_script_gives_back_the_entities(dataset: Dataset, tmp_path: Path) -> None:
    row = peers.script(dataset, tmp_path)
    assert row.stored_bytes > 0


def test_write_and_read_take_two_requests_when_nothing_is_in_the_way() -> None:
    assert {name: sum(counts.values()) for name, counts in count_writes().items()} == {
        "one entity": 2,
        "a batch of 80": 2,
        "read of one entity": 2,
    }


def test_capture_asks_for_what_changed_and_no_more() -> None:
    captures = count_captures(1000)
    unchanged, most = captures[0.0], captures[0.1]
    assert unchanged.requests["Query"] == 16
    assert unchanged.new_bytes == 0
    # One more look at the index of each shard that changed, to sweep; one read of its items and some of control.
    assert most.requests["Query"] <= 32
    assert most.requests["BatchGetItem"] - unchanged.requests["BatchGetItem"] <= 3 * 16


def test_pause_of_a_cut_takes_few_round_trips() -> None:
    assert 2 <= pause_in_round_trips() < 20


def test_cold_start_of_a_function_is_measured() -> None:
    (found,) = cold_starts(1, [FUNCTIONS / "ngsi" / "list_snapshots"])
    assert 0 < found.core_ms < 5000


@pytest.mark.parametrize("values", [(0, 0), (10_000_000, 0), (43_000_000, 500_000)])
def test_plot_draws_one_line_a_tool(values: Sequence[int]) -> None:
    lines = [plot.Line(name, plot.daily(*values)) for name in ("a", "b<")]
    if max(values):
        drawn = plot.svg(lines, "title")
        assert drawn.count("<polyline") == 2
        assert "b&lt;" in drawn
    assert plot.daily(10, 1)[-1] == 39
    assert plot.daily(10, 1, whole_again_every=9)[8:10] == [18, 29]


def test_readme_gets_the_tables_between_its_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    assert report.put_into(readme, "table") is False
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    assert report.put_into(readme, "table") is True
    assert readme.read_text(encoding="utf-8") == f"before\n{report.BEGIN}\ntable\n{report.END}\nafter\n"


def test_functions_answer_lists_within_five_milliseconds_of_a_core() -> None:
    told = bench.functions(1, [FUNCTIONS / "ngsi" / "get_snapshot"])
    assert "ngsi/get_snapshot" in told
    answers = dict(re.findall(r"(\w+_snapshots?) ([\d.]+) ms", told))
    assert set(answers) == {"list_snapshots", "get_snapshot"}
    assert max(map(float, answers.values())) <= 5

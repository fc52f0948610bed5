"""The benchmarks run, compare what they restore, and count requests as the design promises."""

import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks import daily, file_tools, gated_writes, machine, peers, plot, report, targets
from tests.benchmarks.__main__ import Part, Sizes
from tests.benchmarks.dataset import Dataset, made
from tests.benchmarks.entity_store import Counted, count_captures, count_writes, pause_in_round_trips
from tests.benchmarks.functions import cold_starts
from tests.benchmarks.gated_writes import Way
from tests.benchmarks.machine import Speed
from tests.benchmarks.peers import Rates
from tests.benchmarks.running import Row, Took, fastest, run
from tests.benchmarks.targets import Target
from tests.repo.sources import FUNCTIONS
from tidemark.domain.snapshot import Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot

_ENTITIES = 1200


class DataPlane(NamedTuple):
    """What was measured, and where the packs are."""

    row: Row
    rates: Rates
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
    assert min(data_plane.rates) > 0


def test_check_fails_when_a_restore_is_not_the_data(data_plane: DataPlane, tmp_path: Path) -> None:
    other = made(tmp_path, _ENTITIES + 100)
    with pytest.raises(SystemExit, match="differs from the data set"):
        run(peers.data_plane("check", other, data_plane.store, 0, 1))


def test_engine_alone_gives_back_the_file(dataset: Dataset, tmp_path: Path) -> None:
    row = peers.tidemark_format(dataset, tmp_path)
    assert 0 < row.added_bytes < row.stored_bytes / 2


def test_blocks_are_read_back_and_few_changes_add_little() -> None:
    part = bench.blocks(100, 2)
    rate, added = part.reached
    assert rate.measured.endswith("verified " + rate.measured.rpartition(" ")[2])
    assert added.verdict == "**met**"
    assert "| 52 MB, stored in " in part.details


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
    assert {share: counted.entities_read for share, counted in captures.items()} == {0: 0, 0.001: 1, 0.01: 10, 0.1: 100}
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


def test_gates_double_the_write_units_and_save_requests_of_a_batch() -> None:
    found = {(cost.what, cost.way): cost for cost in gated_writes.costs()}
    gated, bare = (found[gated_writes.ONE, way] for way in (Way.GATES, Way.PUTS))
    # One gate, twice, beside what the transaction doubles; the gate and the tenant's state are read as well.
    assert gated.write_units == 2 * bare.write_units + 2
    assert gated.read_units == bare.read_units + 2
    assert gated.requests == bare.requests == 2
    gated, transaction, puts = (found[gated_writes.BATCH, way] for way in Way)
    assert gated.write_units - transaction.write_units == 2 * 16
    assert transaction.write_units == 2 * puts.write_units
    assert (gated.requests, transaction.requests, puts.requests) == (2, 2, 81)
    first_since = found[gated_writes.FIRST_SINCE, Way.GATES]
    assert first_since.write_units > found[gated_writes.ONE, Way.GATES].write_units


def test_gated_writes_are_counted_as_the_adapters_make_them() -> None:
    moto = count_writes()
    gated = [cost for cost in gated_writes.costs() if cost.way is Way.GATES and cost.what in moto]
    assert {cost.what: cost.requests for cost in gated} == {cost.what: sum(moto[cost.what].values()) for cost in gated}
    assert len(gated) == 2


def test_daily_snapshots_store_little_each_day_and_peers_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_tools, "is_there", lambda name: name == "borg" and shutil.which(name))
    drawing = tmp_path / "plot.svg"
    part = bench.days(Sizes(0, 0, 400), tmp_path, drawing, 3)
    drawn = drawing.read_text(encoding="utf-8")
    assert drawn.count("<polyline") == 2 + bool(shutil.which("borg"))
    (target,) = part.reached
    assert target.verdict == "**met**"
    assert part.shown.startswith("![3 daily snapshots of 400 entities")


def test_daily_snapshots_fail_when_one_does_not_hold_its_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_tools, "is_there", lambda _name: False)
    monkeypatch.setattr(daily, "create_snapshot", _first_again())
    with pytest.raises(AssertionError, match="is not that day's data"):
        daily.stored_daily(tmp_path, 200, 2)


def _first_again() -> Callable[..., Snapshot]:
    """A capture that only works once."""
    taken: list[Snapshot] = []

    def create(ports: Ports, tenant: Tenant, **named: Any) -> Snapshot:
        if not taken:
            taken.append(create_snapshot(ports, tenant, **named))
        return taken[0]

    return create


@pytest.mark.parametrize("values", [[0.0, 0.0], [1e7], [43e6, 44e6, 91e6]])
def test_plot_draws_one_line_a_tool(values: Sequence[float]) -> None:
    lines = [plot.Line(name, values) for name in ("a", "b<")]
    if not max(values):
        lines.append(plot.Line("c", [1.0, 2.0]))
    drawn = plot.svg(lines, "title")
    assert drawn.count("<polyline") == len(lines)
    assert "b&lt;" in drawn


def test_script_is_measured_on_a_share_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "SCRIPT_ENTITIES", 400)
    measured: list[Row] = []

    def script(dataset: Dataset, _folder: Path) -> Row:
        took = Took(1.0, 2.0, 3.0)
        measured.append(Row(f"{dataset.entities}", took, 10, took, 10, took))
        return measured[-1]

    monkeypatch.setattr(peers, "script", script)
    row = peers.scaled_script(1200, tmp_path)
    assert row.tool == "400; measured on 400, times 3"
    assert row.first == Took(3.0, 6.0, 9.0)
    assert (row.stored_bytes, row.added_bytes) == (30, 30)
    assert peers.scaled_script(300, tmp_path) == measured[-1]


def test_worker_alone_is_measured_beside_the_others(dataset: Dataset, tmp_path: Path) -> None:
    alone = peers.alone(dataset, tmp_path)
    assert min(alone) > 0


def test_data_set_needs_no_second_version_when_nothing_is_compared(tmp_path: Path, dataset: Dataset) -> None:
    alike = made(tmp_path, _ENTITIES, compared=False)
    assert not alike.second.exists()
    assert alike.pages.read_bytes() == dataset.pages.read_bytes()
    assert made(tmp_path, _ENTITIES).second.read_bytes() == dataset.second.read_bytes()


def test_data_set_is_refused_when_the_disk_has_too_little_room(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make room"):
        made(tmp_path, 10**12)


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (targets.at_least("a", "", 100, 100, ""), "**met**"),
        (targets.at_least("a", "", 100, 75, "", "it rains"), "**missed** by 25%: it rains"),
        (targets.at_most("a", "", 100, 100, ""), "**met**"),
        (targets.at_most("a", "", 100, 130, ""), "**missed** by 30%"),
        (targets.Target("a", "", "", None, "restic is not installed"), "not measured: restic is not installed"),
    ],
)
def test_target_says_by_how_much_it_was_missed_and_why(target: Target, verdict: str) -> None:
    assert target.verdict == verdict
    assert targets.table([target]).endswith(f"| {verdict} |")


def test_targets_compare_bytes_of_the_data_plane_and_seconds_of_the_engine() -> None:
    took = Took(2.0, 2.0, 50.0)
    whole, engine = Row("", took, 100, took, 2, took), Row("", took, 100, took._replace(elapsed_s=0.5), 1, took)
    other = Row("", took._replace(elapsed_s=1.0), 100, took._replace(elapsed_s=1.0), 90, took)
    rows = {row.what: row.verdict for row in targets.of_tools(whole, engine, {"restic": other}, ["borg"])}
    assert rows["bytes that the second snapshot adds, beside restic"].startswith("**missed** by 10%: each of 16 shards")
    assert rows["second snapshot, beside restic"] == "**met**"
    assert rows["first snapshot, beside restic"].startswith("**missed** by 100%: ")
    assert rows["beside borg"] == "not measured: borg is not installed"


def test_each_step_counts_as_it_went_in_its_fastest_round_on_the_most_memory() -> None:
    slow, quick = Took(9.0, 8.0, 50.0), Took(4.0, 5.0, 60.0)
    one, other = Row("a tool", slow, 10, quick, 1, slow), Row("a tool", quick, 10, slow, 1, quick)
    assert fastest([one, other]) == Row("a tool", quick, 10, quick, 1, quick)
    lean = quick._replace(peak_mb=40.0)
    assert fastest([one, one._replace(first=lean)]).first == lean._replace(peak_mb=50.0)


def test_a_missed_rate_says_how_fast_the_machine_was(dataset: Dataset) -> None:
    slow, fast = Speed(900, 463), Speed(1800, 1000)
    rates = Rates(30_000, 25_000)
    capture, restore = targets.of_rates(rates, rates, 2, slow)
    assert capture.verdict == "**missed** by 14%: a core does 463 MB/s of zstd here and did 926 where the goal was set"
    assert restore.verdict == "**met**"
    assert targets.of_rates(rates, rates, 2, fast)[0].verdict == "**missed** by 14%"
    assert min(machine.measured(dataset)) > 0


def test_memory_target_is_missed_when_it_grows_with_the_entities() -> None:
    bounded, flat = targets.of_memory({100: 60.0, 1000: 90.0})
    assert (bounded.verdict, flat.verdict) == ("**met**", "**missed** by 40%")
    assert targets.of_memory({100: 60.0, 1000: 62.0})[1].verdict == "**met**"


@pytest.mark.parametrize(
    ("queries", "more", "read", "verdict"),
    [
        (16, 50, 5, "**met**"),
        (16, 52, 5, "**missed** by 1 requests"),
        (16, 50, 6, "**missed** by entities read that had not changed"),
        (17, 50, 5, "**missed** by 1 queries"),
    ],
)
def test_target_of_captures_is_missed_when_more_is_asked_for(queries: int, more: int, read: int, verdict: str) -> None:
    captures = {
        0.0: Counted(Counter({"Query": queries, "PutItem": 50})),
        0.001: Counted(Counter({"Query": queries, "PutItem": 50 + more}), read),
    }
    (target,) = targets.of_captures(captures, 5000)
    assert target.verdict == verdict


def test_target_of_costs_tells_what_the_readme_does() -> None:
    (target,) = bench.costs().reached
    assert re.fullmatch(
        r"\[first snapshot US\$ [\d.]+, restore, all phases US\$ [\d.]+\]\(#what-it-costs\)", target.measured
    )
    assert target.verdict == "**met**"


def test_readme_gets_the_tables_between_its_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    assert report.put_into(readme, "table") is False
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    assert report.put_into(readme, "table") is True
    assert readme.read_text(encoding="utf-8") == f"before\n{report.BEGIN}\ntable\n{report.END}\nafter\n"


def test_functions_answer_lists_within_five_milliseconds_of_a_core_and_without_s3() -> None:
    part = bench.functions(1, [FUNCTIONS / "ngsi" / "get_snapshot"])
    assert "ngsi/get_snapshot" in part.details
    answers = dict(re.findall(r"(\w+_snapshots?) ([\d.]+) ms", part.details))
    assert set(answers) == {"list_snapshots", "get_snapshot"}
    assert max(map(float, answers.values())) <= 5
    by_name = {target.what: target for target in part.reached}
    assert by_name["requests to S3 of a list and of a get"].verdict == "**met**"
    assert "ngsi/get_snapshot" in by_name["import and init of the API's functions"].measured


def test_tables_stand_in_the_readme_and_all_else_in_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme, results = tmp_path / "README.md", tmp_path / "RESULTS.md"
    readme.write_text(f"{report.BEGIN}{report.END}", encoding="utf-8")
    for name, value in (("README", readme), ("RESULTS", results), ("PLOT", tmp_path / "plot.svg")):
        monkeypatch.setattr(bench, name, value)
    for part in bench.PARTS:
        said = Part(f"shown {part}", f"details of {part}", [Target(f"target of {part}", "", "", "")])
        monkeypatch.setattr(bench, part, lambda *_args, said=said: said)
    monkeypatch.setattr(bench, "costs", Part)
    bench.main(["--entities", "300", "--daily-entities", "9"])
    shown, details = readme.read_text(encoding="utf-8"), results.read_text(encoding="utf-8")
    assert "`make bench ENTITIES=300 MEMORY_ENTITIES=1000 DAILY_ENTITIES=9`" in shown
    for part in bench.PARTS:
        assert f"| target of {part} | " in shown
        assert f"shown {part}" in shown
        assert f"details of {part}" in details
        assert f"details of {part}" not in shown


def test_part_of_the_benchmark_is_printed_and_published_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn: list[Path] = []

    def days(_sizes: Sizes, _folder: Path, drawing: Path) -> Part:
        drawn.append(drawing)
        return Part("shown days")

    monkeypatch.setattr(bench, "days", days)
    for name in ("README", "RESULTS"):
        monkeypatch.setattr(bench, name, tmp_path / name)
        (tmp_path / name).write_text(f"{report.BEGIN}{report.END}", encoding="utf-8")
    bench.main(["--only", "days", "--folder", str(tmp_path)])
    assert "shown days" in capsys.readouterr().out
    assert drawn == [tmp_path / bench.PLOT.name]
    assert {(tmp_path / name).read_text() for name in ("README", "RESULTS")} == {f"{report.BEGIN}{report.END}"}

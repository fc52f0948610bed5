"""Copies of a package side by side: each keeps what it keeps for itself, and what keeps nothing they have in common."""

import builtins
import gc
import sys
import typing
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.inprocess import InProcess
from tests.local.logs import LogStore
from tests.local.own_modules import CommonModules, Importing, OwnModules

PACKAGE = ("harbour",)
SOURCES = {
    "__init__.py": "",
    "plain.py": "def later():\n    from harbour import charts\n    return charts\n",
    "charts.py": "class Lost(Exception): pass\n",
    "log.py": (
        "from harbour.plain import later\n"
        "entries = []\n"
        "def late():\n    from harbour import charts, plain\n    import harbour.log\n"
        "    return charts, plain, harbour.log\n"
    ),
}


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Loads another copy of the package: its module `log`."""
    folder = tmp_path / "harbour"
    folder.mkdir()
    for name, source in SOURCES.items():
        (folder / name).write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    common = CommonModules(PACKAGE, ("harbour.plain", "harbour.charts"))

    def load() -> Any:
        own = OwnModules(PACKAGE, frozenset(), common)
        with own.in_place():
            return builtins.__import__("harbour.log", fromlist=["entries"])

    importing = Importing()
    try:
        yield load
    finally:
        importing.close()


def test_copies_share_what_keeps_nothing_and_nothing_else(copies: Callable[[], Any]) -> None:
    one, other = copies(), copies()
    one.entries.append("left")

    assert other.entries == []
    assert one.later is other.later
    assert not [name for name in sys.modules if name.partition(".")[0] == "harbour"]


def test_what_is_imported_when_it_is_called_is_the_copy_s_own_or_the_common_one(copies: Callable[[], Any]) -> None:
    one, other = copies(), copies()

    for copy in (one, other):
        charts, plain, log = copy.late()
        assert log is copy
        assert plain.later is copy.later
        assert charts is copy.later()
    assert one.late()[0] is other.late()[0]


def test_types_of_a_copy_are_let_go_when_its_runner_closes() -> None:
    class Asked: ...

    gone = weakref.ref(Asked)
    typing.Optional.__getitem__(Asked)
    del Asked
    gc.collect()
    assert gone() is not None

    InProcess({}, LogStore()).close()
    gc.collect()
    assert gone() is None


def test_a_copy_is_let_go_while_what_it_shares_stays(copies: Callable[[], Any]) -> None:
    left, gone = copies(), weakref.ref(copies())
    gc.collect()

    assert gone() is None
    assert left.late()[2] is left

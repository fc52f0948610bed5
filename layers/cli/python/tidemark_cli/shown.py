"""What people see: tables and sentences, with nothing in them that a terminal would obey."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

# Where nobody looks at it on a terminal, nothing is cut or wrapped at 80 columns.
_UNBOUND_COLUMNS: Final = 1000
_UNITS: Final = ("B", "KB", "MB", "GB", "TB")
_STEP: Final = 1000


def console(stream: TextIO) -> Console:
    """Where to show things; colours follow NO_COLOR and the terminal."""
    width = None if stream.isatty() or "COLUMNS" in os.environ else _UNBOUND_COLUMNS
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def clean(value: object) -> str:
    """A value as text on one line, with control characters made visible."""
    text = value if isinstance(value, str) else _compact(value)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = ("id",),
) -> Table:
    """Rows under their column names; those of `right` are numbers, those of `whole` are never broken."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        shown.add_column(name, justify="right" if name in right else "left", overflow="fold", no_wrap=name in whole)
    for row in rows:
        shown.add_row(*(Text(clean(value)) for value in row))
    return shown


def card(document: Mapping[str, Any]) -> Table:
    """The members of an object below each other; those of inner objects by their path."""
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in _flat(document):
        shown.add_row(Text(clean(name)), Text(clean(value)))
    return shown


def size(count_bytes: object) -> str:
    """A number of bytes for people; empty where there is none."""
    if not isinstance(count_bytes, int):
        return ""
    amount, unit = float(count_bytes), 0
    while amount >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"


def write_json(body: bytes) -> None:
    """The service's own JSON on standard output, as it came; nothing where the answer has no body."""
    if body:
        sys.stdout.write(body.decode("utf-8", "replace").rstrip("\n") + "\n")


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, object]]:
    for name, value in document.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _compact(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            between = "; " if any(isinstance(one, dict) for one in value) else ", "
            return between.join(_compact(one) for one in value)
        case dict():
            return ", ".join(f"{name}={_compact(one)}" for name, one in value.items())
        case _:
            return str(value)

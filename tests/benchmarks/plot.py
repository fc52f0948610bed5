"""Draws what daily snapshots store, for each tool. SVG, by hand."""

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

_WIDTH, _HEIGHT = 760, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 40, 50
_FONT: Final = 'font-family="sans-serif" font-size="12"'
_COLOURS: Final = ("#0b6e4f", "#c8553d", "#2f5d8c", "#8a6d3b")


class Line(NamedTuple):
    """One tool: bytes after each day's snapshot."""

    tool: str
    stored_bytes: Sequence[float]


def svg(lines: Sequence[Line], title: str) -> str:
    """The plot."""
    days = len(lines[0].stored_bytes)
    top_mb = max(max(line.stored_bytes) for line in lines) / 1e6
    step_mb = _step(top_mb)
    top_mb = step_mb * -(-top_mb // step_mb)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="22" font-size="14" fill="#222222">{escape(title)}</text>',
    ]
    for number in range(round(top_mb / step_mb) + 1):
        y = _y(number * step_mb, top_mb)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#444444">{number * step_mb:,.0f} MB</text>'
        )
    parts += [
        f'<text x="{_x(day, days):.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle" fill="#444444">{day}</text>'
        for day in (1, *range(5, days + 1, 5))
    ]
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 10}" text-anchor="middle" fill="#444444">'
        "daily snapshots</text>"
    )
    labels = _apart([_y(line.stored_bytes[-1] / 1e6, top_mb) for line in lines])
    for line, colour, label_y in zip(lines, _COLOURS, labels, strict=False):
        points = " ".join(
            f"{_x(day, days):.1f},{_y(value / 1e6, top_mb):.1f}" for day, value in enumerate(line.stored_bytes, 1)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(
            f'<text x="{_WIDTH - _RIGHT + 8}" y="{label_y + 4:.1f}" fill="{colour}">'
            f"{escape(line.tool)}: {line.stored_bytes[-1] / 1e6:,.0f} MB</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(day: int, days: int) -> float:
    return _LEFT + (day - 1) / max(1, days - 1) * (_WIDTH - _LEFT - _RIGHT)


def _y(value_mb: float, top_mb: float) -> float:
    return _HEIGHT - _BOTTOM - value_mb / top_mb * (_HEIGHT - _TOP - _BOTTOM)


def _step(top_mb: float) -> float:
    """A round distance between lines that gives four to ten of them."""
    step = 1.0
    while top_mb / step > 10:
        step *= 2.5 if str(step)[0] == "2" else 2
    return step


def _apart(heights: list[float], least: float = 15.0) -> list[float]:
    """The same heights, moved so far apart that labels at them can be read."""
    placed: dict[int, float] = {}
    above = float("inf")
    for number in sorted(range(len(heights)), key=heights.__getitem__, reverse=True):
        above = placed[number] = min(heights[number], above - least)
    return [placed[number] for number in range(len(heights))]

"""How many cases the suites tried that go through many in one test; printed at the end of a test run."""

from collections import Counter

TALLY: Counter[str] = Counter()


def lines() -> list[str]:
    """One line a suite that ran."""
    return [f"{what}: {number:,}" for what, number in sorted(TALLY.items())]

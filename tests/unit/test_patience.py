"""How long to wait before something is asked again."""

from datetime import timedelta

import pytest

from tidemark.domain.patience import ask_again_in_s


@pytest.mark.parametrize(
    ("waited", "wait_s"),
    [
        (timedelta(seconds=-3), 5),
        (timedelta(0), 5),
        (timedelta(seconds=59.9), 5),
        (timedelta(seconds=60), 6),
        (timedelta(minutes=5), 30),
        (timedelta(minutes=10), 60),
        (timedelta(days=1), 60),
    ],
)
def test_it_is_asked_again_after_a_tenth_of_the_time_so_far_within_bounds(waited: timedelta, wait_s: int) -> None:
    assert ask_again_in_s(waited, shortest_s=5, longest_s=60) == wait_s

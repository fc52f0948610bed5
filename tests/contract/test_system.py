"""What `ports.Clock`, `ports.Entropy` and `ports.Parallel` promise."""

import threading
import time
from datetime import UTC, timedelta

import pytest

from tests.fakes import ManualClock, SeededEntropy, Serial
from tidemark.adapters.system import SystemClock, SystemEntropy, Threads
from tidemark.ports import Clock, Entropy, Parallel

clocks = pytest.mark.parametrize("clock", [SystemClock(), ManualClock()], ids=["system", "manual"])
entropies = pytest.mark.parametrize("entropy", [SystemEntropy(), SeededEntropy()], ids=["system", "seeded"])
parallels = pytest.mark.parametrize("parallel", [Threads(), Threads(1), Serial()], ids=["threads", "thread", "serial"])


@clocks
def test_now_is_aware_and_in_utc(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC


@clocks
def test_sleep_lets_at_least_that_time_pass(clock: Clock) -> None:
    before, before_s = clock.now(), clock.monotonic_s()
    clock.sleep(0.02)
    # Clocks tick: two readings may be a tick closer than the time between them.
    assert clock.monotonic_s() - before_s >= 0.019
    assert clock.now() - before >= timedelta(seconds=0.015)


@entropies
@pytest.mark.parametrize("count", [0, 1, 32])
def test_token_bytes_are_as_many_as_asked_for(entropy: Entropy, count: int) -> None:
    assert len(entropy.token_bytes(count)) == count


@entropies
def test_token_bytes_differ_each_time(entropy: Entropy) -> None:
    assert len({entropy.token_bytes(32) for _ in range(100)}) == 100


@entropies
def test_jitter_spreads_over_zero_to_one(entropy: Entropy) -> None:
    numbers = [entropy.jitter() for _ in range(500)]
    assert 0 <= min(numbers) < 0.2
    assert 0.8 < max(numbers) < 1


@parallels
def test_map_returns_results_in_the_order_of_the_items(parallel: Parallel) -> None:
    def slow_at_first(number: int) -> int:
        time.sleep(0.02 if number < 3 else 0)
        return number * number

    assert parallel.map(slow_at_first, iter(range(20))) == [number * number for number in range(20)]
    assert parallel.map(slow_at_first, []) == []


@parallels
def test_map_raises_the_first_error_in_order_when_all_calls_are_finished(parallel: Parallel) -> None:
    finished = []

    def call(number: int) -> None:
        if number == 4:
            raise LookupError(number)
        time.sleep(0.02)
        finished.append(number)
        if number == 2:
            raise ValueError(number)

    with pytest.raises(ValueError, match="2"):
        parallel.map(call, range(10))
    assert sorted(finished) == [0, 1, 2, 3, 5, 6, 7, 8, 9]


@parallels
def test_map_finishes_when_calls_map_themselves(parallel: Parallel) -> None:
    def call(depth: int) -> int:
        return 1 if depth == 0 else sum(parallel.map(call, [depth - 1] * 9))

    assert call(2) == 81


def test_threads_make_calls_side_by_side_up_to_their_width() -> None:
    running = threading.Semaphore(0)
    barrier = threading.Barrier(4, timeout=10)
    most = []

    def call(_: int) -> None:
        running.release()
        barrier.wait()
        most.append(running.acquire(blocking=False))

    Threads(4).map(call, range(8))
    assert len(most) == 8


def test_threads_leave_no_thread_behind() -> None:
    before = threading.active_count()
    Threads().map(time.sleep, [0.01] * 20)
    assert threading.active_count() == before


def test_seeded_entropy_repeats_for_the_same_seed() -> None:
    first, second, other = SeededEntropy(1), SeededEntropy(1), SeededEntropy(2)
    assert first.token_bytes(8) == second.token_bytes(8) != other.token_bytes(8)
    assert first.jitter() == second.jitter() != other.jitter()


def test_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock()
    before = clock.now()
    assert clock.now() == before
    clock.advance(90)
    assert clock.now() - before == timedelta(seconds=90)
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)

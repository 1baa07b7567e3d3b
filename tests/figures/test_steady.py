"""The slope test and the interval, on series whose truth is known."""

import math
import random
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.clock import SECOND
from llamatop.figures.steady import (
    LEAST_TO_STOP,
    LEAST_WINDOWS,
    LOOKS_APART,
    MOST_WINDOWS,
    Window,
    Windows,
    half_width,
    is_flat,
    steady_start,
    steady_state,
    whole,
)

seeds = st.integers(0, 2**32)
counts = st.integers(LEAST_WINDOWS, MOST_WINDOWS)


def noise(count: int, seed: int, spread: float, memory: float = 0.0) -> list[float]:
    """Values around 1; each remembers so much of the one before it."""
    rng = random.Random(seed)
    fresh = (rng.gauss(0, spread * math.sqrt(1 - memory**2)) for _ in range(count - 1))
    return [1 + value for value in accumulate(fresh, lambda last, new: memory * last + new,
                                              initial=rng.gauss(0, spread))]  # fmt: skip


def windows_of(rates: list[float]) -> list[Window]:
    """A second each, a million tokens at rate 1."""
    return [Window(SECOND, round(rate * 1_000_000)) for rate in rates]


@given(counts, st.floats(1, 1e6))
def test_what_never_changes_is_steady_from_its_first_window(count: int, rate: float) -> None:
    assert steady_start([rate] * count) == 0


@given(st.integers(0, LEAST_WINDOWS - 1))
def test_a_few_windows_say_nothing(count: int) -> None:
    assert steady_start([1.0] * count) is None
    assert steady_state(windows_of([1.0] * count)) is None


@given(counts, st.floats(1.5, 20), st.booleans())
def test_a_ramp_never_becomes_steady(count: int, top: float, down: bool) -> None:
    ramp = [1 + (top - 1) * place / (count - 1) for place in range(count)]
    assert steady_start(ramp[::-1] if down else ramp) is None


def test_a_noisy_ramp_is_hardly_ever_taken_for_steady() -> None:
    found = 0
    for seed in range(200):
        values = noise(40, seed, 0.05)
        found += steady_start([v * (1 + p / 39) for p, v in enumerate(values)]) is not None
    assert found <= 2


@pytest.mark.parametrize("memory", [0.0, 0.3])
def test_noise_around_a_constant_is_nearly_always_steady(memory: float) -> None:
    found = sum(steady_start(noise(40, seed, 0.05, memory)) is not None for seed in range(200))
    assert found >= 195


@given(seeds, st.integers(2, 10))
def test_a_warm_up_is_left_out(seed: int, slow: int) -> None:
    values = noise(40, seed, 0.01)
    start = steady_start(
        [value * (0.5 if place < slow else 1) for place, value in enumerate(values)]
    )
    assert start is None or start >= slow
    assert start is None or start <= 20


def test_a_warm_up_does_not_hide_the_steady_state() -> None:
    def ramped(seed: int) -> list[float]:
        return [v * (0.5 if p < 6 else 1) for p, v in enumerate(noise(40, seed, 0.01))]

    assert sum(steady_start(ramped(seed)) is not None for seed in range(100)) >= 95


def test_a_slope_that_is_certain_but_tiny_does_not_count() -> None:
    assert is_flat([1 + place / 10_000 for place in range(20)])
    assert not is_flat([1 + place / 200 for place in range(20)])


@pytest.mark.parametrize(
    ("count", "memory", "least"),
    [(16, 0.0, 0.92), (64, 0.0, 0.92), (64, 0.3, 0.91), (120, 0.5, 0.91), (120, 0.8, 0.88)],
)
def test_the_interval_covers_the_truth_about_95_times_in_100(
    count: int, memory: float, least: float
) -> None:
    covered = 0
    for seed in range(400):
        windows = windows_of(noise(count, seed, 0.05, memory))
        covered += abs(whole(windows).rate - 1_000_000) <= half_width(windows)
    assert least <= covered / 400 <= 0.99


def test_windows_of_unequal_time_do_not_widen_a_rate_that_is_the_same() -> None:
    windows = [Window(seconds * SECOND, seconds * 50) for seconds in (1, 5, 2, 8, 1, 3) * 2]
    assert half_width(windows) == pytest.approx(0, abs=1e-9)


def test_more_windows_narrow_the_interval() -> None:
    widths = [half_width(windows_of(noise(count, 1, 0.05))) for count in (12, 40, 120)]
    assert widths == sorted(widths, reverse=True)


@given(st.integers(1, 7), st.lists(st.tuples(st.integers(1, 99), st.integers(1, 9)), max_size=600))
def test_windows_hold_every_completion_and_stay_few(
    concurrency: int, steps: list[tuple[int, int]]
) -> None:
    windows = Windows(concurrency)
    windows.begin(0)
    times = list(accumulate(step for step, _ in steps))
    for time, (_, tokens) in zip(times, steps, strict=True):
        windows.complete(time, tokens)
    assert len(windows.closed) < MOST_WINDOWS
    total = whole(windows.closed)
    ended = [index for index, time in enumerate(times) if time == total.nanoseconds]
    if ended:
        assert total.tokens == sum(tokens for _, tokens in steps[: ended[0] + 1])
        assert len(steps) - ended[0] - 1 < concurrency * 2 ** (len(steps) // MOST_WINDOWS + 1)
    else:
        assert not windows.closed


def test_a_level_may_end_when_it_is_known_well_and_long_enough() -> None:
    windows = Windows(1)
    windows.begin(0)
    known = []
    for place in range(30):
        windows.complete((place + 1) * SECOND, 100)
        known.append(windows.known_to(0.02))
    assert known == [place + 1 >= LEAST_TO_STOP for place in range(30)]


@pytest.mark.parametrize(("memory", "most"), [(0.0, 70), (0.5, 250), (0.8, 700)])
def test_whoever_waits_for_a_narrow_interval_is_not_deceived(memory: float, most: int) -> None:
    """It covers the truth at least 9 times in 10, and the wait is no longer than it has to be."""
    covered, waited = 0, []
    for seed in range(150):
        windows = Windows(1)
        windows.begin(0)
        for place, rate in enumerate(noise(3000, seed, 0.05, memory), 1):
            closed = windows.complete(place * SECOND, round(rate * 1_000_000))
            if closed and windows.known_to(0.02):
                break
        steady = windows.steady(waited=True)
        assert steady is not None
        covered += abs(steady.rate - 1_000_000) <= steady.half_width
        waited.append(place)
    assert covered >= 0.9 * 150
    assert sorted(waited)[75] <= most


def test_it_looks_less_often_the_longer_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    windows = Windows(1)
    windows.begin(0)
    monkeypatch.setattr(windows, "steady", lambda waited: looks.append(place))
    for place in range(1, 1001):
        windows.complete(place * SECOND, 100)
        assert not windows.known_to(0.01)
    assert looks[0] == LEAST_TO_STOP
    assert all(later >= LOOKS_APART * sooner for sooner, later in pairwise(looks))
    assert looks[-1] > 1000 / LOOKS_APART**2


def test_a_level_that_speeds_up_does_not_end() -> None:
    windows = Windows(1)
    windows.begin(0)
    for place in range(100):
        windows.complete((place + 1) * SECOND, 100 + 3 * place)
        assert not windows.known_to(0.5)

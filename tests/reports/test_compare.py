import math
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.clock import SECOND
from llamatop.figures.requests import gaps
from llamatop.figures.student import beyond, t_quantile
from llamatop.reports.compare import SAME, Comparison, compare
from llamatop.reports.resample import pooled_gaps, spreads
from llamatop.reports.runs import run_of
from llamatop.reports.text import comparison_text
from llamatop.run.replay import fold
from llamatop.session.reducer import Request
from tests.reports.samples import (
    drawn_again,
    events,
    level_of,
    run,
    session_of,
    stretched,
    with_config,
    with_memory,
    with_model,
)


def shown(comparison: Comparison) -> set[tuple[str, int | None]]:
    every = comparison.overall + comparison.levels
    return {(one.metric, one.concurrency) for one in every if one.verdict != SAME}


def test_a_recording_compared_with_itself() -> None:
    one = run(name="a")
    comparison = compare(one, one)
    assert comparison.overall
    assert shown(comparison) == set()
    assert comparison.verdict == SAME
    assert comparison.setup == []
    assert comparison.warnings == []
    assert all(d.change == pytest.approx(0) for d in comparison.levels if d.change is not None)


@pytest.mark.parametrize("concurrency", [(1,), (4,), (1, 2, 4, 8)])
def test_a_slow_down_of_ten_percent_is_found(concurrency: tuple[int, ...]) -> None:
    made = events(concurrency, requests=8 * max(concurrency))
    comparison = compare(run_of(fold(made)), run_of(fold(stretched(made, 1.1))))
    found = {d.metric: d for d in comparison.overall}
    assert found["output_tok_s"].verdict == "slower"
    assert found["output_tok_s"].change == pytest.approx(1 / 1.1 - 1, rel=1e-6)
    low, high = found["output_tok_s"].low, found["output_tok_s"].high
    assert low is not None and high is not None
    assert low < 1 / 1.1 - 1 < high < 0
    assert found["e2e_s.mean"].verdict == "slower"
    assert found["peak_memory.host_bytes"].verdict == SAME
    back = compare(run_of(fold(stretched(made, 1.1))), run_of(fold(made)))
    assert back.overall[0].verdict == "faster"


def test_one_recording_resampled_in_two_shows_no_difference() -> None:
    base = run((1, 4), requests=32).session
    alarms = [
        seed
        for seed in range(100)
        if shown(
            compare(
                run_of(drawn_again(base, 2 * seed)), run_of(drawn_again(base, 2 * seed + 1)), seed
            )
        )
    ]
    assert len(alarms) <= 5


def waves(seed: int, count: int, noise: float, slower: float = 1.0) -> list[list[float]]:
    """Requests of four at a time that share a mood."""
    random = np.random.default_rng(seed)
    moods = np.exp(random.normal(0, noise, count // 4 + 1)) * slower
    return [
        (
            np.r_[0.08, np.full(31, 0.025)] * moods[i // 4] * np.exp(random.normal(0, 0.01, 32))
        ).tolist()
        for i in range(count)
    ]


def test_shared_moods_are_no_difference() -> None:
    """Requests that ran together are not independent: drawing single ones would cry wolf."""
    alarms = 0
    for seed in range(40):
        two = [session_of([level_of(waves(s, 64, 0.05), 4)]) for s in (seed, 1000 + seed)]
        alarms += bool(shown(compare(run_of(two[0]), run_of(two[1]), seed)))
    assert alarms <= 2


def test_a_few_waves_show_nothing_and_say_so() -> None:
    one = run_of(session_of([level_of(waves(1, 4, 0), 4)]))
    other = run_of(session_of([level_of(waves(2, 4, 0, slower=1.5), 4)]))
    comparison = compare(one, other)
    assert comparison.verdict == SAME
    assert comparison.overall[0].note == "too few requests"
    assert comparison.overall[0].low is None


def test_setup_and_unfairness_come_first() -> None:
    one = run_of(fold(with_model(events((1, 2)), "one/model")), "a")
    other = run_of(fold(with_memory(with_model(events((1, 4), seed=3), "two\x1b[31m"), (4,))), "b")
    comparison = compare(one, other)
    assert dict(comparison.setup)["model"] == ["one/model", "two␛[31m"]
    text = comparison_text(comparison)
    assert text.index("set-up") < text.index("careful") < text.index("output_tok_s")
    assert "another model" in text
    assert "only a ran concurrency 2" in text
    assert "only b ran concurrency 4" in text
    assert "\x1b" not in text


def test_an_open_loop_is_another_set_up() -> None:
    open_loop = run_of(fold(with_config(events((2,)), rate=2.5)), "b")
    comparison = compare(run((2,), name="a"), open_loop)
    assert dict(comparison.setup)["arrivals"] == ["closed loop", "open loop, 2.5/s"]
    assert any("requests arrive in another way" in warning for warning in comparison.warnings)


def test_nothing_in_common() -> None:
    comparison = compare(run((1,)), run((2,)))
    assert comparison.levels == []
    assert "nothing to compare" in comparison.verdict
    comparison_text(comparison)


def test_levels_that_measured_nothing() -> None:
    empty = run_of(fold([]))
    assert compare(empty, empty).overall == []
    unfinished = run_of(fold(events((2,))[:20]))
    found = shown(compare(unfinished, run((2,))))
    assert {metric for metric, _ in found} <= {"peak_memory.host_bytes"}


@given(st.lists(st.lists(st.tuples(st.integers(-5, 99), st.integers(1, 3)), max_size=5)))
def test_gaps_at_once_are_the_gaps(emissions: list[list[tuple[int, int]]]) -> None:
    requests = [
        Request(
            id, 0, 8, 8, False, 0, tokens=sum(count for _, count in one),
            times=array("q", [time for time, _ in one]), counts=array("i", [c for _, c in one]),
        )
        for id, one in enumerate(emissions)
    ]  # fmt: skip
    found, sizes = pooled_gaps(requests)
    each = [list(gaps(request)) for request in requests]
    assert found.tolist() == [gap for one in each for gap in one]
    assert sizes.tolist() == [len(one) for one in each]


def test_the_spread_of_a_mean_is_its_standard_error() -> None:
    random = np.random.default_rng(0)
    seconds = random.normal(1, 0.1, 40)
    level = level_of([[s] for s in seconds], 1)
    spread = spreads(level, 0)["e2e_s.mean"]
    exact = np.std(seconds, ddof=1) / math.sqrt(40) / np.mean(seconds)
    assert math.sqrt(spread.variance) == pytest.approx(exact, rel=0.05)
    assert spread.freedom == 39
    assert level.requests[-1].times[-1] == pytest.approx(sum(seconds) * SECOND, rel=1e-6)


@pytest.mark.parametrize(
    ("tail", "freedom", "t"),
    [(0.05, 1, 12.7062), (0.05, 4, 2.77645), (0.05, 7, 2.36462), (0.001, 10, 4.58689),
     (0.01, 100, 2.62589), (0.05, 10_000, 1.95996)],
)  # fmt: skip
def test_student(tail: float, freedom: int, t: float) -> None:
    assert t_quantile(tail, freedom) == pytest.approx(t, abs=1e-4)
    if freedom <= 300:
        assert beyond(t, freedom) == pytest.approx(tail, rel=1e-4)

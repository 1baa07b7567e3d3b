import math
from array import array
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event, HostSampled, ModelLoaded
from llamatop.figures.pooled import all_gaps, pooled_gaps
from llamatop.figures.requests import gaps
from llamatop.figures.student import beyond, t_quantile
from llamatop.reports.compare import Comparison, compare, compare_groups
from llamatop.reports.resample import spreads, units
from llamatop.reports.runs import Run, run_of
from llamatop.reports.text import comparison_text
from llamatop.reports.verdicts import DECIDED, SAME, UNDECIDED
from llamatop.run.replay import fold
from llamatop.session.requests import Request
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
    return {(one.metric, one.concurrency) for one in every if one.verdict in DECIDED}


def test_a_recording_compared_with_itself() -> None:
    one = run(name="a")
    comparison = compare(one, one)
    assert comparison.overall
    assert shown(comparison) == set()
    assert comparison.verdict.startswith(("same: output_tok_s 0.0 %", "undecided: output_tok_s"))
    assert "--runs 5 on both sides" in comparison.caveat
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
    assert found["e2e_s.mean"].verdict in ("slower", UNDECIDED)
    assert found["peak_memory.host_bytes"].verdict == SAME
    back = compare(run_of(fold(stretched(made, 1.1))), run_of(fold(made)))
    assert back.overall[0].verdict == "faster"


@pytest.mark.slow
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
    first = comparison.overall[0]
    assert (first.verdict, first.note, first.low) == (UNDECIDED, "too few requests", None)
    assert first.needs == 12, "four waves would tell"


def test_half_is_found_with_two_waves() -> None:
    one = run_of(session_of([level_of(waves(1, 8, 0.02), 4)]))
    other = run_of(session_of([level_of(waves(2, 8, 0.02, slower=2.0), 4)]))
    assert compare(one, other).overall[0].verdict == "slower"


def test_what_would_decide_is_said() -> None:
    one = run_of(session_of([level_of(waves(1, 16, 0.1), 4)]))
    other = run_of(session_of([level_of(waves(2, 16, 0.1, slower=1.12), 4)]))
    first = compare(one, other).overall[0]
    assert first.verdict == UNDECIDED
    assert first.needs is not None and first.needs % 4 == 0
    assert f"about {first.needs} more requests a level would show" in first.note


def test_waves_that_are_not_full_are_waves() -> None:
    """A batch of three at a concurrency of four is a unit of three, not three quarters of one."""
    level = level_of(waves(1, 12, 0), 3)
    level.concurrency = 4
    assert units(level.requests, 4).tolist() == [n // 3 for n in range(12)]
    rolling = level_of([[0.1 * (1 + n % 4)] * 4 for n in range(32)], 4)
    assert sorted(set(units(rolling.requests, 4).tolist())) == list(range(8))


def test_several_runs_of_each_side_say_what_varies_between_them() -> None:
    def group(seed: int, slower: float) -> list[Run]:
        random = np.random.default_rng(seed)
        moods = np.exp(random.normal(0, 0.02, 5)) * slower
        return [
            run_of(session_of([level_of(waves(seed + n, 16, 0.01, slower=mood), 4)]), f"r{seed}{n}")
            for n, mood in enumerate(moods)
        ]

    found = compare_groups(group(10, 1.0), group(20, 1.1))
    assert found.overall[0].verdict == found.levels[0].verdict == "slower"
    assert found.other == "r200, r201, r202, r203, r204"
    assert found.caveat == ""
    assert compare_groups(group(10, 1.0), group(30, 1.0)).overall[0].verdict in (SAME, UNDECIDED)


def crowded(of: list[Event], others: float) -> list[Event]:
    """The same run on two cores, a neighbour on some percent of one of them."""
    model = ModelLoaded(
        0, engine="batch", engine_reason="", device="cpu", device_name="a cpu", dtype="float32",
        weights="trained", parameters=None, weights_bytes=None, threads=2,
    )  # fmt: skip
    busy = [
        msgspec.structs.replace(
            e, cpu_percent=(100.0, 90.0), engine_cpu_percent=188.0 - others, monitor_cpu_percent=2.0
        )
        if isinstance(e, HostSampled)
        else e
        for e in of
    ]
    return [
        msgspec.structs.replace(model, time=e.time) if isinstance(e, ModelLoaded) else e
        for e in busy
    ]


def test_what_a_neighbour_could_explain_is_no_verdict() -> None:
    made = events((4,), requests=64)
    quiet, slower = crowded(made, 0), stretched(made, 3.0)
    plain = compare(run_of(fold(quiet)), run_of(fold(crowded(slower, 0))))
    assert plain.overall[0].verdict == "slower"
    beside = compare(run_of(fold(quiet)), run_of(fold(crowded(slower, 70))))
    assert not shown(beside)
    assert (
        "other processes took 0.7 cores from the other (its engine had 1.2)"
        in beside.overall[0].note
    )
    assert any("at concurrency 4: other processes took" in one for one in beside.warnings)
    assert beside.verdict.count("other processes took") == 1
    text = comparison_text(beside)
    assert "undecided" in text and "other processes took 0.7 cores" in text


def test_the_answer_is_the_first_line() -> None:
    made = events((4,), requests=64)
    found = compare(run_of(fold(made), "a"), run_of(fold(stretched(made, 1.5)), "b"))
    first, who = comparison_text(found).splitlines()[0], "baseline a, against it b"
    assert first.startswith("verdict: slower: output_tok_s ")
    assert who in comparison_text(found).splitlines()[1:3]
    engines = replace(found, setup=[("engine", ["batch", "continuous"])])
    told = comparison_text(engines).splitlines()[0]
    assert told.startswith("engine continuous against batch: slower: output_tok_s ")


def test_setup_and_unfairness_come_before_the_figures() -> None:
    one = run_of(fold(with_model(events((1, 2)), "one/model")), "a")
    other = run_of(fold(with_memory(with_model(events((1, 4), seed=3), "two\x1b[31m"), (4,))), "b")
    comparison = compare(one, other)
    assert dict(comparison.setup)["model"] == ["one/model", "two␛[31m"]
    text = comparison_text(comparison)
    assert text.index("set-up") < text.index("careful") < text.index("\noutput_tok_s")
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
    assert all_gaps(requests, part=2).tolist() == found.tolist()


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

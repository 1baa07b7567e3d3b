"""When requests of an open loop arrive."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from llamatop.engines.arrivals import arrivals
from llamatop.engines.scripted import Script, script
from llamatop.figures.levels import level_figures
from llamatop.run.replay import fold
from llamatop.settings.config import RunConfig

MANY = 20_000


def gaps(count: int = MANY, **config: object) -> np.ndarray:
    drawn = arrivals(RunConfig(**config), 0, ())  # type: ignore[arg-type]
    assert drawn is not None
    return np.array(list(itertools.islice(drawn, count)))


def test_a_closed_loop_has_no_arrivals() -> None:
    assert arrivals(RunConfig(), 0, ()) is None


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gaps_are_gamma_distributed_and_keep_the_rate(burstiness: float) -> None:
    found = gaps(rate=8.0, burstiness=burstiness)
    assert found.mean() == pytest.approx(1 / 8, rel=0.05)
    assert found.std() / found.mean() == pytest.approx(burstiness**-0.5, rel=0.05)
    assert (found == gaps(rate=8.0, burstiness=burstiness)).all(), "the seed repeats them"
    assert (found[:9] != gaps(9, rate=8.0, burstiness=burstiness, seed=1)).all()


@pytest.mark.parametrize(("first", "last"), [(10.0, 30.0), (30.0, 10.0), (0.0, 20.0), (20.0, 0.0)])
def test_a_ramp_goes_evenly_from_one_rate_to_the_other(first: float, last: float) -> None:
    seconds = 400.0
    times = np.cumsum(gaps(ramp=(first, last), max_time=seconds))
    on_ramp = times[times <= seconds]
    for begin in (0.0, 100.0, 200.0, 300.0):
        within = ((on_ramp >= begin) & (on_ramp < begin + 100)).sum() / 100
        middle = first + (last - first) * (begin + 50) / seconds
        assert within == pytest.approx(middle, rel=0.15, abs=0.3)


def trace(folder: Path, *times: float) -> str:
    path = folder / "trace.jsonl"
    lines = [
        {"timestamp": time, "input_length": 600, "output_length": 3, "hash_ids": [7, number]}
        for number, time in enumerate(times)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_a_file_is_replayed_at_its_times_in_their_order(tmp_path: Path, speed: float) -> None:
    times = (5000, 5400, 5100, 9000, 5100)
    config = RunConfig(
        engine="scripted", prompts=trace(tmp_path, *times), replayed=True, speed=speed,
        requests=5, concurrency=(8,),
    )  # fmt: skip
    session = fold(script(config, Script(prefill_per_token=0)))
    (level,) = session.levels.values()
    begin = level.requests[0].scheduled
    due = [(request.scheduled - begin) / 1e9 for request in level.requests]
    assert due == pytest.approx([0, 0.1 / speed, 0.1 / speed, 0.4 / speed, 4 / speed])
    assert [request.admitted for request in level.requests] == [
        request.scheduled for request in level.requests
    ], "it is taken between the steps too"
    assert {(request.prompt_tokens, request.max_tokens) for request in level.requests} == {(600, 3)}
    figures = level_figures(session, level)
    assert figures.asked_rate == figures.real_rate == pytest.approx(speed)

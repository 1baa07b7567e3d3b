"""Tensor parallelism with real processes: two ranks on the CPU, over gloo, on the bundled model."""

import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from llamatop.hardware.host import usable_cores
from llamatop.predict.prepare import prepare
from llamatop.reports.run_text import headline
from llamatop.reports.summary import summary
from tests.waiting import gone, until

from .test_live import Run

ASKED = {"engine": "batch", "dtype": "float32", "device": "cpu", "prompt_toks": 16, "gen_toks": 12}
"""In float32 two ranks add in another order than one, which changes no token here."""

SECONDS = 180
PAUSE = 0.1
"""Two processes import torch and load, which takes a while; looking often would take cores."""


def wait(one: Run, holds: Callable[[], object]) -> None:
    pause = threading.Event()
    one.until(lambda: (pause.wait(PAUSE), holds())[1], SECONDS)


def texts(one: Run) -> list[str]:
    """Of the first four requests."""
    requests = one.session.levels[0].requests[:4]
    assert [request.tokens for request in requests] == [12] * 4
    return [request.text for request in requests]


@pytest.fixture(scope="module")
def shared() -> Iterator[Run]:
    """A level that has ended well, and one that goes on until something ends it."""
    if usable_cores() < 2:
        pytest.skip("needs two cores")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        one = Run(prepare, **ASKED, tp=2, concurrency=(2,), endless=True)
        try:
            wait(one, lambda: one.session.level and len(one.session.level.requests) > 4)
            one.live.resize(1)
            wait(one, lambda: one.session.level and one.session.level.id == 1)
            one.live.pause(True)  # what is compared with it needs the cores
            yield one
        finally:
            one.live.close()


def test_two_ranks_say_what_one_process_says(shared: Run) -> None:
    alone = Run(**ASKED, concurrency=(2,), requests=4)
    try:
        wait(alone, lambda: alone.live.ended)
    finally:
        alone.live.close()
    assert all(texts(alone))
    assert texts(shared) == texts(alone)
    ours, whole = shared.session.model, alone.session.model
    assert ours is not None and whole is not None
    assert (ours.tp, whole.tp) == (2, 1)
    assert ours.parameters == whole.parameters
    assert whole.weights_bytes is not None and ours.weights_bytes is not None
    assert whole.weights_bytes < ours.weights_bytes < 2 * whole.weights_bytes, "parts, summed"
    assert "tensor parallel over 2" in headline(shared.session)
    assert "ranks" not in summary(alone.session, None)


def test_each_rank_has_its_memory_and_all_count_in_the_peak(shared: Run) -> None:
    told = summary(shared.session, None)
    assert [(rank["rank"], rank["device"]) for rank in told["ranks"]] == [(0, "cpu"), (1, "cpu")]
    sizes = [rank["resident_bytes"] for rank in told["ranks"]]
    assert all(size > 100_000_000 for size in sizes)
    level = told["levels"][0]
    assert level["outcome"] == "ok"
    assert level["peak_memory"]["host_bytes"] > max(sizes) + 100_000_000
    assert level["predicted_memory"] == {"host_bytes": None, "device_bytes": None}
    assert level["mbu"] is None
    untold = shared.session.unforetold
    assert untold is not None and "tensor parallel" in untold.reason


def test_a_lost_rank_ends_the_level_with_the_reason(shared: Run) -> None:
    shared.live.pause(False)
    wait(shared, lambda: any(one.tokens for one in shared.session.active.values()))
    engine = shared.engine()
    (follower,) = engine.children()
    follower.kill()
    wait(shared, lambda: shared.live.ended)
    level = shared.session.levels[1]
    assert level.outcome == "failed"
    assert level.error == "tensor parallel: rank 1 was killed by SIGKILL"
    assert gone(engine) and gone(follower)


@pytest.mark.slow
def test_random_weights_in_two_ranks_say_what_they_say_in_one_process() -> None:
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        for ranks in (2, 1):
            one = Run(**ASKED, model="demo", weights="random", tp=ranks, requests=4)
            try:
                wait(one, lambda one=one: one.live.ended)
                said.append(texts(one))
            finally:
                one.live.close()
    assert all(said[0]) and said[0] == said[1]


@pytest.mark.slow
def test_no_rank_outlives_the_engine() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        one = Run(**ASKED, tp=2, endless=True)
    try:
        wait(one, lambda: one.session.token_bins)
        (follower,) = one.engine().children()
    finally:
        one.live.close()
    until(lambda: gone(follower))
    assert isinstance(follower, psutil.Process)

"""What threads hold together: by hand, against single forwards, and in a prediction."""

import msgspec
import pytest
import torch

from llamatop.predict import memory
from llamatop.predict.crowd import panels, together
from llamatop.predict.forward import Step
from llamatop.predict.traced import Ask, Peak, Shape
from llamatop.predict.tracer import trace, trace_with
from tests.predict.test_memory import MODELS, TIED, made_trace

MIB = 2**20


def path(peak: float, high: int = 100, low: int = 20) -> list[Step]:
    """A forward that holds `high` for that share of its time, in its middle."""
    return [Step((1 - peak) / 2, low), Step(peak, high), Step((1 - peak) / 2, low)]


def test_one_thread_holds_its_peak_however_short() -> None:
    assert together(path(1e-6), 1) == 100


def test_all_meet_in_a_long_peak_and_few_in_a_short_one() -> None:
    assert together(path(0.5), 8) == 800
    short, shorter = together(path(0.02), 8), together(path(0.002), 8)
    assert 100 + 7 * 20 <= shorter < short < 800


def test_more_threads_hold_more_but_less_each() -> None:
    held = [together(path(0.02), threads) for threads in (1, 2, 4, 8, 16, 64, 256)]
    each = [total / n for total, n in zip(held, (1, 2, 4, 8, 16, 64, 256), strict=True)]
    assert held == sorted(held)
    assert each == sorted(each, reverse=True) and each[-1] > 20


def test_the_same_is_said_again() -> None:
    assert together(path(0.02), 8) == together(path(0.02), 8)


def test_what_is_kept_after_a_forward_counts_once_all_have_it() -> None:
    growing = [Step(1, 10 * place) for place in range(1, 11)]
    assert together(growing, 4) == 400


@pytest.mark.parametrize("name", MODELS)
def test_the_way_of_a_forward_has_its_peak(name: str) -> None:
    asked = Ask(name, MODELS[name], dtype="float32")
    _, tracer = trace_with(asked)
    for prompt in (16, 100):
        (totals, *_), (forwards, *_) = (
            tracer.phases(Shape(1, prompt, 2)),
            tracer._forwards(Shape(1, prompt, 2)),
        )
        for total, forward in zip(totals, forwards, strict=True):
            assert max(step.held for step in forward.path(tracer._excerpt.shown)) == total.peak


@pytest.mark.parametrize("name", MODELS)
def test_threads_are_traced_between_one_and_all_at_their_peak(name: str) -> None:
    levels, shape = [4, 8], Shape(8, 100, 4)
    asked = tuple(memory.shapes("threads", "cpu", levels, shape.prompt, shape.generated))
    found = trace(Ask(name, MODELS[name], dtype="float32", shapes=asked, crowds=True))
    assert [peak.shape.batch for peak in found.peaks] == [1]
    alone = found.peaks[0].total
    crowd = found.crowd(shape)
    assert crowd is not None
    assert 8 * alone * 0.5 < crowd.total <= 8 * alone
    told = memory.predict(found, "threads", "cpu", shape)
    assert told.parts["kernels"] == 7 * found.panel_bytes > 0
    assert told.peak_bytes <= told.most_bytes
    between = memory.predict(found, "threads", "cpu", shape._replace(batch=6)).peak_bytes
    four = memory.predict(found, "threads", "cpu", shape._replace(batch=4)).peak_bytes
    assert four < between < told.peak_bytes


def test_no_crowds_are_traced_where_none_are_asked_for() -> None:
    found = trace(Ask("tied", TIED, shapes=(Shape(1, 16, 2), Shape(4, 16, 2))))
    assert len(found.peaks) == 2 and found.crowds == () and found.panel_bytes == 0
    assert memory.shapes("threads", "cuda", [1, 8], 16, 2) == {Shape(1, 16, 2)}


def test_it_fits_only_if_it_does_with_all_threads_at_their_peak() -> None:
    alone = Peak(Shape(1, 8, 2), 100, 60, 0, 0)
    crowd = Peak(Shape(4, 8, 2), 300, 240, 0, 0)
    bound = memory.predict(made_trace(alone), "threads", "cpu", crowd.shape)
    assert bound.most_bytes == 0 and bound.parts["activations"] == 160
    told = msgspec.structs.replace(made_trace(alone), crowds=(crowd,), panel_bytes=7)
    expected = memory.predict(told, "threads", "cpu", crowd.shape)
    assert expected.parts["activations"] == 60
    assert expected.most_bytes == bound.peak_bytes + 3 * 7 == expected.peak_bytes + 100
    assert expected.sure_bytes(1e-6) == expected.most_bytes
    assert expected.own_bytes == expected.peak_bytes - expected.parts["runtime"]
    wide = expected.peak_bytes + expected.own_bytes
    assert expected.sure_bytes(1) == wide > expected.most_bytes


@pytest.mark.parametrize(
    ("rows", "tokens", "kept"),
    [(1536, 512, 3.08), (576, 512, 1.65), (2048, 64, 3.16), (8192, 64, 9.53), (8192, 512, 10.19),
     (2048, 2048, 4.18), (2048, 4096, 4.18), (8192, 1, 0.01), (3072, 512, 5.30)],
)  # fmt: skip
def test_panels_are_as_large_as_they_were_measured(rows: int, tokens: int, kept: float) -> None:
    assert panels(torch.float32, rows, tokens) == pytest.approx(kept * MIB, abs=0.5 * MIB)
    assert panels(torch.bfloat16, rows, tokens) == 0

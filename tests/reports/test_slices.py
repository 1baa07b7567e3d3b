"""Two slices foretell the whole by a straight line, and nothing else does."""

import msgspec
import pytest

from llamatop.commands.recordings import open_all
from llamatop.reports.runs import Run, run_of
from llamatop.reports.slices import whole
from llamatop.session.reducer import Session

from .samples import run

FILES = [f"recordings/h100/llama-4-scout-{n}-batch.parquet" for n in ("1-layer", "2-layers")]


def sliced(of: Run, layers: int | None, whole_layers: int = 10) -> Run:
    session: Session = of.session
    assert session.model is not None
    session.model = msgspec.structs.replace(session.model, layers=layers, whole_layers=whole_layers)
    return run_of(session, of.name)


def test_a_step_grows_by_a_layer_s_share() -> None:
    one, two = open_all(FILES)
    found = {level.concurrency: level for level in whole(one, two)}
    for a, b in zip(one.figures, two.figures, strict=True):
        assert a.tpot and b.tpot and a.ttft and b.ttft
        level = found[a.concurrency]
        assert level.layers == 48
        assert level.tpot_s == pytest.approx(a.tpot.p50 + 47 * (b.tpot.p50 - a.tpot.p50))
        seconds = a.ttft.p50 + 47 * (b.ttft.p50 - a.ttft.p50) + 31 * level.tpot_s
        assert level.output_tok_s == pytest.approx(a.concurrency * 32 / seconds)
        assert level.peak_bytes == a.device_peak_bytes + 47 * (
            b.device_peak_bytes - a.device_peak_bytes
        )
    assert found[1].peak_bytes == pytest.approx(217e9, rel=0.02)


def test_it_is_the_same_the_other_way_round() -> None:
    one, two = open_all(FILES)
    for left, right in zip(whole(one, two), whole(two, one), strict=True):
        assert left.tpot_s == pytest.approx(right.tpot_s)


def test_whole_models_and_other_set_ups_are_no_slices() -> None:
    two = sliced(run(), 2)
    assert whole(sliced(run(), 2), two) == []
    assert whole(sliced(run(), None), two) == []
    assert whole(sliced(run(), 1, whole_layers=12), two) == []
    assert whole(sliced(run(seed=1), 1), two) == []
    assert whole(sliced(run(), 1), two)

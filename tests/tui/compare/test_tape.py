"""What a run did at any time, counted again from its requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.clock import SECOND
from llamatop.session.known import BIN
from llamatop.tui.compare.tape import Tape
from tests.reports.samples import run

TAPE = Tape("A", "run", run((2, 8), requests=32))


@pytest.mark.parametrize("level", [None, 2, 8])
@given(share=st.floats(0, 1))
def test_a_moment_agrees_with_the_requests(level, share):
    stretch = TAPE.stretch(level)
    assert stretch is not None
    time = round(stretch.length * share)
    here, now = stretch.start + time, TAPE.at(stretch, time)
    requests = [r for one in TAPE.run.session.levels.values() for r in one.requests]
    flying = [r for r in requests if r.admitted <= here and (r.ended is None or r.ended > here)]
    done = [r for r in requests if r.ended is not None and stretch.start <= r.ended <= here]
    assert (now.flying, now.done) == (len(flying), len(done))


@pytest.mark.parametrize("level", [None, 2, 8])
def test_all_tokens_of_a_stretch_are_counted_at_its_end(level):
    stretch = TAPE.stretch(level)
    assert stretch is not None
    bins = TAPE.run.session.token_bins
    told = sum(bins[stretch.start // BIN : -(-stretch.end // BIN)])
    assert TAPE.at(stretch, stretch.length).tokens == told > 0


def test_a_level_that_was_not_run_has_no_stretch():
    assert TAPE.stretch(3) is None


@given(cells=st.integers(1, 300), longer=st.floats(1, 20))
def test_nothing_is_drawn_after_the_end(cells, longer):
    stretch = TAPE.stretch(8)
    assert stretch is not None
    step = round(stretch.length * longer / cells) + 1
    for values in (TAPE.rates(stretch, step, cells), TAPE.memory(stretch, step, cells)):
        assert len(values) == cells
        end = -(-stretch.length // step)
        assert all(value is None for value in values[end:])
    assert None not in TAPE.rates(stretch, step, cells)[:end]


def test_a_steady_run_has_its_rate_everywhere():
    stretch = TAPE.stretch(8)
    assert stretch is not None
    tokens = TAPE.at(stretch, stretch.length).tokens
    mean = tokens * SECOND / stretch.length
    rates = [r for r in TAPE.rates(stretch, stretch.length // 20, 20) if r is not None]
    assert sum(rates) / len(rates) == pytest.approx(mean, rel=0.2)

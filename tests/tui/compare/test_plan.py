"""No part over another, none outside, at any size."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llamatop.tui.compare.plan import compare_plan
from llamatop.tui.compare.state import PANELS


@given(
    width=st.integers(0, 250), height=st.integers(0, 100), runs=st.integers(2, 6),
    setup=st.integers(3, 40), table=st.integers(4, 30),
    maximised=st.sampled_from([None, *PANELS]),
)  # fmt: skip
def test_every_row_is_somebodys(width, height, *, runs, setup, table, maximised):
    boxes = compare_plan(width, height, runs, (setup, table), maximised)
    rows = sorted((box.y, box.y + box.height) for box in boxes.values())
    if not width or not height:
        assert not boxes
        return
    assert all(box.x == 0 and box.width == width and box.height > 0 for box in boxes.values())
    assert rows[0][0] == 0 and rows[-1][1] == height
    assert all(before[1] == after[0] for before, after in pairwise(rows))


@given(st.integers(2, 6), st.integers(3, 40))
def test_the_smallest_usual_screen_shows_every_run_and_some_differences(runs, setup):
    boxes = compare_plan(80, 24, runs, (setup, 22), None)
    assert boxes["histories"].height >= runs + 2
    assert boxes["differences"].height >= 6

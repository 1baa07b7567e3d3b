"""Stacked bars: each part as long as its bytes, all at one scale, legible without colour."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.reports.bar import BLOCKS, Pen, bars, legend, pen_for

GB = 10**9


def test_each_part_is_as_long_as_its_bytes() -> None:
    (bar,) = bars([{"weights": 6 * GB, "kv cache": 2 * GB}], 10 * GB, 11, Pen())
    assert bar == "██████▓▓··│"


def test_a_peak_beyond_the_limit_goes_on_behind_its_line() -> None:
    small, large = bars([{"weights": 5 * GB}, {"weights": 20 * GB}], 10 * GB, 21, Pen())
    assert small == "█████·····│"
    assert large == "██████████│██████████"


def test_far_below_the_limit_the_bar_has_a_scale_of_its_own() -> None:
    parts = {"weights": GB, "runtime": GB}
    assert bars([parts], 1000 * GB, 10, Pen()) == ["█████▄▄▄▄▄"]


parts = st.dictionaries(st.sampled_from([*BLOCKS][:12]), st.integers(0, 10**13), min_size=1)


@given(st.lists(parts, min_size=1, max_size=4), st.integers(0, 10**13), st.integers(20, 100))
def test_no_bar_is_too_wide_and_colour_changes_no_cell(
    peaks: list[dict[str, int]], limit: int, width: int
) -> None:
    plain = bars(peaks, limit, width, Pen())
    assert all(len(bar) <= width for bar in plain)
    coloured = bars(peaks, limit, width, Pen(colour=True))
    assert [re.sub(r"\033\[\d+m", "", bar) for bar in coloured] == plain


def test_the_legend_names_every_part_that_takes_something_within_the_width() -> None:
    peak = {"weights": 16 * GB, "scales": 0, "kv cache": 277_000_000, "runtime": 388_000_000}
    lines = legend(peak, 60, Pen())
    assert lines == ["█ weights 16.0 GB   ▓ kv cache 277 MB   ▄ runtime 388 MB"]
    assert all(len(line) <= 30 for line in legend(peak, 30, Pen()))


def test_no_two_parts_of_a_device_have_the_same_block_or_letter() -> None:
    one_or_the_other = ({"allocator", "runtime", "kernels"}, {"workspace", "fragments", "context"})
    for absent in one_or_the_other:
        drawn = [block[:2] for name, block in BLOCKS.items() if name not in absent]
        assert len({block for block, _ in drawn}) == len({letter for _, letter in drawn})
        assert len({block for block, _ in drawn}) == len(drawn)


class Stream(io.StringIO):
    def __init__(self, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal, self._encoding = terminal, encoding

    def isatty(self) -> bool:
        return self._terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


def test_colour_on_a_terminal_only_and_where_nobody_asked_for_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert pen_for(Stream(terminal=True)).colour
    assert not pen_for(Stream(terminal=False)).colour
    monkeypatch.setenv("NO_COLOR", "1")
    assert not pen_for(Stream(terminal=True)).colour


def test_letters_where_blocks_cannot_be_spelled() -> None:
    pen = pen_for(Stream(terminal=False, encoding="ascii"))
    assert bars([{"weights": 6 * GB, "kv cache": 2 * GB}], 10 * GB, 11, pen) == ["WWWWWWKK..|"]

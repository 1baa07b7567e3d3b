import math

import pytest

from llamatop.tui.drawing.charts import area, bar, ceiling, columns, histogram, shares


def test_an_area_fills_its_cells_newest_at_the_right():
    assert area([1, 2, 4], 4, 2, 4) == ["   █", " ▄██"]


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_known_is_a_gap(nothing):
    assert area([2, nothing, 2], 3, 1, 2) == ["█ █"]
    assert columns([1, nothing, 1]) == ["█ █"]
    assert bar(nothing, 4) == ("", "────")


def test_something_is_never_drawn_as_nothing():
    assert area([0.0001, 0], 2, 2, 1000) == ["  ", "▁ "]


def test_an_area_without_room_is_empty():
    assert area([1, 2], 0, 2, 1) == ["", ""]
    assert area([1, 2], 3, 0, 1) == []


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (0.3, 0.3), (1, 1), (1.2, 1.5), (7, 8), (99, 100), (1e9, 1e9), (math.nan, 1)],
)
def test_a_ceiling_is_the_next_round_number(value, top):
    assert ceiling(value) == pytest.approx(top)


def test_a_bar_goes_by_halves_of_cells():
    assert bar(0.5, 5) == ("━━╸", "──")
    assert bar(0.999, 5) == ("━━━━╸", "")
    assert bar(2.0, 3) == ("━━━", "")
    assert bar(-1.0, 3) == ("", "───")


def test_a_histogram_counts_every_value_once():
    assert histogram([1, 1, 2, 4, 8, 100], 3, 1, 8) == [2, 1, 3]
    assert sum(histogram([0.5, 3, 9], 5, 1, 8)) == 3


def test_shares_are_of_the_largest():
    assert shares([1, 4, 2]) == [0.25, 1.0, 0.5]
    assert shares([0, 0]) == [0.0, 0.0]

"""The position at which all runs are played."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.clock import SECOND, ManualClock
from llamatop.tui.compare.deck import Deck


def deck(length: int = 200 * SECOND, marks: tuple[tuple[int, str], ...] = ()) -> Deck:
    made = Deck(ManualClock())
    made.load(length, marks)
    return made


def test_it_begins_at_the_end_and_plays_from_the_beginning():
    made = deck()
    assert made.ended and not made.playing and not made.move()
    made.toggle()
    assert made.position == 0 and made.playing


def test_it_plays_at_its_speed_and_stops_at_the_end():
    made = deck()
    made.toggle()
    made.faster(2)
    made._clock.time += 3 * SECOND
    assert made.move() and made.position == 12 * SECOND
    made._clock.time += 100 * SECOND
    assert made.move() and made.ended and not made.playing
    assert not made.move()


def test_time_that_passes_while_paused_is_not_played():
    made = deck()
    made._clock.time += 50 * SECOND
    made.move()
    made.toggle()
    made._clock.time += SECOND
    made.move()
    assert made.position == SECOND


def test_levels_are_gone_through_both_ways():
    made = deck(marks=((30 * SECOND, "level"), (10 * SECOND, "failure"), (20 * SECOND, "level")))
    made.seek(0)
    places = []
    for direction in (1, 1, 1, -1, -1, -1):
        made.to_level(direction)
        places.append(made.position // SECOND)
    assert places == [20, 30, 200, 30, 20, 0]


def test_without_another_failure_it_stays():
    made = deck(marks=((10 * SECOND, "failure"), (20 * SECOND, "level"), (30 * SECOND, "failure")))
    made.seek(0)
    places = []
    for direction in (1, 1, 1, -1, -1):
        made.to_failure(direction)
        places.append(made.position // SECOND)
    assert places == [10, 30, 30, 10, 10]


def test_something_else_is_shown_whole_or_played_from_its_beginning():
    made = deck()
    made.load(5 * SECOND, ())
    assert made.position == 5 * SECOND
    made.toggle()
    made.load(9 * SECOND, ())
    assert made.position == 0 and made.playing


@given(st.integers(1, 10**12), st.lists(st.floats(-1e4, 1e4), max_size=20))
def test_no_skip_leaves_the_runs(length, skips):
    made = deck(length)
    for seconds in skips:
        made.skip(seconds)
        assert 0 <= made.position <= length

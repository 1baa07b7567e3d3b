import pytest

from llamatop.tui.drawing.lines import (
    clip,
    fit,
    fitting,
    laid_over,
    left,
    line_width,
    overlay,
    right,
    shortened,
    spread,
    tail,
)


@pytest.mark.parametrize("width", range(8))
@pytest.mark.parametrize("text", ["", "abc", "abcdefghij", "日本語テキスト", "a日b本"])
def test_text_at_fixed_places_has_exactly_its_width(text, width):
    assert line_width([(left(text, width), "text")]) == width
    assert line_width([(right(text, width), "text")]) == width
    assert line_width([(clip(text, width), "text")]) <= width
    assert line_width([(tail(text, width), "text")]) <= width


def test_clip_tells_that_something_is_missing():
    assert clip("abcdef", 4) == "abc…"
    assert clip("abcd", 4) == "abcd"


def test_tail_keeps_the_end():
    assert tail("abcdef", 3) == "def"
    assert tail("日本", 3) == "本"


def test_parts_that_do_not_fit_are_dropped_from_the_end():
    assert shortened("one  two  three", 9) == "one  two"
    assert shortened("one  two", 2) == "o…"


def test_what_is_cut_off_ends_with_a_whole_word_where_one_is_near():
    assert shortened("loaded by an engine (measured)", 25) == "loaded by an engine…"
    assert shortened("loaded by an engine", 10) == "loaded by…"
    assert shortened("out of memory. Tried", 18) == "out of memory…"
    assert shortened("it incomprehensibly stops", 12) == "it incompre…"
    assert shortened("日本語 日本語", 11) == "日本語…"
    assert shortened("one two", 0) == ""


def test_fit_fills_and_cuts():
    assert fit((("ab", "dim"),), 4) == (("ab", "dim"), ("  ", "text"))
    assert fit((("ab", "dim"), ("cd", "bad")), 3) == (("ab", "dim"), ("c", "bad"))


def test_spread_keeps_the_end_where_both_do_not_fit():
    line = spread([("start", "text")], [("end", "dim")], 6)
    assert "".join(text for text, _ in line) == "staend"
    assert line_width(spread([("start", "text")], [("end", "dim")], 2)) == 2


def test_fitting_takes_what_fits_most_important_first():
    groups = [[("aaaa", "text")], [("bbbbbbbb", "text")], [("cc", "text")]]
    assert "".join(text for text, _ in fitting(groups, 8)) == "aaaa  cc"


def test_marks_replace_cells_and_keep_the_width():
    line = overlay("──────", "line", [(1, "┃", "bad"), (4, "ab", "key")])
    assert "".join(text for text, _ in line) == "─┃──ab"
    line = laid_over((("ab", "x"), ("cd", "y")), [(1, "##", "z"), (3, "too long", "z")])
    assert line == (("a", "x"), ("##", "z"), ("d", "y"))

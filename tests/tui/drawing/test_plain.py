import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from llamatop.tui.drawing.lines import width_of
from llamatop.tui.drawing.plain import Plain, console, only_ascii, plain, spelling
from tests.tui.conftest import live_app, screen_text, until


def test_a_named_character_set_that_is_not_utf_8_means_ascii():
    assert only_ascii({"LANG": "C"})
    assert only_ascii({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"})
    assert only_ascii({"LANG": "de_DE.ISO-8859-1"})
    assert only_ascii({"LANG": "en_US.UTF-8", "TERM": "dumb"})
    assert not only_ascii({})
    assert not only_ascii({"LANG": "C.UTF-8"})
    assert not only_ascii({"LANG": "en_US.utf8", "TERM": "xterm"})


def test_everything_becomes_ascii_of_the_same_width():
    for text in ("╭─ ²Latency ─╮", "日本", "━━╸── 57/200", "✓ done", "3 µs 54 °C"):
        assert plain(text).isascii()
        assert len(plain(text)) == width_of(text)


def test_ascii_passes_untouched():
    segment = Segment("plain")
    assert Plain(plain).apply([segment], Color(0, 0, 0))[0] is segment


def test_a_full_cell_in_ascii_is_a_sign_on_the_ground_like_its_neighbours():
    full = Segment("██", Style.parse("#00ff00 on #00ff00"))
    (drawn,) = Plain(plain).apply([full], Color(1, 2, 3))
    assert drawn == Segment("##", Style.parse("#00ff00 on #010203"))
    (drawn,) = Plain(console).apply([full], Color(1, 2, 3))
    assert drawn == full


@pytest.mark.parametrize(
    ("env", "spelled"),
    [
        ({"TERM": "linux", "LANG": "en_US.UTF-8"}, console),
        ({"TERM": "linux", "LC_ALL": "C"}, plain),
        ({"TERM": "xterm-256color", "LANG": "en_US.UTF-8"}, None),
    ],
)
def test_the_linux_console_gets_what_its_fonts_have(env, spelled):
    assert spelling(env) is spelled


async def test_the_whole_screen_is_drawn_with_the_signs_of_the_linux_console(
    run_events, monkeypatch
):
    monkeypatch.setenv("TERM", "linux")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    app = live_app(until(run_events, 9))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        rows = screen_text(app)
    signs = {char for row in rows for char in row if not char.isascii()}
    assert {"┌", "█", "▄"} <= signs <= set("┌┐└┘│─┼█▄▀▌▐░▒▓←↑→↓·°µ")
    assert rows[2].startswith("┌─ 1Throughput ─")


async def test_the_whole_screen_is_legible_in_ascii(run_events, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    app = live_app(until(run_events, 9))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        rows = screen_text(app)
        assert all(row.isascii() for row in rows)
        assert rows[2].startswith("+- 1Throughput -")


async def test_without_colour_the_screen_says_the_same(run_events, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = live_app(until(run_events, 9))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        update = app.screen._compositor.render_full_update()
        colours = [
            s.style.color for row in update.strips for strip in row for s in strip if s.style
        ]
        assert all(c is None or len(set(c.triplet)) == 1 for c in colours)
        assert "running" in screen_text(app)[1]

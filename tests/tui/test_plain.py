from rich.segment import Segment
from textual.color import Color

from llamatop.tui.lines import width_of
from llamatop.tui.plain import Plain, only_ascii, plain
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
    assert Plain().apply([segment], Color(0, 0, 0))[0] is segment


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

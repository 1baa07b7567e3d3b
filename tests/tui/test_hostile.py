"""Text from models, names and errors is data: literal, on one line, and harmless."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from textual.color import Color

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    DeviceSampled,
    EngineLost,
    HostFacts,
    HostSampled,
    LevelEnded,
    LevelStarted,
    ModelLoaded,
    RequestFailed,
    RequestQueued,
    RunStarted,
    TokensEmitted,
)
from llamatop.settings.config import RunConfig
from llamatop.tui.drawing.paint import Harmless
from tests.tui.conftest import live_app, screen_text

HOSTILE = (
    "[/x]",
    "[@click=app.leave]gone[/]",
    "[bold red]loud",
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[?1049l",
    "\x9b2J",
    "\u202eright to left",
    "\ud800",
    "two\nlines\ttab\r",
    "日本語" * 30,
    "e\u0301" * 50,
    "x" * 5000,
    "",
)


def run_of(text: str) -> list[object]:
    """A run in which every text is the same."""
    host = HostFacts(text, text, 2, 24_000_000_000, text)
    return [
        RunStarted(0, RunConfig(model=text or "-"), host, text, text),
        ModelLoaded(
            1,
            engine=text,
            engine_reason=text,
            device="cpu",
            device_name=text,
            dtype=text,
            weights=text,
            parameters=1,
            weights_bytes=1,
        ),
        LevelStarted(2, 0, 2, None),
        HostSampled(3, 1, 1, 2, (1.0,), 1),
        DeviceSampled(3, 0, text, 1, 2),
        RequestQueued(3, 0, 0, 8, 9),
        RequestQueued(3, 1, 0, 8, 9),
        RequestQueued(3, 2, 0, 8, 9),
        TokensEmitted(SECOND, 0, 1, text),
        TokensEmitted(SECOND, 1, 1, text),
        RequestFailed(SECOND, 1, text),
        LevelEnded(SECOND, 0, "failed", error=text),
        EngineLost(2 * SECOND, -9, text),
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_text_changes_nothing(text):
    app = live_app(run_of(text))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        rows = screen_text(app)
        assert all("".join(rows).isprintable() for row in rows)
        assert "╭" in rows[2]
        if text.startswith("["):
            assert text in "\n".join(rows)
        await pilot.press("enter")
        await pilot.pause()
        assert "".join(screen_text(app)).isprintable()
        await pilot.press("escape", "slash", *"[/x]")
        await pilot.pause()
        assert app.is_running
        assert app.return_code is None


async def test_what_is_typed_into_the_filter_is_literal():
    app = live_app(run_of("[/x]"))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        await pilot.press("slash", *"[/x]", "enter")
        await pilot.pause()
        assert app.showing.monitor.table.rows == 3
        assert "/[/x]" in "\n".join(screen_text(app))


def test_the_last_net_lets_no_control_character_through():
    fine = [Segment("fine")]
    assert Harmless().apply(fine, Color(0, 0, 0)) is fine
    caught = Harmless().apply([Segment("a\x1b[2Jb"), Segment("\x07")], Color(0, 0, 0))
    assert "".join(segment.text for segment in caught).isprintable()

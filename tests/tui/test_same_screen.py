"""A moment of a recording is one screen, however a person came to it."""

import pytest

from llamatop.events.clock import SECOND
from tests.tui.conftest import live_app, replay_app, screen_text


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_the_end_of_a_replay_is_that_of_the_live_run(run_events, size):
    """All panels; the header's right end, the transport bar and the keys are not the same."""
    width, height = size
    live = live_app(run_events)
    async with live.run_test(size=size) as pilot:
        await pilot.pause()
        live.draw()
        await pilot.pause()
        seen = screen_text(live)[1:-2]
    end = max(event.time for event in run_events)
    assert (await played_to(run_events, end, (width, height + 1)))[1:-3] == seen


async def played_to(events, time: int, size: tuple[int, int]) -> list[str]:
    """The screen after playing from the start in steps of a tenth, and pausing."""
    app = replay_app(events, 0)
    replay, clock = app.pump.source, app.pump.source._clock
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        replay.pause(False)
        while replay.position < time:
            clock.time += min(SECOND // 10, time - replay.position)
            app.tick()
        if not replay.ended:
            await pilot.press("space")
        app.draw()
        await pilot.pause()
        return screen_text(app)


async def sought_to(events, time: int, size: tuple[int, int]) -> list[str]:
    """The screen after a jump to the end and back."""
    app = replay_app(events, 0)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("greater_than_sign")
        app.showing.player.seek(time)
        app.tick()
        await pilot.pause()
        return screen_text(app)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
@pytest.mark.parametrize("seconds", [0.83, 3.17, 9.64, 17.03, 99])
async def test_played_or_sought_it_is_the_same(run_events, seconds, size):
    time = min(round(seconds * SECOND), max(event.time for event in run_events))
    assert await played_to(run_events, time, size) == await sought_to(run_events, time, size)

"""The screen as a picture, from a scripted run on a manual clock: the same every time."""

from __future__ import annotations

import pytest

from tests.tui.conftest import live_app, loading_events, refused_events, replay_app, until


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=["80", "120", "200"])
def test_running(snap_compare, run_events, size):
    assert snap_compare(live_app(until(run_events, 14)), terminal_size=size)


def test_replay(snap_compare, run_events):
    async def marks_found(pilot):
        await pilot.pause()
        pilot.app.tick()

    app = replay_app(run_events, 14)
    assert snap_compare(app, terminal_size=(120, 36), run_before=marks_found)


def test_loading(snap_compare):
    assert snap_compare(live_app(loading_events()), terminal_size=(120, 36))


def test_refused(snap_compare):
    assert snap_compare(live_app(refused_events()), terminal_size=(120, 36))


def test_finished_in_daylight(snap_compare, run_events):
    app = live_app(run_events, theme="llamatop-light")
    assert snap_compare(app, terminal_size=(120, 36))


def test_one_request(snap_compare, run_events):
    app = live_app(until(run_events, 14))
    assert snap_compare(app, terminal_size=(120, 36), press=["down", "enter"])

"""The screen of a run on servers as a picture, from a scripted run told as a client would."""

from __future__ import annotations

from llamatop.events.clock import SECOND
from tests.served import TWO, served, served_events
from tests.tui.conftest import live_app


def moment(seconds: float, **told: object) -> list[object]:
    events = served_events(served(urls=TWO), short_every=7, resend_every=9, reasoning=20, **told)
    return [event for event in events if event.time <= seconds * SECOND]


def test_two_servers_of_which_one_is_lost(snap_compare):
    app = live_app(moment(18.9, lost=True))
    assert snap_compare(app, terminal_size=(120, 36))


def test_one_request_to_a_server(snap_compare):
    app = live_app(moment(22))
    assert snap_compare(app, terminal_size=(120, 36), press=["down"] * 8 + ["enter"])

"""The screen on a recording that is still being made: real recorders, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from llamatop.commands.opening import opened
from llamatop.events.kinds import Event, RunStarted, Tick
from llamatop.recording import follower, writer
from llamatop.recording.writer import Recorder
from llamatop.run.following import Following
from llamatop.settings.config import RunConfig
from llamatop.tui.app import LlamatopApp
from llamatop.tui.attach.screen import AttachScreen
from llamatop.tui.terminal.meter import NoCost
from tests.tui.conftest import screen_text, settle, started, until
from tests.waiting import until as wait_until

SIZE = (100, 24)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.02)
    monkeypatch.setattr(follower, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(follower, "QUIET_SECONDS", 0.1)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def app_on(path: Path) -> LlamatopApp:
    stage, notices = opened(path)
    assert notices == []
    return LlamatopApp(
        stage.pump, replay=stage.replay, bookmarks=stage.bookmarks, meter=NoCost(), refresh_hz=10
    )


def following_of(app: LlamatopApp) -> Following:
    replay = app.stage.replay
    assert isinstance(replay, Following)
    return replay


def header(app: LlamatopApp) -> str:
    return screen_text(app)[0]


def footer(app: LlamatopApp) -> str:
    return screen_text(app)[-1]


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path / "a.parquet")
    yield recorder
    recorder.close()


async def test_it_is_followed_left_and_come_back_to_and_ends_as_the_replay_ends(
    recorder: Recorder, run_events: Sequence[Event]
) -> None:
    begun = until(run_events, 4)
    recorder.write(begun)
    app = app_on(recorder.path)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, lambda: app.pump.session.now == begun[-1].time)
        assert "● following" in header(app) and "● running" in screen_text(app)[1]
        assert " now " not in footer(app)
        await pilot.press("space", "left", "left")
        await settle(pilot, lambda: "behind now" in screen_text(app)[-2])
        assert "○ following" in header(app) and "> now" in footer(app)
        await pilot.press("b", "greater_than_sign")
        await settle(pilot, lambda: "● following" in header(app))
        recorder.write(run_events[len(begun) :])
        recorder.close()
        await settle(pilot, lambda: "replay" in header(app))
        await pilot.press("greater_than_sign")
        await settle(pilot, lambda: following_of(app).ended)
        last = screen_text(app)
    assert app.stage.bookmarks.times
    again = app_on(recorder.path)
    assert again.stage.bookmarks.times == app.stage.bookmarks.times, "kept with the whole file"
    async with again.run_test(size=SIZE) as pilot:
        await pilot.press("greater_than_sign")
        await settle(pilot, lambda: screen_text(again) == last)


@pytest.mark.slow
async def test_a_writer_that_is_gone_is_told_and_all_is_kept(
    tmp_path: Path, run_events: Sequence[Event]
) -> None:
    recorder = Recorder(tmp_path / "a.parquet")
    begun = until(run_events, 4)
    recorder.write(begun)
    wait_until(lambda: not recorder.waiting)
    app = app_on(recorder.path)
    journal = recorder._stop()
    assert journal is not None
    journal.close()  # as a kill would leave it
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await settle(pilot, lambda: "✗ cut off" in header(app))
        told = "the llamatop that recorded it is gone"
        await settle(pilot, lambda: told in footer(app))
        await settle(pilot, lambda: following_of(app).ended)
        assert "cut off, its writer is gone" in screen_text(app)[-2]
        assert app.pump.session.now == begun[-1].time
        await pilot.press("home")
        await settle(pilot, lambda: app.pump.session.now < begun[-1].time)


async def test_a_watch_is_shown_as_one_as_soon_as_it_is_known(recorder: Recorder) -> None:
    config = RunConfig(model="", engine="attach", urls=("http://127.0.0.1:1",))
    app = app_on(recorder.path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert not isinstance(app.screen, AttachScreen)
        recorder.write([RunStarted(0, config, started().host, "0", ""), Tick(10**9)])
        await settle(pilot, lambda: isinstance(app.screen, AttachScreen))

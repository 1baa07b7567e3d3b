"""From one run to another on the same screen: choosing, changing, sweeping, keeping, exporting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from llamatop.errors import InputError
from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event
from llamatop.reports.runs import Run, run_of
from llamatop.run.controls import Idle, Recorder, Stage
from llamatop.run.pump import Pump
from llamatop.run.replay import Replay, fold
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from llamatop.tui.app import LlamatopApp
from llamatop.tui.compare.screen import CompareScreen
from llamatop.tui.monitor.steering import SWEEP
from llamatop.tui.start.screen import StartScreen
from llamatop.tui.terminal.meter import NoCost

from .conftest import FakeLive, screen_text, settle, until


class FakeRecorder:
    path = Path("kept.parquet")

    def __init__(self) -> None:
        self.error: str | None = None
        self.events: list[Event] = []

    def write(self, events: Sequence[Event]) -> None:
        self.events += events

    def close(self) -> None:
        return

    def discard(self) -> None:
        return


class FakeLauncher:
    """Makes stages of events that are there already; keeps what it was asked for."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.asked: list[object] = []
        self.save = True
        self.refuse: InputError | None = None
        self.unwritable: InputError | None = None

    def run(self, config: RunConfig) -> Stage:
        self.asked.append(config)
        if self.refuse is not None:
            raise self.refuse
        live = FakeLive(self.events)
        return Stage(Pump(live, Session()), live=live)

    def replay(self, path: Path) -> Stage:
        self.asked.append(path)
        replay = Replay(self.events)
        return Stage(Pump(replay, Session()), replay=replay)

    def runs(self, paths: Sequence[Path]) -> list[Run]:
        self.asked.append(tuple(paths))
        if self.refuse is not None:
            raise self.refuse
        return [run_of(fold(self.events), path.stem) for path in paths]

    def record(self, config: RunConfig) -> FakeRecorder:
        if self.unwritable is not None:
            raise self.unwritable
        return FakeRecorder()

    def finish(self, recorder: Recorder, worth: bool) -> str:
        self.asked.append("finish")
        return "kept"

    def ended(self, session: Session) -> None:
        self.asked.append(("ended", session))

    def charts(self, runs: Sequence[Run], folder: Path) -> int:
        self.drawn = [run.name for run in runs]
        (folder / "chart.png").write_bytes(b"")
        return 1

    def warm(self) -> None:
        self.asked.append("warm")


def app_of(launcher: FakeLauncher, live: FakeLive | None = None) -> LlamatopApp:
    pump = Pump(live or Idle(), Session())
    return LlamatopApp(pump, live=live, launcher=launcher, meter=NoCost(), refresh_hz=0.01)


async def test_without_a_model_one_is_chosen_and_runs(run_events: list[Event]) -> None:
    launcher = FakeLauncher(until(run_events, 5))
    app = app_of(launcher)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: isinstance(app.screen, StartScreen) and launcher.asked)
        assert launcher.asked == ["warm"]
        app.screen.dismiss(RunConfig(model="demo"))
        await settle(pilot, lambda: app.live is not None and app.pump.session.model is not None)
        assert isinstance(app.live, FakeLive) and app.live.orders[0] == ("start",)
        assert app.stage.recorder is not None
        await settle(pilot, lambda: app.showing.monitor.table.has_focus)


async def test_another_run_ends_the_one_before_and_keeps_it(run_events: list[Event]) -> None:
    launcher, first = FakeLauncher(until(run_events, 5)), FakeLive(until(run_events, 5))
    app = app_of(launcher, first)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("m")
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        assert ("stop",) not in first.orders, "what runs goes on while a person chooses"
        first_session = app.pump.session
        app.screen.dismiss(Path("other.parquet"))
        await settle(pilot, lambda: app.showing.player is not None and "finish" in launcher.asked)
        assert ("stop",) in first.orders and ("close",) in first.orders
        assert launcher.asked == [Path("other.parquet"), ("ended", first_session), "finish"]


async def test_a_watch_hands_its_servers_on_to_be_driven() -> None:
    """Its name for a model is no server's, and its lengths nobody asked for."""
    config = RunConfig(model="attach", engine="attach", urls=("http://127.0.0.1:8080",))
    live = FakeLive([])
    app = LlamatopApp(
        Pump(live, Session()), live=live, launcher=FakeLauncher([]), start_defaults=config,
        meter=NoCost(), refresh_hz=0.01,
    )  # fmt: skip
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("m")
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        await settle(pilot, lambda: "$ llamatop" in "\n".join(screen_text(app)))
        [command] = [line for line in screen_text(app) if "$ llamatop" in line]
        begin, _, rest = command.strip(" │").partition(" --concurrency ")
        assert begin == "$ llamatop --url http://127.0.0.1:8080"
        assert rest == "4 --prompt-toks 128 --gen-toks 200"


async def test_escape_leads_back_to_the_run_and_ctrl_q_leaves_it(run_events: list[Event]) -> None:
    live = FakeLive(until(run_events, 5))
    app = app_of(FakeLauncher([]), live)
    async with app.run_test(size=(120, 36)) as pilot:
        for keys in (["escape"], ["x", "escape", "escape"]):
            await pilot.press("m")
            await settle(pilot, lambda: isinstance(app.screen, StartScreen))
            assert "esc back" in screen_text(app)[-1]
            await pilot.press(*keys)
            await settle(pilot, lambda: not isinstance(app.screen, StartScreen))
        assert app.live is live and ("stop",) not in live.orders
        await pilot.press("m")
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        await pilot.press("ctrl+q")
        await settle(pilot, lambda: not app.is_running or ("stop",) in live.orders)
    assert ("stop",) in live.orders and app.return_code == 0


async def test_leaving_the_choice_goes_back_to_the_run(run_events: list[Event]) -> None:
    live = FakeLive(until(run_events, 5))
    app = app_of(FakeLauncher([]), live)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("m")
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        app.screen.dismiss(None)
        await settle(pilot, lambda: not isinstance(app.screen, StartScreen))
        assert app.live is live and ("stop",) not in live.orders


async def test_what_cannot_be_is_told_and_chosen_anew(run_events: list[Event]) -> None:
    launcher = FakeLauncher(run_events)
    launcher.refuse = InputError("run.parquet exists already")
    app = app_of(launcher)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        app.screen.dismiss(RunConfig())
        await settle(pilot, lambda: app._notifications and isinstance(app.screen, StartScreen))
        assert "exists already" in next(iter(app._notifications)).message


async def test_a_sweep_is_ordered(run_events: list[Event]) -> None:
    live = FakeLive(until(run_events, 5))
    app = app_of(FakeLauncher([]), live)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: app.pump.session.model)
        await pilot.press("s", "s")
        assert ("sweep", *SWEEP) in live.orders


async def test_recording_stops_and_starts_anew_with_what_is_in_flight(
    run_events: list[Event],
) -> None:
    launcher, live = FakeLauncher([]), FakeLive(until(run_events, 5))
    app = app_of(launcher, live)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: app.stage.recorder and app.pump.session.model)
        app.tick()
        await settle(pilot, lambda: "● rec" in screen_text(app)[0])
        await pilot.press("r")
        await settle(pilot, lambda: "finish" in launcher.asked)
        assert app.stage.recorder is None and app.pump.sinks == []
        await settle(
            pilot, lambda: any("recording stopped: " in n.message for n in app._notifications)
        )
        app.tick()
        await settle(pilot, lambda: "not recording" in screen_text(app)[0])
        await pilot.press("r")
        await settle(pilot, lambda: app.stage.recorder is not None)
        app.tick()
        await settle(pilot, lambda: "● rec" in screen_text(app)[0])
        recorder = app.stage.recorder
        assert isinstance(recorder, FakeRecorder) and app.pump.sinks == [recorder]
        live.events = [e for e in run_events if e.time > 5 * SECOND]
        app.tick()
        part = fold(recorder.events)
        assert part.joined and part.ended == app.pump.session.ended
        assert set(part.requests) < set(app.pump.session.requests)
        last = list(app.pump.session.levels)[-1]
        assert part.levels[last] == app.pump.session.levels[last]
        await pilot.press("r", "r")
        await settle(pilot, lambda: "run is over" in told(app))


async def test_without_saving_a_run_can_still_be_recorded(run_events: list[Event]) -> None:
    launcher, live = FakeLauncher([]), FakeLive(until(run_events, 5))
    launcher.save = False
    app = app_of(launcher, live)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: app.pump.session.model)
        assert app.stage.recorder is None
        await pilot.press("r")
        await settle(pilot, lambda: app.stage.recorder is not None)
        [notice] = app._notifications
        assert notice.message == "recording from now on: kept.parquet"


async def test_a_recording_that_cannot_be_opened_leaves_the_run_alone(
    run_events: list[Event],
) -> None:
    launcher, live = FakeLauncher([]), FakeLive(until(run_events, 5))
    launcher.save = False
    launcher.unwritable = InputError("run.parquet: cannot be recorded to")
    app = app_of(launcher, live)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: app.pump.session.model)
        await pilot.press("r")
        await settle(pilot, lambda: "cannot be recorded to" in told(app))
        assert app.stage.recorder is None and ("stop",) not in live.orders
        launcher.unwritable = None
        await pilot.press("r")
        await settle(pilot, lambda: app.stage.recorder is not None)


async def test_what_cannot_be_recorded_is_chosen_anew(run_events: list[Event]) -> None:
    launcher, first = FakeLauncher(until(run_events, 5)), FakeLive(until(run_events, 5))
    app = app_of(launcher, first)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: app.stage.recorder)
        launcher.unwritable = InputError("recordings: not a folder")
        await pilot.press("m")
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        before = app.screen
        await pilot.press(*"no/such", "tab", "8")
        before.dismiss(RunConfig(model="demo"))
        await settle(
            pilot, lambda: isinstance(app.screen, StartScreen) and app.screen is not before
        )
        assert "not a folder" in told(app)
        await settle(pilot, lambda: not app.screen.start.looking)
        assert app.screen.start.listing.search.text == "no/such", "what was typed is still there"
        assert app.screen.start.form.edits["concurrency"].text == "8"
        assert app.screen.start.in_form
        assert app.live is first and ("stop",) not in first.orders, "what ran goes on"
        launcher.unwritable = None
        app.screen.dismiss(RunConfig(model="demo"))
        await settle(pilot, lambda: app.live is not first and app.stage.recorder is not None)
    assert app.return_code != 2


async def test_the_recording_of_what_is_shown_is_finished_before_it_is_replayed(
    run_events: list[Event],
) -> None:
    launcher, first = FakeLauncher(until(run_events, 5)), FakeLive(until(run_events, 5))
    app = app_of(launcher, first)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: app.stage.recorder)
        await pilot.press("m")
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        app.screen.dismiss(FakeRecorder.path.absolute())
        await settle(pilot, lambda: app.stage.replay is not None)
        assert ("close",) in first.orders
        finished = launcher.asked.index("finish")
        assert finished < launcher.asked.index(FakeRecorder.path.absolute())


async def test_escape_goes_back_to_what_is_shown(run_events: list[Event]) -> None:
    live = FakeLive(until(run_events, 5))
    app = app_of(FakeLauncher([]), live)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("m")
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        await pilot.press("x")
        assert "esc clear search" in screen_text(app)[-1]
        await pilot.press("escape")
        assert "esc back" in screen_text(app)[-1] and "leave" not in screen_text(app)[-1]
        await pilot.press("escape")
        await settle(pilot, lambda: len(app.screen_stack) == 1)
        assert app.is_running and ("stop",) not in live.orders


async def test_from_a_comparison_the_list_is_as_it_was_left(run_events: list[Event]) -> None:
    launcher = FakeLauncher(run_events)
    app = app_of(launcher)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        first, paths = app.screen, [Path("one.parquet"), Path("two.parquet")]
        first.start.marked += paths
        first.dismiss(tuple(paths))
        await settle(pilot, lambda: isinstance(app.screen, CompareScreen))
        await pilot.press("escape")
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        assert app.screen is not first and app.screen.start.marked == paths


async def test_what_was_asked_for_and_cannot_be_recorded_ends_the_app() -> None:
    launcher = FakeLauncher([])
    launcher.unwritable = InputError("run.parquet: cannot be recorded to")
    app = app_of(launcher, FakeLive())
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: app.changing.refusal)
    assert app.return_code == 2


def told(app: LlamatopApp) -> str:
    return "\n".join(notice.message for notice in app._notifications)


async def test_the_screen_and_its_charts_are_exported(
    run_events: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = app_of(FakeLauncher([]), FakeLive(until(run_events, 5)))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("e")
        await settle(pilot, lambda: list(tmp_path.glob("charts/*/chart.png")))
        (picture,) = tmp_path.glob("charts/*/screen.svg")
        drawn = picture.read_text()
        assert "url(http" not in drawn and "@font-face" not in drawn and "textLength" not in drawn
        assert "Throughput" in picture.read_text()


async def test_marked_recordings_are_compared_and_one_comes_back(run_events: list[Event]) -> None:
    launcher = FakeLauncher(run_events)
    live = FakeLive(until(run_events, 5))
    app = app_of(launcher, live)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("m")
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        paths = (Path("one.parquet"), Path("two.parquet"))
        app.screen.dismiss(paths)
        await settle(pilot, lambda: isinstance(app.screen, CompareScreen))
        assert launcher.asked == [paths]
        assert ("stop",) not in live.orders, "what runs goes on meanwhile"
        await pilot.press("c", "s", "r", "o", "slash")
        assert isinstance(app.screen, CompareScreen)
        assert live.orders == [("start",)], "its keys do not reach the run"
        await pilot.press("m")
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))


async def test_recordings_that_cannot_be_compared_are_told(run_events: list[Event]) -> None:
    launcher = FakeLauncher(run_events)
    launcher.refuse = InputError("one.parquet: no recording")
    app = app_of(launcher)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        app.screen.dismiss((Path("one.parquet"), Path("two.parquet")))
        await settle(pilot, lambda: app._notifications and isinstance(app.screen, StartScreen))
        told = [notification.message for notification in app._notifications]
        assert told == ["one.parquet: no recording"]


async def test_the_palette_of_a_comparison_acts_on_it(run_events: list[Event]) -> None:
    runs = [run_of(fold(run_events), name) for name in ("one", "two")]
    app = LlamatopApp(Pump(Idle(), Session()), comparing=runs, meter=NoCost())
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: isinstance(app.screen, CompareScreen))
        found = {one.title: one for one in app.get_system_commands(app.screen)}
        assert "Cancel the selected request" not in found
        await found["Next level"].callback()
        assert app.screen.comparing.level == 2


async def test_a_comparison_is_exported_with_the_charts_of_all_runs(
    run_events: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [run_of(fold(run_events), name) for name in ("one", "two")]
    launcher = FakeLauncher([])
    app = LlamatopApp(Pump(Idle(), Session()), launcher=launcher, comparing=runs, meter=NoCost())
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot, lambda: isinstance(app.screen, CompareScreen))
        await pilot.press("e")
        await settle(pilot, lambda: "2 files in" in told(app))
        assert launcher.drawn == ["one", "two"]
        (picture,) = tmp_path.glob("charts/*/screen.svg")
        assert "one" in picture.read_text() and "two" in picture.read_text()
        assert list(tmp_path.glob("charts/*/chart.png"))


async def test_the_palette_of_the_start_screen_acts_on_it(run_events: list[Event]) -> None:
    live = FakeLive(until(run_events, 5))
    app = app_of(FakeLauncher([]), live)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("m")
        await settle(pilot, lambda: isinstance(app.screen, StartScreen))
        found = {one.title: one for one in app.get_system_commands(app.screen)}
        assert "Cancel the selected request" not in found
        assert all(one.title and one.help != "key: " for one in found.values())
        assert not app.screen.start.in_form
        await found["Next"].callback()
        assert app.screen.start.in_form
        assert set(live.orders) <= {("start",)}


async def test_opened_to_compare_it_leads_to_the_list_or_out(run_events: list[Event]) -> None:
    runs = [run_of(fold(run_events), name) for name in ("one", "two")]
    for key, screen in (("escape", StartScreen), ("q", None)):
        launcher = FakeLauncher(run_events)
        app = LlamatopApp(
            Pump(Idle(), Session()), launcher=launcher, comparing=runs, meter=NoCost()
        )
        async with app.run_test(size=(120, 36)) as pilot:
            await settle(pilot, lambda app=app: isinstance(app.screen, CompareScreen))
            assert launcher.asked == [], "no engine is warmed up for a comparison"
            await pilot.press(key)
            if screen is None:
                await settle(pilot, lambda app=app: not app.is_running)
            else:
                await settle(pilot, lambda app=app: isinstance(app.screen, StartScreen))
                assert launcher.asked == ["warm"]

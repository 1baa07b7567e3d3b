"""A deterministic run, and the app upon it at any moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import SECOND, ManualClock
from llamatop.events.kinds import Event, HostFacts, ModelLoading, ModelRefused, RunStarted
from llamatop.predict.runtime import recalled_runtime
from llamatop.reports.fit import _band
from llamatop.run.pump import Pump
from llamatop.run.replay import Replay
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from llamatop.tui.app import LlamatopApp
from llamatop.tui.terminal.meter import NoCost

CONFIG = RunConfig(
    model="demo", engine="scripted", concurrency=(2, 8), requests=24, gen_toks=60, prompt_toks=128
)
GATED = "meta-llama/Llama-3.1-8B-Instruct: the model is gated; `hf auth login`, or --weights random"


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No themes of whoever runs the tests, nothing learnt of this machine, a good terminal."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("LLAMATOP_CACHE", str(tmp_path / "cache"))
    _band.cache_clear()
    recalled_runtime.cache_clear()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(App, "NOTIFICATION_TIMEOUT", 60)  # a busy machine may look late
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    return tmp_path / "config"


@pytest.fixture(scope="session")
def run_events() -> list[Event]:
    """A whole scripted run of two levels, in which every ninth request fails."""
    return script(CONFIG, Script(fail_every=9))


def started(model: str = "meta-llama/Llama-3.1-8B-Instruct") -> RunStarted:
    host = HostFacts("Linux", "a processor", 2, 24_000_000_000, "3.11")
    return RunStarted(0, RunConfig(model=model), host, "0.1.0", "2026-01-01T00:00:00Z")


def loading_events() -> list[Event]:
    return [started(), ModelLoading(4 * SECOND, "weights", 4_000_000_000, 16_000_000_000)]


def refused_events() -> list[Event]:
    return [started(), ModelRefused(SECOND, GATED)]


class FakeLive:
    """A live run made of events that are there already; keeps the orders that it gets."""

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.config = CONFIG
        self.events = list(events)
        self.orders: list[tuple[object, ...]] = []
        self.ended = False

    def drain(self) -> Sequence[Event]:
        events, self.events = self.events, []
        return events

    def start(self) -> None:
        self.orders.append(("start",))

    def resize(self, concurrency: int) -> None:
        self.orders.append(("resize", concurrency))

    def pause(self, paused: bool) -> None:
        self.orders.append(("pause", paused))

    def cancel(self, request: int) -> None:
        self.orders.append(("cancel", request))

    def sweep(self, levels: tuple[int, ...]) -> None:
        self.orders.append(("sweep", *levels))

    def stop(self) -> None:
        self.orders.append(("stop",))
        self.ended = True

    def close(self) -> None:
        self.orders.append(("close",))


def until(events: Sequence[Event], seconds: float) -> list[Event]:
    return [event for event in events if event.time <= seconds * SECOND]


def live_app(events: Sequence[Event], **options: object) -> LlamatopApp:
    """The app on a live run that has come as far as these events."""
    live = FakeLive(events)
    pump = Pump(live, Session())
    pump.step()
    return LlamatopApp(pump, live=live, meter=NoCost(), refresh_hz=0.01, **options)


def replay_app(events: Sequence[Event], seconds: float, **options: object) -> LlamatopApp:
    """The app on a replay that is paused at a moment."""
    replay = Replay(events, clock=ManualClock())
    pump = Pump(replay, Session())
    pump.session = replay.seek(int(seconds * SECOND))
    replay.pause(True)
    return LlamatopApp(pump, replay=replay, meter=NoCost(), refresh_hz=0.01, **options)


async def settle(pilot: Pilot[None], holds: Callable[[], object]) -> None:
    for _ in range(200):
        await pilot.pause(0.01)
        if holds():
            return
    raise AssertionError("it never came")


def screen_text(app: LlamatopApp) -> list[str]:
    """What stands on the screen, row by row."""
    update = app.screen._compositor.render_full_update()
    return ["".join(segment.text for segment in strip) for strip in update.strips]

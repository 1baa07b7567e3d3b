import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import SECOND, ManualClock
from llamatop.events.kinds import HostSampled, Tick
from llamatop.run import replay as replay_module
from llamatop.run.pump import Pump
from llamatop.run.replay import Replay, fold
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig

EVENTS = script(RunConfig(engine="scripted", concurrency=(2, 3)), Script(fail_every=4))


def playing(speed: float = 1.0) -> tuple[Replay, Pump, ManualClock]:
    clock = ManualClock()
    replay = Replay(EVENTS, speed, clock)
    return replay, Pump(replay, Session()), clock


def test_played_to_the_end_it_is_the_session() -> None:
    replay, pump, clock = playing()
    while not replay.ended:
        clock.time += SECOND // 3
        pump.step()
    assert pump.session == fold(EVENTS)
    assert replay.position == replay.length


def test_speed_and_pause() -> None:
    replay, pump, clock = playing(speed=8)
    clock.time = SECOND // 4
    pump.step()
    assert replay.position == 2 * SECOND
    replay.pause(True)
    clock.time = SECOND
    pump.step()
    assert replay.position == 2 * SECOND
    replay.pause(False)
    clock.time += SECOND // 8
    pump.step()
    assert replay.position == 3 * SECOND, "a pause does not catch up"


def test_speed_steps() -> None:
    replay, _, _ = playing()
    replay.faster()
    assert replay.speed == 2
    replay.faster(-99)
    assert replay.speed == 0.25


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1, 12), min_size=1, max_size=4))
def test_a_seek_lands_on_the_prefix(seconds: list[float]) -> None:
    replay, pump, _ = playing()
    for second in seconds:
        pump.session = replay.seek(round(second * SECOND))
    expected = [event for event, due in zip(EVENTS, replay._due, strict=True)
                if due <= replay.position]  # fmt: skip
    assert pump.session == fold(expected)


def test_seeking_goes_through_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "SNAPSHOT_EVENTS", 50)
    monkeypatch.setattr(replay_module, "EVENTS_PER_REQUEST", 1)
    replay, pump, clock = playing()
    replay.seek(replay.length)
    assert len(replay._snapshots) == 1 + len(EVENTS) // 50
    pump.session = replay.seek(replay.length // 2)
    clock.time = replay.length
    pump.step()
    assert pump.session == fold(EVENTS)


def test_a_step_goes_to_the_next_moment() -> None:
    replay, pump, _ = playing()
    replay.pause(True)
    pump.step()
    before = replay.position
    pump.session = replay.step()
    assert replay.position > before
    assert pump.session == fold(EVENTS[: replay._next])


def test_steps_stop_at_tokens_and_not_at_what_comes_by_the_clock() -> None:
    replay, _, _ = playing()
    replay.pause(True)
    shown = sorted({e.time for e in EVENTS if not isinstance(e, (Tick, HostSampled))})
    there = []
    while replay.position < shown[-1]:
        replay.step()
        there.append(replay.position)
    assert there == [time for time in shown if time > 0]
    back = [replay.position]
    while replay.position > shown[0]:
        replay.step(-1)
        back.append(replay.position)
    assert back == shown[::-1]


def test_a_step_back_undoes_a_step() -> None:
    replay, _, _ = playing()
    replay.seek(2 * SECOND)
    here = replay.step()
    replay.step()
    assert replay.step(-1) == here
    replay.seek(replay.start)
    replay.step(-1)
    assert replay.position == replay.start


def test_an_empty_recording_plays() -> None:
    replay = Replay([], clock=ManualClock())
    assert replay.drain() == []
    assert replay.ended
    assert replay.step() == Session()


def test_prepared_in_a_thread_it_seeks_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "SNAPSHOT_EVENTS", 50)
    monkeypatch.setattr(replay_module, "EVENTS_PER_REQUEST", 1)
    monkeypatch.setattr(replay_module, "_BREATH", 0)
    replay, _, _ = playing()
    thread = threading.Thread(target=replay.prepare)
    thread.start()
    for share in (0.9, 0.1, 0.5, 1.0):
        session = replay.seek(round(replay.length * share))
        assert session == fold(EVENTS[: replay._next])
    thread.join(30)
    assert [place for place, _ in replay._snapshots] == list(range(0, len(EVENTS) + 1, 50))
    for place, snapshot in replay._snapshots:
        assert snapshot == fold(EVENTS[:place])

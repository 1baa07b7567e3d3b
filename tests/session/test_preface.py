"""A recording that starts anywhere in a run says of what follows what the whole one says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import ManualClock
from llamatop.events.kinds import (
    AdmissionPaused,
    Event,
    LevelEnded,
    LevelStarted,
    RequestAdmitted,
    RequestFinished,
    RequestQueued,
    RunStarted,
    TokensEmitted,
)
from llamatop.figures.levels import level_figures
from llamatop.recording.reader import open_recording
from llamatop.recording.writer import Recorder
from llamatop.reports.run_text import table
from llamatop.reports.summary import summary
from llamatop.run.replay import Replay, fold
from llamatop.session.known import BIN
from llamatop.session.preface import preface
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from tests.served import TWO, served, served_events

CONFIG = RunConfig(engine="scripted", concurrency=(3, 5), requests=14, gen_toks=20)
EVENTS = script(CONFIG, Script(fail_every=6))


SERVED = served_events(
    served(urls=TWO, concurrency=(3, 5), requests=14, gen_toks=20),
    short_every=3, resend_every=4, reasoning=5,
)  # fmt: skip


def joined_at(place: int, events: list[Event] = EVENTS) -> list[Event]:
    """The events of a recording that began after so many of the run's."""
    return preface(fold(events[:place])) + events[place:]


@pytest.mark.parametrize("where", ["in process", "on servers"])
@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 1))
def test_what_follows_folds_to_the_same(where: str, share: float) -> None:
    events = SERVED if where == "on servers" else EVENTS
    place = min(max(round(share * len(events)), 1), len(events) - 1)
    whole, live, part = fold(events), fold(events[:place]), fold(joined_at(place, events))
    assert part.servers == whole.servers and part.away == whole.away
    assert part.joined == live.now
    assert part.now == whole.now and part.ended == whole.ended and part.model == whole.model
    gone = {id for id, request in live.requests.items() if not request.active}
    assert part.requests == {id: r for id, r in whole.requests.items() if id not in gone}
    for level in part.levels.values():
        known = whole.levels[level.id]
        assert level.forgotten + len(level.requests) == len(known.requests)
        assert level.outcome == known.outcome and level.started == known.started
    later = part.joined // BIN + 1
    assert part.token_bins[later:] == whole.token_bins[later:]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, len(EVENTS) - 1))
def test_figures_count_from_then_on(place: int) -> None:
    whole, part = fold(EVENTS), fold(joined_at(place))
    for level in part.levels.values():
        if level.joined is None:
            known = level_figures(whole, whole.levels[level.id])
            assert level_figures(part, level) == known
            continue
        since = level.joined
        tokens = [
            (time, count)
            for request in whole.levels[level.id].requests
            for time, count in zip(request.times, request.counts, strict=True)
            if time >= since and request.id in part.requests
        ]
        figures = level_figures(part, level)
        assert figures.output_tokens == sum(count for _, count in tokens)
        if tokens and max(tokens)[0] > since:
            seconds = (max(tokens)[0] - since) / 1e9
            assert figures.output_rate == pytest.approx(figures.output_tokens / seconds)
        ended = [r for r in part.requests.values() if r.state == "done" and r in level.requests]
        assert figures.completed == len(ended)


def test_started_between_two_levels_it_has_the_next_one_whole() -> None:
    second = next(i for i, e in enumerate(EVENTS) if isinstance(e, LevelStarted) and e.level == 1)
    part = fold(joined_at(second))
    assert list(part.levels) == [1] and part.levels[1].joined is None
    assert part.levels[1] == fold(EVENTS).levels[1]


def test_a_level_that_was_resized_keeps_its_requests_in_flight() -> None:
    events: list[Event] = [
        next(event for event in EVENTS if isinstance(event, RunStarted)),
        LevelStarted(10, 0, 2, None),
        RequestQueued(11, 0, 0, 8, 4),
        RequestAdmitted(12, 0, 0),
        RequestQueued(11, 1, 0, 8, 4),
        RequestAdmitted(12, 1, 0),
        TokensEmitted(13, 0, 1),
        RequestFinished(14, 1, "stop"),
        LevelEnded(15, 0, "ok", 77, None, "", "time", 14),
        LevelStarted(15, 1, 3, None),
        AdmissionPaused(16, True),
    ]
    live = fold(events)
    part = fold(preface(live))
    assert part.active == live.active and part.paused
    assert (part.levels[0].forgotten, part.levels[0].joined) == (1, 16)
    known = (part.levels[0].ended, part.levels[0].outcome, part.levels[0].ended_by)
    assert known == (15, "ok", "time") and part.levels[0].enough_at == 14
    assert part.levels[0].host_peak_bytes == 77 and part.level == fold(preface(part)).level
    assert part.requests[0].level == 0 and part.level is not None and part.level.id == 1


def test_nothing_precedes_a_run_that_has_not_begun() -> None:
    assert preface(Session()) == []


@pytest.mark.parametrize("keep_text", [False, True])
def test_recorded_from_the_middle_it_opens_and_says_so(tmp_path: Path, keep_text: bool) -> None:
    place = len(EVENTS) // 3
    recorder = Recorder(tmp_path / "part.parquet", keep_text)
    recorder.write(preface(fold(EVENTS[:place])))
    recorder.write(EVENTS[place:])
    recorder.close()
    recording = open_recording(tmp_path / "part.parquet")
    assert recording.complete and not recording.notices
    part = fold(recording.events)
    assert part == fold(joined_at(place))
    told = summary(part, None)
    assert told["joined_s"] == part.joined / 1e9 > 0
    assert "recorded from" in table(part)
    assert summary(fold(EVENTS), None)["joined_s"] is None


def test_a_replay_of_it_begins_where_it_was_started() -> None:
    halves = range(len(EVENTS) * 2 // 3, len(EVENTS))
    place = next(i for i in halves if EVENTS[i].time > fold(EVENTS[:i]).now)
    live = fold(EVENTS[:place])
    assert live.active
    replay = Replay(joined_at(place), clock=ManualClock())
    assert replay.start == replay.position == live.now
    session = replay.seek(0)
    assert replay.position == live.now
    assert session.active == live.active
    assert isinstance(session.started, RunStarted) and session.started.joined == live.now

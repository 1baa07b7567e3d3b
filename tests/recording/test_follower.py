"""A recording is followed while it is made, by whoever joins whenever, to the same fold."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamatop.events.kinds import Event
from llamatop.recording import follower, writer
from llamatop.recording.default_path import named_after
from llamatop.recording.follower import Follower, follow
from llamatop.recording.reader import fold_recording, open_recording
from llamatop.recording.writer import Recorder
from llamatop.run.replay import fold
from llamatop.session.blocks import Block, Blocks
from tests.recording import runs
from tests.waiting import until

EVENTS = runs.without_text(runs.run())


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(follower, "QUIET_SECONDS", 0.05)


class Watcher:
    """What one that follows has got."""

    def __init__(self, path: Path) -> None:
        joined = follow(path)
        assert joined is not None
        self.follower: Follower = joined
        self._blocks: list[Block] = []

    @property
    def events(self) -> Blocks:
        self._blocks += self.follower.take()
        return Blocks(self._blocks)

    def ended(self, state: str = "whole") -> Blocks:
        """All, when that state has come."""
        until(lambda: self.follower.state == state)
        events = self.events
        self.follower.close()
        return events


def same(watcher: Watcher, path: Path) -> None:
    """It has exactly what the recording has."""
    events, recording = watcher.ended(), open_recording(path)
    assert events == recording.events
    assert fold(events) == fold(recording.events) == fold_recording(path).session
    assert (watcher.follower.path, watcher.follower.facts) == (path, recording.facts)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(0, len(EVENTS)), min_size=1, max_size=5))
def test_who_joins_at_any_point_ends_with_the_recording(
    tmp_path_factory: pytest.TempPathFactory, joins: list[int]
) -> None:
    path = tmp_path_factory.mktemp("run") / "a.parquet"
    recorder, watchers, at = Recorder(path), list[Watcher](), 0
    for join in sorted(joins):
        recorder.write(EVENTS[at:join])
        at = join
        watchers.append(Watcher(path))
    recorder.write(EVENTS[at:])
    recorder.close()
    assert follow(path) is None
    for watcher in watchers:
        same(watcher, path)


def test_who_joins_before_the_first_event_and_who_joins_between_the_end_and_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on, publish = threading.Event(), threading.Event(), writer.publish

    def hold(temporary: Path, path: Path) -> None:
        reached.set()
        go_on.wait()
        publish(temporary, path)

    monkeypatch.setattr(writer, "publish", hold)
    path = tmp_path / "a.parquet"
    recorder = Recorder(path)
    first = Watcher(path)
    assert len(first.events) == 0
    recorder.write(EVENTS)
    closing_it = threading.Thread(target=recorder.close)
    closing_it.start()
    reached.wait()
    last = Watcher(path)
    assert last.events == EVENTS
    assert fold_recording(path).session == fold(EVENTS)
    go_on.set()
    closing_it.join()
    same(first, path)
    same(last, path)


def test_while_the_journal_is_still_beside_its_file_the_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    seen = []

    def look(journal: writer.Journal) -> None:
        seen.append((follow(path), open_recording(path)))
        removed(journal)

    removed = writer.Journal.remove
    monkeypatch.setattr(writer.Journal, "remove", look)
    recorder = Recorder(path)
    recorder.write(EVENTS)
    recorder.close()
    ((followed, recording),) = seen
    assert followed is None
    assert (recording.events, recording.complete, recording.notices) == (EVENTS, True, [])


def test_a_recording_that_gets_its_models_name_is_found(tmp_path: Path) -> None:
    path = tmp_path / "2026-11-23-120000-server.parquet"
    recorder = Recorder(path, named=named_after)
    watcher = Watcher(path)
    recorder._model = "tiny"
    recorder.write(EVENTS)
    recorder.close()
    assert recorder.path.name == "2026-11-23-120000-tiny.parquet"
    same(watcher, recorder.path)


def left_alone(recorder: Recorder) -> None:
    """As a kill leaves it: what was flushed stays, and nobody holds it."""
    until(lambda: not recorder.waiting)
    journal = recorder._stop()
    assert journal is not None
    journal.close()


def test_a_writer_that_is_gone_is_told_and_what_it_wrote_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    recorder = Recorder(path)
    recorder.write(EVENTS[:50])
    watchers = [Watcher(path), Watcher(path)]
    left_alone(recorder)
    for watcher in watchers:
        until(lambda watcher=watcher: watcher.follower.state == "cut off")
        assert watcher.events == EVENTS[:50]
    assert follow(path) is None
    recovered = open_recording(path)
    assert (recovered.events, recovered.complete) == (EVENTS[:50], False)
    for watcher in watchers:
        same(watcher, path)


def test_a_recording_that_is_thrown_away_is_gone(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.parquet")
    recorder.write(EVENTS[:20])
    watcher = Watcher(recorder.path)
    until(lambda: not recorder.waiting)
    recorder.discard()
    assert watcher.ended("gone") == EVENTS[:20]


def test_what_breaks_while_it_is_read_ends_the_following(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path / "a.parquet")
    until(lambda: follow(recorder.path))
    watcher = Watcher(recorder.path)
    monkeypatch.setattr(follower, "block_of", lambda blob: {}["nothing"])
    recorder.write(EVENTS)
    assert watcher.ended("gone") == []
    recorder.discard()


def test_another_machine_is_believed_to_live_as_long_as_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a file system that keeps no locks; here they are let go of."""
    monkeypatch.setattr(follower, "GROWS", 0.2)
    path = tmp_path / "a.parquet"
    with monkeypatch.context() as there:
        there.setattr(socket, "gethostname", lambda: "another")
        recorder = Recorder(path)
    recorder.write(EVENTS[:20])
    with closing(follow(path) or pytest.fail("not followed")) as following:
        assert following.host == "another"
        left_alone(recorder)
        until(lambda: following.state == "cut off")


def test_what_is_read_of_it_meanwhile_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    recorder = Recorder(path)
    written: list[Event] = []
    try:
        for at in range(0, 120, 40):
            recorder.write(EVENTS[at : at + 40])
            written += EVENTS[at : at + 40]
            until(lambda at=at: len(open_recording(path).events) == at + 40)
            folded = fold_recording(path)
            assert folded.session == fold(written)
            assert (folded.complete, folded.growing) == (False, True)
            assert folded.notices == [
                f"{path} is still being recorded: this is of its first {len(written)} events"
            ]
    finally:
        recorder.close()
    assert not fold_recording(path).growing

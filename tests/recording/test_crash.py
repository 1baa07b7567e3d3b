"""Kills, for real and at every step of finalising."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from llamatop.events.kinds import Event, RunEnded, Tick, TokensEmitted
from llamatop.recording import files, journal, parquet, reader, writer
from llamatop.recording.reader import open_recording
from llamatop.recording.writer import Recorder
from tests.recording import runs
from tests.waiting import until

EVENTS = runs.without_text(runs.run())


def numbered(count: int, start: int = 0) -> list[Event]:
    return [TokensEmitted(n * 1000, n % 7, 1) for n in range(start, start + count)]


CHILD = """
import sys, time
from llamatop.recording.writer import Recorder
from tests.recording.test_crash import numbered
recorder, written, end = Recorder(sys.argv[1]), 0, time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    recorder.write(numbered(20, written))
    written += 20
    print(time.monotonic(), written, flush=True)
    time.sleep(0.02)
recorder.close()
print(time.monotonic(), "closed", flush=True)
time.sleep(60)
"""


def test_a_kill_at_any_instant_takes_at_most_the_last_second(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Five at once: three in the middle of a run, two about when they finalise."""
    chance = random.Random()
    lives = {n: (9.0, 0.3 + n / 2 + chance.random() / 2) for n in range(3)}
    lives |= {3: (0.7, 0.7 + chance.random() / 20), 4: (0.6, 0.6 + chance.random() / 20)}
    children = {}
    for n, (run, _) in lives.items():
        command = [sys.executable, "-c", CHILD, str(tmp_path / f"{n}.parquet"), str(run)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        children[n] = child
    first = {n: str(child.stdout.readline()) for n, child in children.items() if child.stdout}
    killed = {}
    for n in sorted(lives, key=lambda n: float(first[n].split()[0]) + lives[n][1]):
        until(lambda n=n: time.monotonic() >= float(first[n].split()[0]) + lives[n][1])
        children[n].kill()
        killed[n] = time.monotonic()
    worst = 0.0
    for n, child in children.items():
        lines = [line.split() for line in (first[n] + child.communicate()[0]).splitlines()]
        told = [(float(at), int(count)) for at, count in lines if count != "closed"]
        recovered = open_recording(tmp_path / f"{n}.parquet").events
        assert recovered == numbered(len(recovered))
        safe = max((count for at, count in told if at <= killed[n] - 1), default=0)
        assert safe <= len(recovered) <= told[-1][1] + 20
        lost = min((at for at, count in told if count > len(recovered)), default=killed[n])
        worst = max(worst, killed[n] - lost)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n}.parquet" for n in lives]
    record_property("figure", f"{len(lives)} kills, at most {worst:.2f} s lost")


WATCHED = {module.__file__ for module in (files, journal, parquet, reader, writer)}


class Snapshots:
    """Copies a folder whenever it has changed from one line of our code to the next.

    Each copy is what a kill at that line would have left.
    """

    def __init__(self, folder: Path, copies: Path) -> None:
        self.folder = folder
        self.copies = copies
        self.steps: list[tuple[str, Path]] = []
        self._last: object = None

    def __enter__(self) -> Snapshots:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:
        return self._line if frame.f_code.co_filename in WATCHED else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:
        files = sorted(self.folder.iterdir())
        state = [(file, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        if state != self._last:
            self._last = state
            copy = self.copies / str(len(self.steps))
            shutil.copytree(self.folder, copy)
            self.steps.append((f"{frame.f_code.co_name}:{frame.f_lineno}", copy))
        return self._line


def test_a_kill_at_each_step_of_finalising_leaves_one_whole_recording(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    recorder = Recorder(folder / "a.parquet")
    recorder.write(EVENTS[:100])
    until(lambda: written(recorder))
    recorder.write(EVENTS[100:])
    with Snapshots(folder, tmp_path / "copies") as snapshots:
        recorder.close()
    assert recorder.saved
    states = {tuple(sorted(p.name for p in copy.iterdir())) for _, copy in snapshots.steps}
    name, log = "a.parquet", "a.parquet.journal"
    assert {(log, f"{log}-tmp", f"{log}-wal"), (name, log), (name,)} <= states
    check(snapshots, after=len(states))


def test_a_kill_at_each_step_of_recovering_leaves_one_whole_recording(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    recorder = Recorder(tmp_path / "living" / "a.parquet")
    recorder.write(EVENTS)
    until(lambda: written(recorder))
    shutil.copytree(tmp_path / "living", folder)
    recorder.discard()
    with Snapshots(folder, tmp_path / "copies") as snapshots:
        assert open_recording(folder / "a.parquet").events == EVENTS
    check(snapshots, after=4)


def written(recorder: Recorder) -> bool:
    """Whether the first flush has ended."""
    assert recorder._journal is not None
    return recorder._journal._length > 1


def check(snapshots: Snapshots, after: int) -> None:
    """Whatever is found can be opened, and then the recording is all there is."""
    assert len(snapshots.steps) >= after
    for place, copy in snapshots.steps:
        recording = open_recording(copy / "a.parquet")
        assert recording.events == EVENTS[: len(recording.events)], place
        assert len(recording.events) >= 100, place
        assert [path.name for path in copy.iterdir()] == ["a.parquet"], place
        again = open_recording(copy / "a.parquet")
        assert (again.events, again.notices) == (recording.events, []), place
    assert open_recording(snapshots.steps[-1][1] / "a.parquet").complete


def test_a_run_cut_off_between_events_of_its_end_is_not_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    recorder = Recorder(path)
    recorder.write([RunEnded(1, "ok"), *(Tick(n) for n in range(100))])
    recorder.close()
    assert not open_recording(path).complete


@pytest.mark.parametrize("thread", ["recorder"])
def test_the_thread_does_not_keep_the_program_alive(tmp_path: Path, thread: str) -> None:
    code = (
        "import sys, threading; from llamatop.recording.writer import Recorder; "
        "Recorder(sys.argv[1]); print([t.name for t in threading.enumerate()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.parquet")],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert thread in done.stdout
    assert open_recording(tmp_path / "a.parquet").events == []

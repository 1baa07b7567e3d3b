"""kill -9 of whoever writes a recording, and of whoever follows it: the other is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from llamatop.recording import follower
from llamatop.recording.follower import follow
from llamatop.recording.reader import open_recording
from llamatop.recording.writer import Recorder
from llamatop.session.blocks import Block, Blocks
from tests.recording.test_crash import numbered
from tests.waiting import until

WRITE = """
import sys, time
from llamatop.recording import writer
from tests.recording.test_crash import numbered
writer.FLUSH_SECONDS = 0.02
for path in sys.stdin:
    recorder, written = writer.Recorder(path.strip()), 0
    print(flush=True)
    while True:
        recorder.write(numbered(20, written))
        written += 20
        time.sleep(0.005)
"""

FOLLOW = """
import sys
from llamatop.recording import follower
follower.LOOK_SECONDS = 0.001
for path in sys.stdin:
    following = follower.follow(path.strip())
    print(following is not None, flush=True)
    sys.stdin.readline()
"""


@contextmanager
def process(program: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """One that has begun to write or to follow a recording; it is killed in the end."""
    running = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(f"{path}\n")
        running.stdin.flush()
        assert running.stdout.readline().strip() in ("", "True")
        yield running
    finally:
        running.kill()
        running.communicate()


def kill_a_writer(path: Path, after: float) -> None:
    """What was followed is all there is, and the watcher knows why no more comes."""
    with process(WRITE, path) as writing:
        following, blocks = follow(path), list[Block]()
        assert following is not None
        with closing(following):
            until(lambda: blocks.extend(following.take()) or blocks)
            time.sleep(after)
            os.kill(writing.pid, signal.SIGKILL)
            until(lambda: following.state == "cut off")
            blocks += following.take()
            held = Blocks(blocks)
            assert list(held) == numbered(len(held))
            recovered = open_recording(path)  # by another, while we still follow
            assert list(recovered.events)[: len(held)] == list(held)
            until(lambda: following.state == "whole")
            blocks += following.take()
            assert Blocks(blocks) == recovered.events
            assert not recovered.complete


def kill_a_watcher(path: Path, after: float) -> None:
    """The recording is what it would have been."""
    recorder = Recorder(path)
    events = numbered(4000)
    with process(FOLLOW, path) as watching:
        for at in range(0, 4000, 100):
            recorder.write(events[at : at + 100])
            if at == 2000:
                time.sleep(after)
                os.kill(watching.pid, signal.SIGKILL)
        recorder.close()
    assert (recorder.error, recorder.saved) == (None, True)
    assert open_recording(path).events == events
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(follower, "QUIET_SECONDS", 0.05)


def test_a_writer_that_is_killed_leaves_the_watcher_whole(tmp_path: Path) -> None:
    kill_a_writer(tmp_path / "a.parquet", 0.1)


@pytest.mark.slow
def test_a_watcher_that_is_killed_leaves_the_writer_whole(tmp_path: Path) -> None:
    kill_a_watcher(tmp_path / "a.parquet", 0.02)


@pytest.mark.slow
def test_fifty_kills_each(tmp_path: Path) -> None:
    chance = random.Random()
    for number in range(50):
        for name, kill in (("writer", kill_a_writer), ("watcher", kill_a_watcher)):
            folder = tmp_path / f"{name}-{number}"
            folder.mkdir()
            kill(folder / "a.parquet", chance.random() / 10)

"""What those who follow a recording take from the run that makes it, and how far they lag.

    python benchmarks/follow.py [--watchers 3] [--turns 12] [--seconds 10]

A run of the scripted engine, about 5,000 events a second, is recorded without a screen. By turns
so many `llamatop replay` follow it, each on a pseudo-terminal of its own, or none does. Of each
turn: tokens per second by the recording's own times, and how old the newest event of each blob is
when it can be read from the journal. The lag is that of one more that follows, in this process:
the time of day less the moment that it would show.
"""

from __future__ import annotations

import argparse
import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from math import exp, log
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from llamatop.events.clock import SECOND
from llamatop.events.kinds import RunStarted
from llamatop.recording.files import journal_of
from llamatop.recording.follower import follow
from llamatop.recording.reader import open_recording
from llamatop.recording.schema import block_of, from_blob
from llamatop.recording.tail import Tail
from llamatop.run.following import Following
from llamatop.run.pump import Pump
from llamatop.session.blocks import EMISSION
from llamatop.session.reducer import Session

ROOT = Path(__file__).parents[1]
CONCURRENCY = 128
"""Of requests that get 40 tokens a second each."""

SETTLING = 4.0
"""Seconds in which watchers start, or end, between two turns."""

Turn = tuple[bool, int, int]
"""Whether it was watched; from when to when (ns of the monotonic clock)."""


class Watchers:
    """Screens that follow a recording, on pseudo-terminals that somebody reads."""

    def __init__(self, path: Path, count: int) -> None:
        self._path, self._count = path, count
        self._running: list[tuple[subprocess.Popen[bytes], int]] = []

    def start(self) -> None:
        """Start all."""
        for _ in range(self._count):
            ours, theirs = pty.openpty()
            process = subprocess.Popen(
                [sys.executable, "-m", "llamatop", "replay", str(self._path)],
                cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
                env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "36"},
            )  # fmt: skip
            os.close(theirs)
            threading.Thread(target=_read, args=(ours,), daemon=True).start()
            self._running.append((process, ours))

    def end(self) -> None:
        """End them as a person would."""
        for process, ours in self._running:
            process.send_signal(signal.SIGTERM)
            process.wait()
            os.close(ours)
        self._running.clear()


def _read(terminal: int) -> None:
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:
        return


class Probe:
    """When each blob could be read, and how far one that follows lags."""

    def __init__(self, path: Path) -> None:
        self.ages: list[tuple[int, float]] = []
        """When (ns), and seconds since the newest event of a blob."""
        self.lags: list[tuple[int, float]] = []
        self.origin = 0
        self._path = path
        self._over = threading.Event()
        self._threads = [threading.Thread(target=look) for look in (self._blobs, self._lag)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _blobs(self) -> None:
        tail = Tail(journal_of(self._path))
        while not self._over.wait(0.005):
            for blob in tail.take():
                now = time.monotonic_ns()
                block, _ = block_of(from_blob(blob))
                started = (e for e in block.others.values() if isinstance(e, RunStarted))
                self.origin = next((event.origin for event in started), self.origin)
                self.ages.append((now, (now - self.origin - max(block.times)) / SECOND))
        tail.close()

    def _lag(self) -> None:
        feed = follow(self._path)
        assert feed is not None
        replay = Following(feed)
        pump = Pump(replay, Session(keep=1000))
        while not self._over.wait(0.1):
            if replay.far_behind:
                pump.session = replay.seek(replay.length)
            pump.step()
            now = time.monotonic_ns()
            if self.origin:
                self.lags.append((now, (now - self.origin - replay.position) / SECOND))
        replay.close()


def measure(path: Path, watchers: int, turns: int, seconds: float) -> None:
    """The turns, and what came of them."""
    command = [sys.executable, "-m", "llamatop", "--record", "--engine", "scripted",
               "--concurrency", str(CONCURRENCY), "--requests", "1000000", "--gen-toks", "400",
               "--out", str(path)]  # fmt: skip
    run = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    while not journal_of(path).exists() or not list(Tail(journal_of(path)).take()):
        time.sleep(0.1)
    probe, screens, done = Probe(path), Watchers(path, watchers), list[Turn]()
    for turn in range(2 * turns):
        watched = turn % 4 in (0, 3)
        if watched:
            screens.start()
        time.sleep(SETTLING)
        began = time.monotonic_ns()
        time.sleep(seconds)
        done.append((watched, began, time.monotonic_ns()))
        screens.end()
        print(f"\rturn {turn + 1} of {2 * turns}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    probe.end()
    run.send_signal(signal.SIGINT)
    run.wait()
    tell(path, probe, done, watchers)


def tell(path: Path, probe: Probe, turns: Sequence[Turn], watchers: int) -> None:
    """The figures."""
    events = open_recording(path).events
    kinds = np.frombuffer(b"".join(block.kinds for block in events.blocks), np.uint8)
    times = np.concatenate([np.frombuffer(block.times, np.int64) for block in events.blocks])
    emitted = np.sort(times[kinds == EMISSION] + probe.origin)

    def rate(turn: Turn) -> float:
        count = np.searchsorted(emitted, turn[2]) - np.searchsorted(emitted, turn[1])
        return float(count) / (turn[2] - turn[1]) * SECOND

    def within(told: Sequence[tuple[int, float]], watched: bool) -> list[float]:
        of = [turn for turn in turns if turn[0] == watched]
        return [x for now, x in told if any(begin <= now < end for _, begin, end in of)]

    with_, without = ([rate(turn) for turn in turns if turn[0] == one] for one in (True, False))
    ratios = [log(a / b) for a, b in zip(with_, without, strict=True)]
    half = 2.0 * stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else float("nan")
    low, middle, high = (exp(fmean(ratios) + by) for by in (-half, 0.0, half))
    print(f"tokens per second with {watchers} watchers  {fmean(with_):,.0f}")
    print(f"with none                        {fmean(without):,.0f}")
    print(f"ratio, 95 %                      {middle:.4f} ({low:.4f} to {high:.4f})")
    for name, watched in ((f"with {watchers} watchers", True), ("with none", False)):
        p50, p99 = np.percentile(within(probe.ages, watched), (50, 99)) * 1000
        print(f"age of a blob {name:<18} p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    lags = np.array(within(probe.lags, True))
    print(f"lag of one that follows          p50 {np.median(lags):.2f} s, "
          f"p99 {np.percentile(lags, 99):.2f} s, most {lags.max():.2f} s")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=3)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder) / "run.parquet", args.watchers, args.turns, args.seconds)

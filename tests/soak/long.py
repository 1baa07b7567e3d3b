"""Runs that go on for half an hour at 5,000 tokens a second: without a screen, and on one."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pexpect
import psutil

from llamatop.engines.host import SCRIPTED_STEP
from llamatop.recording.reader import fold_recording
from tests.soak.told import Facts, Part

MOST_GROWTH = 1e6
"""Bytes in ten minutes."""
AT_ONCE, TOKENS, STEP = 60, 100, 0.01
"""Requests, tokens of each, seconds from one to the next: 6,000 tokens/s less what waits."""
SIZE = (36, 120)
SAMPLE_SECONDS = 5.0
SAMPLES = 40
"""At least, of a short run."""


def record(args: argparse.Namespace, folder: Path, done: int) -> Iterator[Facts]:
    """Without a screen."""
    out, seconds = folder / "run.parquet", args.minutes * 60
    command = [sys.executable, *_options(out), "--record", "--requests", "100000000",
               "--max-time", str(seconds)]  # fmt: skip
    quiet = subprocess.DEVNULL
    run = subprocess.Popen(command, env=_environment(), stdout=quiet, stderr=quiet)
    yield from _watched(run.pid, seconds, _sleeps, out, lambda: run.wait(900))


def _sleeps(until: float) -> None:
    time.sleep(max(until - time.monotonic(), 0))


def screen(args: argparse.Namespace, folder: Path, done: int) -> Iterator[Facts]:
    """On a real pseudo-terminal, which is read as it comes."""
    out, seconds = folder / "run.parquet", args.minutes * 60
    run = pexpect.spawn(
        sys.executable, _options(out), env={**_environment(), "TERM": "xterm-256color"},
        dimensions=SIZE,
    )  # fmt: skip

    def reads(until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            try:
                run.read_nonblocking(65536, timeout=left)
            except (pexpect.TIMEOUT, pexpect.EOF):
                return

    def leaves() -> None:
        run.send("q")
        run.expect(pexpect.EOF, timeout=900)
        run.close()

    reads(time.monotonic() + min(10, seconds))
    yield from _watched(run.pid, seconds, reads, out, leaves)


def _options(out: Path) -> list[str]:
    return ["-m", "llamatop", "--engine", "scripted", "--out", str(out),
            "--concurrency", str(AT_ONCE), "--gen-toks", str(TOKENS)]  # fmt: skip


def _environment() -> dict[str, str]:
    return {**os.environ, SCRIPTED_STEP: str(STEP)}


def _watched(
    pid: int,
    seconds: float,
    passes: Callable[[float], None],
    out: Path,
    ends: Callable[[], object],
) -> Iterator[Facts]:
    """Memory, descriptors and threads of a process, `passes` waiting until a time."""
    process, began = psutil.Process(pid), time.monotonic()
    every = min(SAMPLE_SECONDS, seconds / SAMPLES)
    seen: list[tuple[float, float, float, float]] = []
    while (now := time.monotonic() - began) < seconds and _lives(process):
        with process.oneshot():
            sizes = (process.memory_info().rss, process.num_fds(), process.num_threads())
        seen.append((now, *sizes))
        passes(began + now + every)
    ends()
    half = np.array(seen[len(seen) // 2 :])
    slope = np.polyfit(half[:, 0], half[:, 1], 1)[0] * 600
    session = fold_recording(out).session
    lasted, tokens = max(session.now / 1e9, 1e-9), sum(session.token_bins)
    yield {
        "done": 1,
        "minutes": now / 60,
        "slope": float(slope),
        "begin": float(half[0, 1]),
        "end": float(half[-1, 1]),
        "rate": tokens / lasted,
        "requests": len(session.requests) / lasted,
        "descriptors": float(half[:, 2].max() - half[0, 2]),
        "threads": float(half[:, 3].max() - half[0, 3]),
    }


def _lives(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def _held(facts: Facts) -> bool:
    grown = facts["descriptors"], facts["threads"]
    return facts["slope"] < MOST_GROWTH and max(grown) <= 0


def _text(facts: Facts) -> str:
    return (
        f"{facts['minutes']:.0f} minutes, {facts['rate']:,.0f} tokens/s, "
        f"{facts['requests']:,.0f} requests/s: {facts['slope'] / 1e6:+.2f} MB in ten minutes "
        f"(second half: {facts['begin'] / 1e6:.1f} to {facts['end'] / 1e6:.1f} MB); grown by "
        f"{facts['descriptors']:.0f} descriptors, {facts['threads']:.0f} threads"
    )


PARTS = {
    "record": Part(lambda args: 1, record, _held, _text),
    "screen": Part(lambda args: 1, screen, _held, _text),
}
"""By name."""

"""What being watched costs, measured within one run: the screen's process is halted by turns.

While it is halted nothing folds, records, samples or draws; the engine, a process of its own, goes
on. So a ratio near 1 says more than one beside a headless run: that one folds and records too. The
order of the turns is on, off, off, on, so that what drifts (a longer context) touches both alike.
A rate is decode steps per second, from the engine's own times in the recording.

    python benchmarks/turns.py                                  # SmolLM2-135M, random, float32
    python benchmarks/turns.py --model demo --weights auto --quads 1 --seconds 2 --runs 12
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pexpect

from llamatop.events import RunStarted, TokensEmitted
from llamatop.recording.reader import open_recording

SIZE = (36, 120)
WARM = 5.0
"""Seconds before the first turn."""

SETTLE = 0.5
"""Seconds after each change that belong to neither: what was missed is caught up with."""


class Turn(NamedTuple):
    """From when to when (ns of `time.monotonic_ns`)."""

    start: int
    end: int


def turns(child: pexpect.spawn[str], seconds: float, quads: int) -> list[Turn]:
    """Let it run and halt it, on, off, off, on, each for so long."""
    kept = []
    for _ in range(quads):
        for watched in (True, False, False, True):
            start = time.monotonic_ns()
            if watched:
                drain(child, seconds)
            else:
                child.kill(signal.SIGSTOP)
                time.sleep(seconds)
                child.kill(signal.SIGCONT)
            kept.append(Turn(start + int(SETTLE * 1e9), time.monotonic_ns()))
    return kept


def drain(child: pexpect.spawn[str], seconds: float) -> None:
    """Read what it draws, as a terminal does."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            child.read_nonblocking(65536, timeout=left)
        except pexpect.TIMEOUT:
            return


def rate(steps: list[int], turn: Turn) -> float:
    """Decode steps per second within a turn; ends the program where the run was over by then."""
    within = [step for step in steps if turn.start <= step <= turn.end]
    if len(within) < 2:
        sys.exit("the run was over before its turns: more --gen-toks, fewer --quads, or --seconds")
    return (len(within) - 1) / (within[-1] - within[0]) * 1e9


def measure(options: list[str], recording: Path, seconds: float, quads: int) -> list[float]:
    """Of each four turns: the rate while watched over the rate while halted."""
    child = pexpect.spawn(
        sys.executable,
        ["-m", "llamatop", *options, "--out", str(recording)],
        dimensions=SIZE,
        encoding="utf-8",
        timeout=600,
    )
    child.expect("decode")
    drain(child, WARM)
    taken = turns(child, seconds, quads)
    child.send("q")
    child.expect(pexpect.EOF)
    events = open_recording(recording).events
    [started] = [event for event in events if isinstance(event, RunStarted)]
    steps = sorted({e.time + started.origin for e in events if isinstance(e, TokensEmitted)})
    steps = [step for before, step in pairwise(steps) if step - before > 1e6]
    ratios = []
    for first in range(0, len(taken), 4):
        on, off, off_too, on_too = (rate(steps, turn) for turn in taken[first : first + 4])
        ratios.append((on + on_too) / (off + off_too))
        print(f"on {on:6.2f} {on_too:6.2f}  off {off:6.2f} {off_too:6.2f} steps/s  "
              f"ratio {ratios[-1]:.3f}", flush=True)  # fmt: skip
    return ratios


def main() -> None:
    """Print every four turns and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct")
    parser.add_argument("--weights", default="random")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--gen-toks", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn")
    parser.add_argument("--quads", type=int, default=8, help="four turns each, per run")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    options = ["--model", args.model, "--weights", args.weights, "--dtype", args.dtype]
    options += ["--concurrency", str(args.concurrency), "--requests", str(args.concurrency)]
    options += ["--gen-toks", str(args.gen_toks)]
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for run in range(args.runs):
            ratios += measure(options, Path(folder) / f"{run}.parquet", args.seconds, args.quads)
    print(f"median ratio {statistics.median(ratios):.3f} of {len(ratios)} times four turns")


if __name__ == "__main__":
    main()

"""How near to its times a trace is replayed: on the scripted engine, as a user would run it.

Writes a trace in Mooncake's format, replays it with `llamatop --record`, and reads from the
recording when each request was due and when the engine took it. `--own` leaves out what the
machine adds: the same engine on a clock that counts the CPU time of its thread, and jumps where it
would sleep.

    python benchmarks/trace.py --lines 1000 --speed 2
    python benchmarks/trace.py --lines 1000 --own
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from llamatop.engines.level import LevelRun
from llamatop.engines.outbox import Outbox
from llamatop.engines.scripted import ScriptedEngine
from llamatop.events.kinds import RequestAdmitted, RequestQueued
from llamatop.events.wire import RunLevel
from llamatop.recording.reader import open_recording
from llamatop.run.replay import fold
from llamatop.settings.config import RunConfig

ROOT = Path(__file__).parents[1]


def write_trace(path: Path, lines: int, per_second: float) -> list[float]:
    """A trace with bursts; its times in seconds, in order."""
    drawn = random.Random(0)
    now, times = 0.0, []
    with path.open("w") as file:
        for number in range(lines):
            now += drawn.gammavariate(0.5, 2 / per_second)
            times.append(round(now * 1000) / 1000)
            line = {
                "timestamp": round(now * 1000),
                "input_length": drawn.randint(10, 2000),
                "output_length": drawn.randint(2, 20),
                "hash_ids": [number % 7],
            }
            if line["input_length"] <= 512:
                line["hash_ids"] = []
            file.write(json.dumps(line) + "\n")
    return times


class CpuClock:
    """CPU time of the thread that reads it, and what it would have slept."""

    def __init__(self) -> None:
        self.slept = -time.thread_time_ns()

    def now(self) -> int:
        """Nanoseconds since it was made."""
        return time.thread_time_ns() + self.slept

    def sleep_until(self, when: int) -> None:
        """Jump there, if it lies ahead."""
        self.slept += max(when - self.now(), 0)

    def wait(self, changed: threading.Condition, until: int | None) -> None:
        """Jump there: no other thread changes anything."""
        assert until is not None
        self.sleep_until(until)


def own_times(trace: Path, speed: float) -> list[tuple[int, int]]:
    """When each request was due and taken (ns), by the engine's own work."""
    config = RunConfig(
        engine="scripted",
        prompts=str(trace),
        replayed=True,
        speed=speed,
        concurrency=(256,),
    )
    clock, outbox = CpuClock(), Outbox()
    engine = ScriptedEngine(config, clock)
    command = RunLevel(0, 256, len(engine.given), 0, 1, 1)
    LevelRun(engine, config, command, clock, outbox).run(first=True)
    events = outbox.drain()
    queued = {e.request: e for e in events if isinstance(e, RequestQueued)}
    taken = {e.request: e.time for e in events if isinstance(e, RequestAdmitted)}
    return [(one.time, taken[id]) for id, one in queued.items() if not one.warmup]


def real_times(trace: Path, speed: float) -> list[tuple[int, int]]:
    """When each request was due and taken (ns), in a run of its own."""
    out = trace.with_suffix(".parquet")
    command = [sys.executable, "-m", "llamatop", "--record", "--engine", "scripted"]
    command += ["--prompts", str(trace), "--speed", f"{speed:g}", "--out", str(out)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)
    requests = fold(open_recording(str(out)).events).levels[0].requests
    return [(one.scheduled, one.admitted) for one in requests if one.admitted is not None]


def main() -> None:
    """Write, replay, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--per-second", type=float, default=50.0)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--own", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.jsonl"
        times = np.array(write_trace(trace, args.lines, args.per_second)) / args.speed
        measured = (own_times if args.own else real_times)(trace, args.speed)
    due, taken = np.array(measured).T / 1e6
    off = np.abs((due - due[0]) - (times - times[0]) * 1000)
    late = taken - due
    print(f"{len(due)} requests; due to within {off.max():.4f} ms of the trace's times")
    for name, share in (("p50", 50), ("p99", 99), ("max", 100)):
        print(f"taken {name} {np.percentile(late, share):.3f} ms after they were due")


if __name__ == "__main__":
    main()

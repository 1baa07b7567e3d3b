"""How near to its times a trace is replayed: on the scripted engine, as a user would run it.

Writes a trace in Mooncake's format, replays it with `llamatop --record`, and reads from the
recording when each request was due and when the engine took it.

    python benchmarks/trace.py --lines 1000 --speed 2
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from llamatop.recording.reader import open_recording
from llamatop.run.replay import fold

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


def main() -> None:
    """Write, replay, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--per-second", type=float, default=50.0)
    parser.add_argument("--speed", type=float, default=1.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trace, out = Path(folder) / "trace.jsonl", Path(folder) / "run.parquet"
        times = np.array(write_trace(trace, args.lines, args.per_second)) / args.speed
        command = [sys.executable, "-m", "llamatop", "--record", "--engine", "scripted"]
        command += ["--prompts", str(trace), "--speed", f"{args.speed:g}", "--out", str(out)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)
        requests = fold(open_recording(str(out)).events).levels[0].requests
    due = np.array([request.scheduled for request in requests]) / 1e6
    taken = np.array([request.admitted for request in requests]) / 1e6
    off = np.abs((due - due[0]) - (times - times[0]) * 1000)
    late = taken - due
    print(f"{len(requests)} requests; due to within {off.max():.4f} ms of the trace's times")
    for name, share in (("p50", 50), ("p99", 99), ("max", 100)):
        print(f"taken {name} {np.percentile(late, share):.3f} ms after they were due")


if __name__ == "__main__":
    main()

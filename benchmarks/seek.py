"""How long a seek in a long recording takes, and how long it takes to open.

Makes a recording of a scripted run (8 requests at a time, 50 tokens per second each) through the
recorder, opens it, prepares it as the screen does, then seeks to random places.

    python benchmarks/seek.py --minutes 60 --seeks 200
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from llamatop.engines.scripted import Script, script
from llamatop.figures.stats import distribution
from llamatop.recording.reader import open_recording
from llamatop.recording.writer import Recorder
from llamatop.run.replay import Replay
from llamatop.settings.config import RunConfig

STEP = 0.02
"""Seconds from one token of a request to its next: 50 a second."""


def record(path: Path, minutes: float, concurrency: int, tokens: int) -> None:
    """A scripted run of about so many minutes, on a manual clock."""
    script_ = Script(step=STEP)
    seconds = tokens * STEP + 128 * script_.prefill_per_token
    requests = max(round(minutes * 60 / seconds), 1) * concurrency
    config = RunConfig(
        engine="scripted", concurrency=(concurrency,), requests=requests, gen_toks=tokens
    )
    recorder = Recorder(path)
    recorder.write(script(config, script_))
    recorder.close()
    if recorder.error is not None:
        raise SystemExit(recorder.error)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--gen-toks", type=int, default=200)
    parser.add_argument("--seeks", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.parquet"
        record(path, args.minutes, args.concurrency, args.gen_toks)
        began = time.perf_counter()
        replay = Replay(open_recording(path).events)
        opened = time.perf_counter()
        replay.seek(replay.length // 2)
        first = time.perf_counter()
        replay.prepare()
        prepared = time.perf_counter()
    places = random.Random(0)
    taken = []
    for _ in range(args.seeks):
        place = places.randrange(replay.length)
        before = time.perf_counter()
        replay.seek(place)
        taken.append(time.perf_counter() - before)
    spread = distribution(taken)
    print(f"{len(replay.events):,} events, {replay.length / 60e9:.1f} minutes")
    print(f"opened in {opened - began:.2f} s, prepared in {prepared - opened:.2f} s (in a thread "
          f"on the screen; a seek to the middle before that {first - opened:.2f} s)")  # fmt: skip
    if spread is not None:
        print(f"{spread.count} seeks: median {spread.p50 * 1e3:.1f} ms, "
              f"p99 {spread.p99 * 1e3:.1f} ms, max {spread.high * 1e3:.1f} ms")  # fmt: skip


if __name__ == "__main__":
    main()

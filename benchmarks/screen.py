"""What the screen takes of a core, how evenly it draws, and whether its memory stays flat.

Runs llamatop in a pseudo-terminal upon the scripted engine, which makes tokens without a model, in
a process of its own. A refresh is a burst of output: bytes with a pause before them. Afterwards the
recording is read: every request that finished must have all its tokens.

    python benchmarks/screen.py                          # 256 requests, about 10,000 tokens/s
    python benchmarks/screen.py --step 0.004             # about 50,000 tokens/s
    python benchmarks/screen.py --seconds 1800           # is the memory flat?
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pexpect
import psutil

from llamatop.engines.host import SCRIPTED_STEP
from llamatop.recording.reader import open_recording
from llamatop.run.replay import fold

PAUSE = 0.02
"""Seconds without output between two refreshes, at least."""


class Watched:
    """The program on its terminal, and what was seen of it."""

    def __init__(self, options: list[str], size: tuple[int, int]) -> None:
        self.child = pexpect.spawn(
            sys.executable, ["-m", "llamatop", *options], dimensions=size, timeout=60
        )
        self.process = psutil.Process(self.child.pid)
        self.refreshes: list[float] = []
        self.output = 0

    def watch(self, seconds: float) -> None:
        """Read what it draws for so long."""
        end, last = time.monotonic() + seconds, 0.0
        while (now := time.monotonic()) < end:
            ready, _, _ = select.select([self.child.child_fd], [], [], min(end - now, 0.5))
            if ready:
                self.output += len(os.read(self.child.child_fd, 65536))
                now = time.monotonic()
                if now - last > PAUSE:
                    self.refreshes.append(now)
                last = now

    def used(self) -> float:
        """Seconds of processor time so far, of the drawing and recording process alone."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def resident(self) -> int:
        """Bytes of memory now."""
        return int(self.process.memory_info().rss)

    def leave(self) -> None:
        """Quit, and wait until the recording is finished."""
        self.child.send("q")
        self.child.expect(pexpect.EOF)
        self.child.close()


def measure(watched: Watched, seconds: float) -> None:
    """Print what was seen in so many seconds."""
    used, began = watched.used(), time.monotonic()
    first = len(watched.refreshes)
    for part in range(1, 7):
        watched.watch(seconds / 6)
        print(
            f"  after {seconds / 6 * part:6.0f} s   {watched.resident() / 1e6:6.1f} MB", flush=True
        )
    passed = time.monotonic() - began
    share = (watched.used() - used) / passed
    drawn = watched.refreshes[first:]
    gaps = sorted(b - a for a, b in pairwise(drawn))
    late = sum(gap > 0.2 for gap in gaps)
    print(
        f"  {share * 100:.1f} % of a core   {len(drawn) / passed:.1f} refreshes/s   "
        f"p99 gap {gaps[len(gaps) * 99 // 100] * 1e3:.0f} ms   longest {gaps[-1] * 1e3:.0f} ms   "
        f"{late} later than 200 ms   {watched.output / passed / 1e3:.0f} kB/s drawn"
    )


def check(path: Path, gen_toks: int) -> None:
    """Print what was recorded; ends with an error where a token is missing."""
    events = open_recording(path).events
    session = fold(events)
    done = [request for request in session.requests.values() if request.state == "done"]
    asked = [gen_toks if not request.warmup else request.max_tokens for request in done]
    missing = sum(asked) - sum(request.tokens for request in done)
    level = next(iter(session.levels.values()))
    seconds = ((level.ended or session.now) - level.started) / 1e9
    tokens = sum(request.tokens for request in session.requests.values())
    print(f"  {len(events):,} events, {tokens / seconds:,.0f} tokens/s, {missing} missing")
    if missing:
        raise SystemExit("tokens are missing")


def main() -> None:
    """Run, watch, and check."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--gen-toks", type=int, default=200)
    parser.add_argument("--step", type=float, metavar="SECONDS", default=0.025,
        help="from one token of a request to its next (0.025)")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--size", type=int, nargs=2, default=(50, 160), metavar=("ROWS", "COLS"))
    args = parser.parse_args()
    os.environ[SCRIPTED_STEP] = str(args.step)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.parquet"
        options = ["--engine", "scripted", "--concurrency", str(args.concurrency)]
        options += ["--gen-toks", str(args.gen_toks), "--out", str(path)]
        print(f"{args.concurrency} requests at once, {args.size[1]}x{args.size[0]}")
        watched = Watched(options, tuple(args.size))
        watched.watch(10)
        measure(watched, args.seconds)
        watched.leave()
        check(path, args.gen_toks)


if __name__ == "__main__":
    main()

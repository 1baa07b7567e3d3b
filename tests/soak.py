"""`make soak`: what takes hours, and the table of its outcome.

    python -m tests.soak --minutes 30 --kills 1000 --times 50 --inputs 100000

Each part may be shortened; `--only` takes some of them. Figures are of the machine that it runs on.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from llamatop.engines.host import SCRIPTED_STEP
from llamatop.predict.prepare import prepare
from llamatop.recording.reader import fold_recording, open_recording
from llamatop.run.live import LiveRun
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from tests.fuzz.readers import READERS
from tests.recording.test_crash import CHILD, numbered
from tests.waiting import gone, until

MOST_LOST = 1.0
"""Seconds of a recording that a kill may take."""
KEPT_BYTES = 14
"""Of each token, in a run without a screen: its time and its share of what belongs to it."""
KEPT_OF_REQUEST = 1000
"""Bytes of each request there."""
ALLOWANCE = 1e6
"""Bytes in ten minutes that may come on top."""
AT_ONCE = 8
"""Recorders that are killed side by side."""


class Told(NamedTuple):
    """The outcome of a part."""

    held: bool
    what: str


def memory(args: argparse.Namespace, folder: Path) -> Told:
    """A run without a screen at about 5,000 tokens a second: what grows beside what is kept."""
    out = folder / "run.parquet"
    command = [sys.executable, "-m", "llamatop", "--record", "--engine", "scripted", "--out",
               str(out), "--concurrency", "50", "--gen-toks", "100", "--requests", "100000000",
               "--max-time", str(args.minutes * 60)]  # fmt: skip
    run = subprocess.Popen(
        command, env={**os.environ, SCRIPTED_STEP: "0.01"}, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    seen: list[tuple[float, int, int, int]] = []
    process, began = psutil.Process(run.pid), time.monotonic()
    while run.poll() is None and time.monotonic() - began < args.minutes * 60:
        time.sleep(min(5.0, args.minutes))
        seen.append(
            (
                time.monotonic() - began,
                process.memory_info().rss,
                process.num_fds(),
                process.num_threads(),
            )
        )
    run.wait(600)
    session = fold_recording(out).session
    seconds = max(session.now / 1e9, 1e-9)
    tokens = sum(session.token_bins)
    requests = len(session.requests)
    kept = (tokens * KEPT_BYTES + requests * KEPT_OF_REQUEST) / seconds * 600
    half = seen[len(seen) // 2 :]
    slope = (half[-1][1] - half[0][1]) / max(half[-1][0] - half[0][0], 1e-9) * 600
    grown = [max(one[n] for one in half) - half[0][n] for n in (2, 3)]
    return Told(
        slope <= kept + ALLOWANCE and grown == [0, 0],
        f"{tokens / seconds:,.0f} tokens/s, {requests / seconds:,.0f} requests/s: "
        f"{slope / 1e6:.1f} MB in ten minutes, of which what is kept may be {kept / 1e6:.1f}; "
        f"descriptors and threads grown by {grown[0]} and {grown[1]}",
    )


def kills(args: argparse.Namespace, folder: Path) -> Told:
    """Recordings killed at random instants: none unreadable, none with an event twice."""
    dice, unreadable, doubled, worst = random.Random(args.seed), 0, 0, 0.0
    for batch in range(0, args.kills, AT_ONCE):
        count = min(AT_ONCE, args.kills - batch)
        lives = [folder / f"{batch + n}.parquet" for n in range(count)]
        children = {path: _recorder(path, dice) for path in lives}
        for path, child in children.items():
            line = child.stdout.readline() if child.stdout else ""
            time.sleep(max(float(line.split()[0]) + dice.uniform(0.05, 1.6) - time.monotonic(), 0))
            child.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            told = [one.split() for one in (line + child.communicate()[0]).splitlines()]
            try:
                found = open_recording(path).events
            except Exception as error:  # told with the file, which stays
                print(f"  {path.name}: {error}", file=sys.stderr)
                unreadable += 1
                continue
            doubled += found != numbered(len(found))
            lost = [float(at) for at, n in told if n != "closed" and int(n) > len(found)]
            worst = max(worst, killed - min(lost, default=killed))
            path.unlink()
    return Told(
        not unreadable and not doubled and worst <= MOST_LOST,
        f"{args.kills} kills: {unreadable} unreadable, {doubled} with events that are not those "
        f"told, at most {worst:.2f} s lost",
    )


def _recorder(path: Path, dice: random.Random) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(path), str(dice.uniform(0.2, 1.5))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def models(args: argparse.Namespace, folder: Path) -> Told:
    """One model after another, each traced anew and let go at once: one prediction at a time."""
    me, before, most = psutil.Process(), _held(), 0
    for number in range(args.times):
        config = RunConfig(model="demo", engine="batch", prompt_toks=10 + number)
        live = LiveRun(config, prepare=prepare)
        live.start()
        pump, end = Pump(live, Session()), time.monotonic() + 1.5
        until(lambda pump=pump, end=end: (pump.step(), time.monotonic() >= end)[1])
        live.close()
        most = max(most, len(me.children(recursive=True)))
    until(lambda: not [child for child in me.children(recursive=True) if not gone(child)])
    return _given_back(before, f"{args.times} models: at most {most} processes left after one")


def engines(args: argparse.Namespace, folder: Path) -> Told:
    """An engine killed in each level: each is told, and the next one runs."""
    os.environ[SCRIPTED_STEP] = "0.02"
    before = _held()
    live = LiveRun(RunConfig(engine="scripted", concurrency=(2,) * args.times, gen_toks=500))
    pump, killed = Pump(live, Session()), set[int]()
    live.start()

    def step() -> bool:
        pump.step()
        level, running = pump.session.level, pump.session.active.values()
        begun = level is not None and level.ended is None and any(r.tokens for r in running)
        if begun and level is not None and level.id not in killed and live._engine is not None:
            killed.add(level.id)
            os.kill(live._engine.pid, signal.SIGKILL)
        return live.ended

    until(step, args.times * 20)
    live.close()
    outcomes = [level.outcome for level in pump.session.levels.values()]
    told = _given_back(before, f"{len(killed)} engines killed in {len(outcomes)} levels")
    return Told(told.held and outcomes == ["failed"] * args.times, told.what)


def inputs(args: argparse.Namespace, folder: Path) -> Told:
    """Changed files through every reader; see `tests.fuzz.run`."""
    each = -(-args.inputs // len(READERS))
    command = [sys.executable, "-m", "tests.fuzz.run", "--inputs", str(each), "--seed",
               str(args.seed)]  # fmt: skip
    code = subprocess.run(command, check=False).returncode
    return Told(code == 0, f"{each * len(READERS):,} inputs: {'no' if code == 0 else 'some'} finds")


def _held() -> tuple[int, int]:
    """Descriptors and threads of this process."""
    process = psutil.Process()
    return process.num_fds(), process.num_threads()


def _given_back(before: tuple[int, int], what: str) -> Told:
    """Whether all was given back; libraries keep a few things that they open once."""
    after = _held()
    return Told(
        after[0] <= before[0] + 8 and after[1] <= before[1] + 4,
        f"{what}; descriptors {before[0]} then {after[0]}, threads {before[1]} then {after[1]}",
    )


PARTS: dict[str, Callable[[argparse.Namespace, Path], Told]] = {
    "kills": kills,
    "engines": engines,
    "models": models,
    "memory": memory,
    "inputs": inputs,
}


def main() -> int:
    """All of it; 1 where something did not hold."""
    parser = argparse.ArgumentParser(description="What takes hours.")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the long run (30)")
    parser.add_argument("--kills", type=int, default=1000, help="recordings killed (1000)")
    parser.add_argument("--times", type=int, default=50, help="engines and models (50)")
    parser.add_argument("--inputs", type=int, default=100_000, help="files to readers (100000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=[*PARTS], default=[*PARTS])
    args = parser.parse_args()
    held = True
    for name in args.only:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["LLAMATOP_CACHE"] = folder
            told = PARTS[name](args, Path(folder))
        held = held and told.held
        print(f"{name:<10}{'held' if told.held else 'FAILED':<8}{told.what}", flush=True)
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())

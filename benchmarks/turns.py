"""What the open screen costs, within one run: screen and headless by turns of seconds.

Two runs, one after another or side by side, differ by several times what the screen takes: a
neighbour of the machine comes and goes within seconds. So here one program, one engine and one
recording do both. In a turn of the screen llamatop is as it is. In a headless turn the app stands
still, and a thread at the engine's own priority does what `--record` does: every 0.1 s it moves
what has arrived into the session and the recording. Turns go screen, headless, headless, screen, so
that what drifts (a longer context) touches both alike, and the screen's redraws lie within a turn.

A rate is decode steps per second, from the engine's own times in the recording.

    python benchmarks/turns.py                                  # SmolLM2-135M, random, float32
    python benchmarks/turns.py --model demo --weights auto --gen-toks 1800 --seconds 1 --quads 6
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pexpect

from llamatop.commands import run, watch
from llamatop.events.kinds import RunStarted, TokensEmitted
from llamatop.recording.reader import open_recording
from llamatop.run.headless import STEP_SECONDS
from llamatop.tui.app import LlamatopApp
from llamatop.tui.terminal.pace import CPU_HZ

SIZE = (36, 120)
WARM = 4
"""Redraws before the first turn."""

CONCURRENCY = 8


class Turn(msgspec.Struct, frozen=True):
    """From when to when (ns of `time.monotonic_ns`) the screen was open, or was not."""

    screen: bool
    start: int
    end: int


class Turning(LlamatopApp):
    """The app, which stands still every other turn, and leaves when it is told nothing more."""

    seconds = 2.0
    quads = 10

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._headless = ThreadPoolExecutor(1)
        self._headless.submit(time.monotonic).result()  # a thread from before the priority falls
        self._order = [True, False, False, True] * self.quads
        self._late = 0.0
        self._drawn = 0
        self.turns: list[Turn] = []

    def tick(self) -> None:
        """Draw; the first turn begins halfway between two redraws."""
        if time.monotonic() < self._late:
            return  # was due while the app stood still
        super().tick()
        level = self.pump.session.level
        decoding = level is not None and any(request.tokens for request in level.requests)
        self._drawn += decoding
        if decoding and self._drawn == WARM:
            self.set_timer(0.5 / CPU_HZ, self._begin_turns)

    def _begin_turns(self) -> None:
        self._switched = time.monotonic_ns()
        self._turn()

    def _turn(self) -> None:
        if not self._order:
            self.set_timer(1, lambda: self.leave(0))  # the step across the last turn's end counts
            return
        screen, start = self._order.pop(0), self._switched
        end = self._switched = start + int(self.seconds * 1e9)
        self.turns.append(Turn(screen, start, end))
        if screen:
            self.set_timer((end - time.monotonic_ns()) / 1e9, self._turn)
        else:
            self._headless.submit(self._stand_still, end).result()
            self._late = time.monotonic() + 0.25 / CPU_HZ
            self.call_later(self._turn)

    def _stand_still(self, end: int) -> None:
        while (left := (end - time.monotonic_ns()) / 1e9) > 0:
            time.sleep(min(STEP_SECONDS, left))
            self.pump.step()


def inside(options: Sequence[str], seconds: float, quads: int, turns: Path) -> None:
    """Run llamatop with such turns, and write down when they were."""
    apps: list[Turning] = []

    def app(*given: Any, **named: Any) -> Turning:
        apps.append(Turning(*given, **named))
        return apps[0]

    Turning.seconds, Turning.quads = seconds, quads
    watch.LlamatopApp = app  # type: ignore[assignment,misc]
    run.main(list(options))
    turns.write_bytes(msgspec.json.encode(apps[0].turns))


def measure(options: Sequence[str], seconds: float, quads: int, folder: Path) -> list[float]:
    """Of each four turns: the rate on the screen over the headless rate."""
    recording, turns = folder / "run.parquet", folder / "turns.json"
    call = [__file__, "--inside", str(turns), "--seconds", str(seconds), "--quads", str(quads)]
    child = pexpect.spawn(
        sys.executable,
        [*call, "--", *options, "--out", str(recording)],
        dimensions=SIZE,
        encoding="utf-8",
        timeout=seconds * quads * 4 + 120,
    )
    child.expect(pexpect.EOF)
    child.close()
    if not turns.exists():
        sys.exit(f"the run ended with {child.exitstatus}: {(child.before or '')[-300:]}")
    taken = msgspec.json.decode(turns.read_bytes(), type=list[Turn])
    events = open_recording(recording).events
    [started] = [event for event in events if isinstance(event, RunStarted)]
    times = sorted({e.time + started.origin for e in events if isinstance(e, TokensEmitted)})
    steps = [time for before, time in pairwise(times) if time - before > 1e6]
    if len(taken) < 4 * quads or not steps or steps[-1] < taken[-1].end:
        sys.exit("the run was over before its turns: more --gen-toks, or fewer --quads")
    ratios = []
    for first in range(0, len(taken), 4):
        four = taken[first : first + 4]
        on, off = (
            sum(steps_within(steps, turn) for turn in four if turn.screen is screen)
            for screen in (True, False)
        )
        ratios.append(on / off)
        print(f"screen {on / 2 / seconds:6.2f}  headless {off / 2 / seconds:6.2f} steps/s  "
              f"ratio {ratios[-1]:.3f}", flush=True)  # fmt: skip
    recording.unlink()
    turns.unlink()
    return ratios


def steps_within(steps: Sequence[int], turn: Turn) -> float:
    """How many, one that began before or ended after as the part that lies within."""
    return sum(
        max(min(after, turn.end) - max(before, turn.start), 0) / (after - before)
        for before, after in pairwise(steps)
    )


def main() -> None:
    """Print every four turns and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct")
    parser.add_argument("--weights", default="random")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--gen-toks", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn, whole ones")
    parser.add_argument("--quads", type=int, default=14, help="four turns each, per run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("options", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside is not None:
        inside(args.options, args.seconds, args.quads, args.inside)
        return
    options = ["--model", args.model, "--weights", args.weights, "--dtype", args.dtype]
    options += ["--concurrency", str(CONCURRENCY), "--requests", str(CONCURRENCY)]
    options += ["--gen-toks", str(args.gen_toks)]
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.runs):
            ratios += measure(options, args.seconds, args.quads, Path(folder))
    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    print(f"median ratio {statistics.median(ratios):.3f}, mean {statistics.fmean(ratios):.3f} "
          f"± {error:.3f} (standard error), of {len(ratios)} times four turns")  # fmt: skip


if __name__ == "__main__":
    main()

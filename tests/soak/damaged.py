"""Recorders that are killed at random instants, and files that are nearly right."""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from llamatop.recording.reader import open_recording
from tests.fuzz.readers import READERS
from tests.recording.test_crash import CHILD, numbered
from tests.soak.told import Facts, Part

MOST_LOST = 1.0
"""Seconds of a recording that a kill may take."""
SIDE_BY_SIDE = 16
"""Recorders that run together."""
LONGEST = 3.0
"""Seconds after which the last one is killed; by then a quarter have ended by themselves."""
FILES = 250
"""Of each reader, in one process."""


def kills(args: argparse.Namespace, folder: Path, done: int) -> Iterator[Facts]:
    """Recordings killed at random instants: none unreadable, none with an event twice."""
    for batch in range(done, args.kills, SIDE_BY_SIDE):
        dice = random.Random(f"{args.seed} {batch}")
        numbers = range(batch, min(batch + SIDE_BY_SIDE, args.kills))
        lives = [Life(folder / f"{number}.parquet", dice) for number in numbers]
        for life in lives:
            life.begin()
        for life in sorted(lives, key=lambda life: life.due):
            life.kill()
        for life in lives:
            yield life.left()
        if args.over():
            break


class Life:
    """A recorder, its random end, and what that leaves."""

    def __init__(self, path: Path, dice: random.Random) -> None:
        self.path = path
        self._lasts = dice.uniform(0.05, LONGEST)
        command = [sys.executable, "-c", CHILD, str(path), str(dice.uniform(0.2, 2 * LONGEST))]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._line = ""

    def begin(self) -> None:
        """Wait until it has written first."""
        assert self._child.stdout is not None
        self._line = self._child.stdout.readline()
        self.due = float(self._line.split()[0]) + self._lasts

    def kill(self) -> None:
        """When that is due."""
        time.sleep(max(self.due - time.monotonic(), 0))
        self._child.send_signal(signal.SIGKILL)
        self._killed = time.monotonic()

    def left(self) -> Facts:
        """What can be read, against what it said that it had written."""
        told = [one.split() for one in (self._line + self._child.communicate()[0]).splitlines()]
        closed = any(count == "closed" for _, count in told)
        try:
            found = open_recording(self.path).events
        except Exception as error:  # told with the file, which stays
            print(f"  {self.path.name}: {error}", file=sys.stderr)
            return {"done": 1, "unreadable": 1}
        self.path.unlink()
        lost = [float(at) for at, count in told if count != "closed" and int(count) > len(found)]
        return {
            "done": 1,
            "doubled": int(found != numbered(len(found))),
            "finalised": int(closed),
            "most_lost": self._killed - min(lost, default=self._killed),
        }


def inputs(args: argparse.Namespace, folder: Path, done: int) -> Iterator[Facts]:
    """Changed files through every reader; see `tests.fuzz.run`."""
    each = -(-args.inputs // len(READERS))
    for first in range(done // len(READERS), each, FILES):
        count = min(FILES, each - first)
        command = [sys.executable, "-m", "tests.fuzz.run", "--inputs", str(count), "--seed",
                   str(args.seed), "--first", str(first)]  # fmt: skip
        told = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True).stdout
        rows = re.findall(r"^.{18} *(\d+) +(\d+) +(\d+) +(\d+) +([\d.]+)s$", told, re.MULTILINE)
        assert len(rows) == len(READERS), told
        yield {
            "done": sum(int(row[0]) for row in rows),
            "answers": sum(int(row[1]) for row in rows),
            "refusals": sum(int(row[2]) for row in rows),
            "finds": sum(int(row[3]) for row in rows),
            "most_seconds": max(float(row[4]) for row in rows),
        }
        if args.over():
            break


PARTS = {
    "kills": Part(
        lambda args: args.kills,
        kills,
        lambda facts: (
            not facts.get("unreadable") and not facts["doubled"] and facts["most_lost"] <= MOST_LOST
        ),
        lambda facts: (
            f"{facts['done']:,.0f} kills: {facts.get('unreadable', 0):.0f} unreadable, "
            f"{facts['doubled']:.0f} with events that are not those told, at most "
            f"{facts['most_lost']:.2f} s lost; {facts['finalised']:.0f} had been closed before"
        ),
    ),
    "inputs": Part(
        lambda args: args.inputs,
        inputs,
        lambda facts: not facts["finds"],
        lambda facts: (
            f"{facts['done']:,.0f} files: {facts['answers']:,.0f} answers, "
            f"{facts['refusals']:,.0f} refusals, {facts['finds']:.0f} finds, the slowest "
            f"{facts['most_seconds']:.1f} s"
        ),
    ),
}
"""By name."""

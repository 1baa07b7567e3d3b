"""Many changed files through every reader: `python -m tests.fuzz.run --inputs 100000`.

Prints a line a reader. A find is an exception that is no clean error, an input that takes longer
than `--seconds`, or memory that grows beyond `--megabytes`; its file is kept in `--finds`. The same
seed tries the same files.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from types import FrameType

from tests.fuzz.readers import READERS, Reader, attempt
from tests.fuzz.warm import keep_warm


class TooSlowError(BaseException):
    """An input took longer than it may."""


def main() -> int:
    """Try them; 1 where something was found."""
    parser = argparse.ArgumentParser(description="Changed files through every reader.")
    parser.add_argument("--inputs", type=int, default=1000, help="of each reader (1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first (0)")
    parser.add_argument("--only", choices=[*READERS], nargs="+", default=[*READERS])
    parser.add_argument("--seconds", type=float, default=20.0, help="for one input (20)")
    parser.add_argument("--megabytes", type=int, default=1000, help="of growth (1000)")
    parser.add_argument("--finds", type=Path, default=Path("finds"), help="folder for finds")
    args = parser.parse_args()
    signal.signal(signal.SIGALRM, _alarm)
    warm, found = keep_warm(), 0
    print(f"{'reader':<18}{'inputs':>8}{'answers':>9}{'refusals':>9}{'finds':>7}{'slowest':>10}")
    for name in args.only:
        counts, slowest = _one(name, READERS[name], args)
        found += counts["find"]
        print(
            f"{name:<18}{args.inputs:>8}{counts['answer']:>9}{counts['refusal']:>9}"
            f"{counts['find']:>7}{slowest:>9.2f}s",
            flush=True,
        )
    warm.close()
    return int(found > 0)


def _one(name: str, reader: Reader, args: argparse.Namespace) -> tuple[Counter[str], float]:
    counts: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "file"
        for number in range(args.first, args.first + args.inputs):
            dice, before, began = (
                random.Random(f"{name} {args.seed} {number}"),
                _peak(),
                time.monotonic(),
            )
            signal.setitimer(signal.ITIMER_REAL, args.seconds)
            try:
                counts[attempt(reader, dice, folder)] += 1
            except (Exception, TooSlowError) as error:
                signal.setitimer(signal.ITIMER_REAL, 0)
                counts["find"] += 1
                _keep(folder, args.finds / f"{name}-{args.seed}-{number}".replace(" ", "-"), error)
            signal.setitimer(signal.ITIMER_REAL, 0)
            slowest = max(slowest, time.monotonic() - began)
            if _peak() - before > args.megabytes * 1e6:
                counts["find"] += 1
                _keep(folder, args.finds / f"{name}-{args.seed}-{number}", MemoryError("it grew"))
    return counts, slowest


def _alarm(number: int, frame: FrameType | None) -> None:
    raise TooSlowError


def _peak() -> int:
    """The most bytes that this process has had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _keep(folder: Path, place: Path, error: BaseException) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place)
    told = "".join(traceback.format_exception(error))
    (place / "traceback.txt").write_text(told, encoding="utf-8", errors="replace")
    print(f"  {place}: {told.strip().splitlines()[-1][:160]}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

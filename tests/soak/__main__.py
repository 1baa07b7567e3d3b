"""`make soak`: the parts one after another, and a row of each for docs/reliability.md.

    python -m tests.soak --minutes 30 --kills 1000 --times 50 --inputs 100000

`--only kills inputs` takes some. What was found is kept in `--kept FILE` after each unit, so a part
that was ended goes on there, and `--seconds` ends it by itself; without that file all begins anew.
The two runs of half an hour are one unit each. Figures are of the machine that it runs on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.soak import again, damaged, long
from tests.soak.told import Facts, Part, added

PARTS: dict[str, Part] = {**again.PARTS, **damaged.PARTS, **long.PARTS}


def main() -> int:
    """1 where something did not hold, 3 where a part is not at its end."""
    args = arguments()
    kept: dict[str, Facts] = json.loads(args.kept.read_text()) if args.kept.exists() else {}
    for name in args.only:
        if kept.get(name, {}).get("done", 0) < PARTS[name].units(args):
            run(name, args, kept)
    print(f"{machine()}\n\n| part | outcome | measured | minutes |\n| --- | --- | --- | --- |")
    codes = [row(name, args, kept.get(name, {})) for name in args.only]
    return max(codes)


def arguments() -> argparse.Namespace:
    """As they were given."""
    parser = argparse.ArgumentParser(prog="tests.soak", description="What takes hours.")
    parser.add_argument("--minutes", type=float, default=30.0, help="of a long run (30)")
    parser.add_argument("--kills", type=int, default=1000, help="recordings killed (1000)")
    parser.add_argument("--times", type=int, default=50, help="of what comes again (50)")
    parser.add_argument("--inputs", type=int, default=100_000, help="files to readers (100000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=[*PARTS], default=[*PARTS], metavar="PART")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each part, now")
    parser.add_argument("--kept", type=Path, default=Path("soak.json"), metavar="FILE")
    return parser.parse_args()


def run(name: str, args: argparse.Namespace, kept: dict[str, Facts]) -> None:
    """One part from where it ended; what it finds is kept as it comes."""
    part, facts, began = PARTS[name], kept.get(name, {}), time.monotonic()
    goal = part.units(args)
    args.over = lambda: time.monotonic() - began > args.seconds
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LLAMATOP_CACHE"] = folder
        told = time.monotonic()
        for more in part.run(args, Path(folder), int(facts.get("done", 0))):
            facts = added(facts, {**more, "took": time.monotonic() - told})
            told = time.monotonic()
            kept[name] = facts
            args.kept.write_text(json.dumps(kept, indent=1))
            print(f"  {name}: {facts['done']:.0f} of {goal}", file=sys.stderr)


def row(name: str, args: argparse.Namespace, facts: Facts) -> int:
    """Print what a part came to; its exit code."""
    part, done = PARTS[name], facts.get("done", 0)
    if not done:
        print(f"| {name} | not run | | |")
        return 3
    held = part.held(facts)
    outcome = "FAILED" if not held else "held" if done >= part.units(args) else "held so far"
    print(f"| {name} | {outcome} | {part.text(facts)} | {facts['took'] / 60:.0f} |", flush=True)
    return 1 if not held else 0 if done >= part.units(args) else 3


def machine() -> str:
    """Where and when."""
    cores, date = os.cpu_count(), datetime.now(UTC).date().isoformat()
    where = f"{platform.system()} {platform.machine()}, {cores} cores"
    return f"{date}, {where}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())

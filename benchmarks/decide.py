"""How often a comparison errs, and how small a difference it finds.

    python benchmarks/decide.py simulate           scripted pairs: false verdicts, power, ab
    python benchmarks/decide.py measure --out DIR  20 recordings of demo: what varies a step, a run
    python benchmarks/decide.py pairs DIR          40 real pairs of those: false verdicts
    python benchmarks/decide.py beside --out DIR   20 pairs, a process on one core in half of them
    python benchmarks/decide.py turns --out DIR    ab against itself, and batch against threads

`simulate` and `pairs` need no quiet machine; all others do. Steps and runs of the scripted engine
vary by `--step` and `--run` (standard deviations of a logarithm), as `measure` prints them, turns
of ab by `--turn` and `--last` (the correlation from one to the next); a second time by what is
assumed of an accelerator. `beside` and `turns` go on where they were ended: what is whole in DIR is
not run again, what was cut short is.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import random
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from llamatop.engines.scripted import Script, script
from llamatop.events.kinds import Event, ModelLoaded
from llamatop.figures.between_runs import ELSEWHERE
from llamatop.figures.deciding import SAME_WITHIN, decide
from llamatop.figures.sequential import FIRST_LOOK, of_pairs, tail_of_a_look
from llamatop.reports.apart import values_of
from llamatop.reports.compare import Comparison, compare, compare_groups
from llamatop.reports.runs import Run, open_run, run_of
from llamatop.reports.verdicts import HEADLINE
from llamatop.run.replay import fold
from llamatop.settings.config import RunConfig

STEP = 0.025
LEVELS = (1, 4)
QUIET_STEP, QUIET_TURN = 0.08, 0.015
ROUNDS = 6


def simulated(seed: int, step: float, run: float, slower: float = 1.0, device: str = "cpu") -> Run:
    """A scripted run of default length; its steps and its mood drawn anew."""
    mood = math.exp(random.Random(f"mood {seed}").gauss(0, run)) * slower
    config = RunConfig(engine="scripted", concurrency=LEVELS, seed=seed, text=False)
    # a uniform jitter of j has a standard deviation of j / sqrt(3)
    behaviour = Script(
        step=STEP * mood, prefill_per_token=0.0005 * mood, jitter=min(step * math.sqrt(3), 0.9)
    )
    events = [e for e in script(config, behaviour) if type(e).__name__ != "HostSampled"]
    return run_of(fold([_on(device, e) for e in events]), f"run{seed}")


def _on(device: str, event: Event) -> Event:
    """The same event of a run that was on this device."""
    loaded = isinstance(event, ModelLoaded)
    return msgspec.structs.replace(event, device=device) if loaded else event


def called(comparison: Comparison) -> list[str]:
    """The headline figures that are called faster or slower."""
    every = [*comparison.overall, *comparison.levels]
    return [
        f"{one.metric}@{one.concurrency}"
        for one in every
        if one.metric in HEADLINE and one.verdict in ("faster", "slower")
    ]


def share(name: str, count: int, of: int, bound: str) -> None:
    """A count as a line, and what it should be."""
    print(f"{name}: {count} of {of} ({count / of:.1%}); wanted {bound}", flush=True)


def simulate(args: argparse.Namespace) -> None:
    """Scripted pairs by what was measured, and by what is assumed of an accelerator."""
    print(f"\nas a processor was measured: a step {args.step:g}, a run {args.run:g}")
    simulate_on("cpu", args.step, args.run, args.pairs)
    turns(args.turn, args.last, args.turns)
    run = ELSEWHERE[""]
    print(f"\nas is assumed of an accelerator: a step {QUIET_STEP:g}, a run {run:g}")
    simulate_on("cuda:0", QUIET_STEP, run, args.pairs)
    turns(QUIET_TURN, args.last, args.turns)


def simulate_on(device: str, step: float, run: float, pairs: int) -> None:
    """False verdicts of so many pairs, and the power of half or a quarter as many."""
    seeds = itertools.count()

    def one(slower: float = 1.0) -> Run:
        return simulated(next(seeds), step, run, slower, device)

    same = [called(compare(one(), one())) for _ in range(pairs)]
    share(
        "A/A, pairs with a headline figure faster or slower", sum(map(bool, same)), pairs, "≤ 5 %"
    )
    figures = pairs * len(HEADLINE) * (len(LEVELS) + 1)
    share("A/A, headline figures", sum(map(len, same)), figures, "≤ 5 %")
    for slower in (1.1, 1.5, 2.0):
        half = [compare(one(), one(slower)) for _ in range(max(pairs // 2, 1))]
        power(f"x {slower:g}, one run each", half, slower)
    for slower in (1.05, 1.1, 1.5):
        quarter = [
            compare_groups([one() for _ in range(5)], [one(slower) for _ in range(5)])
            for _ in range(max(pairs // 4, 1))
        ]
        power(f"x {slower:g}, five runs each", quarter, slower)


def power(name: str, told: Sequence[Comparison], slower: float) -> None:
    """How often throughput over all levels was called slower, and what was said else."""
    verdicts = Counter(comparison.overall[0].verdict for comparison in told)
    wanted = "≥ 90 %, or `undecided`"
    share(f"{name}: slower", verdicts.pop("slower", 0), len(told), wanted)
    if verdicts:
        print(f"  else {', '.join(f'{word} {count}' for word, count in verdicts.items())}")
    notes = Counter(c.overall[0].note for c in told if c.overall[0].verdict == "undecided")
    for note, count in notes.most_common(1):
        print(f"  of those {count}: {note}")


def turns(noise: float, last: float, pairs: int) -> None:
    """Simulated ab of six rounds with moods that last: false stops, and what is found."""
    for slower, bound in ((1.0, "≤ 5 %"), (1.05, "≥ 90 %"), (1.1, "≥ 90 %"), (1.5, "≥ 90 %")):
        stops = sum(_stops(seed, noise, last, slower) for seed in range(pairs))
        share(f"ab x {slower:g}, stopped as faster or slower", stops, pairs, bound)


def _stops(seed: int, noise: float, last: float, slower: float, within: float = 0.02) -> bool:
    """Whether ab ends with a difference; a turn's mood has the standard deviation `noise`, and
    the correlation `last` with that of the turn before."""
    drawn, logs = random.Random(f"ab {seed}"), []
    mood = drawn.gauss(0, noise)
    for one in range(1, ROUNDS + 1):
        times = []
        for side in "abba":
            mood = last * mood + drawn.gauss(0, noise * math.sqrt(1 - last**2))
            times.append(mood + (math.log(slower) if side == "b" else 0.0))
        logs += [times[0] - times[1], times[3] - times[2]]
        if one >= FIRST_LOOK:
            mean = math.fsum(logs) / len(logs)
            way = decide(mean, of_pairs(logs), tail_of_a_look(ROUNDS), within).way
            if way != "undecided":
                return way in ("up", "down")
    return False


def llamatop(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A run of llamatop to its end."""
    command = [sys.executable, "-m", "llamatop", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def measure(args: argparse.Namespace) -> None:
    """Recordings of demo by default options, and what they vary by."""
    name = str(Path(args.out) / "demo.parquet")
    done = llamatop("--record", "--concurrency", *map(str, LEVELS), "--runs", str(args.runs),
                    "--out", name)  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    spreads(recordings(args.out))


def recordings(folder: str) -> list[Run]:
    """What `measure` made."""
    return [open_run(str(path)) for path in sorted(Path(folder).glob("demo.*.parquet"))]


def spreads(runs: Sequence[Run]) -> None:
    """What varies from run to run, and from step to step."""
    for level in LEVELS:
        figures = [next(f for f in run.figures if f.concurrency == level) for run in runs]
        for metric in ("output_tok_s", "ttft_s.p50", "tpot_s.p50", "e2e_s.mean"):
            logs = [math.log(value) for f in figures if (value := values_of(f)[metric])]
            print(f"{metric} at {level}: from run to run {statistics.stdev(logs):.4f}")
        others = [f.contention.others_cores or 0.0 for f in figures]
        print(f"others' cores at {level}: {min(others):.2f} to {max(others):.2f}")
        steps = [math.log(gap) for run in runs for gap in _gaps(run, level) if gap > 0]
        print(f"steps at {level}: {statistics.stdev(steps):.4f}")


def _gaps(run: Run, concurrency: int) -> Iterator[float]:
    for level in run.session.levels.values():
        for request in level.requests if level.concurrency == concurrency else ():
            yield from (b - a for a, b in itertools.pairwise(request.times))


def pairs(args: argparse.Namespace) -> None:
    """Real pairs of one setting, neighbours in time and not."""
    runs = recordings(args.folder)
    some = list(itertools.combinations(range(len(runs)), 2))
    random.Random(0).shuffle(some)
    chosen = some[: args.pairs]
    wrong = [called(compare(runs[a], runs[b])) for a, b in chosen]
    share("A/A of demo, pairs with a headline figure faster or slower", sum(map(bool, wrong)),
          len(chosen), "≤ 5 %")  # fmt: skip


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """A process that takes a core."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def recorded(path: Path) -> None:
    """A run of demo by default options; it has its name when it is whole."""
    part = path.with_name(f"part-{path.name}")
    clear(part.parent, f"{part.name}*")
    done = llamatop("--record", "--concurrency", "4", "--out", str(part))
    if done.returncode:
        raise SystemExit(done.stderr)
    part.rename(path)


def clear(folder: Path, pattern: str) -> None:
    """Remove what a run that was ended left."""
    for left in folder.glob(pattern):
        left.unlink()


def beside(args: argparse.Namespace) -> None:
    """Pairs of one setting, the second of each beside a process that takes a core."""
    wrong = named = 0
    for number in range(args.pairs):
        one, other = (Path(args.out) / f"beside.{number}.{side}.parquet" for side in "ab")
        if not other.exists():
            recorded(one)
            with busy_core():
                recorded(other)
        told = compare(open_run(str(one)), open_run(str(other)))
        wrong += bool(called(told))
        named += any("other processes took" in warning for warning in told.warnings)
        print(f"pair {number + 1}: {told.verdict}", flush=True)
    share("beside a busy process, called faster or slower", wrong, args.pairs, "0")
    share("beside a busy process, the neighbour named", named, args.pairs, "all")


def by_turns(args: argparse.Namespace) -> None:
    """ab against itself beside a busy process; batch against threads."""
    wrong = 0
    for number in range(args.pairs):
        path = Path(args.out) / f"same{number}.json"
        verdicts = _ab(path, "--engine batch", "--engine batch", ROUNDS, busy_core)
        wrong += any(word in ("faster", "slower") for word in verdicts)
        print(f"try {number + 1}: {', '.join(verdicts)}", flush=True)
    share("ab of one setting, called faster or slower", wrong, args.pairs, "0")
    path = Path(args.out) / "engines.json"
    verdicts = _ab(path, "--engine batch", "--engine threads", 3, contextlib.nullcontext)
    print(f"batch against threads within three rounds: {verdicts[0]}; wanted faster or slower")


def _ab(
    path: Path,
    a: str,
    b: str,
    rounds: int,
    beside: Callable[[], contextlib.AbstractContextManager[None]],
) -> list[str]:
    """The headline verdicts of a run of ab, which is made where its JSON is not there yet."""
    if not path.exists():
        clear(path.parent, f"{path.stem}.*")
        with beside():
            done = llamatop("ab", "--a", a, "--b", b, "--model", "demo", "--concurrency", "8",
                            "--requests", "16", "--rounds", str(rounds), "--until-decided", "0.02",
                            "--json", "--out", str(path.with_suffix(".parquet")))  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stderr)
        path.write_text(done.stdout)
    told = json.loads(path.read_text())["comparisons"][0]["overall"]
    return [one["verdict"] for one in told if one["metric"] in HEADLINE]


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    kinds = parser.add_subparsers(required=True)
    add = kinds.add_parser("simulate")
    add.add_argument("--step", type=float, default=0.19)
    add.add_argument("--run", type=float, default=0.14)
    add.add_argument("--turn", type=float, default=0.14)
    add.add_argument("--last", type=float, default=0.35)
    add.add_argument("--pairs", type=int, default=200)
    add.add_argument("--turns", type=int, default=1000)
    add.set_defaults(do=simulate)
    for name, do, usual in (
        ("measure", measure, 0),
        ("beside", beside, 20),
        ("turns", by_turns, 10),
    ):
        add = kinds.add_parser(name)
        add.add_argument("--out", required=True)
        add.add_argument("--pairs", type=int, default=usual)
        add.add_argument("--runs", type=int, default=20)
        add.set_defaults(do=do)
    add = kinds.add_parser("pairs")
    add.add_argument("folder")
    add.add_argument("--pairs", type=int, default=40)
    add.set_defaults(do=pairs)
    args = parser.parse_args()
    print(f"same: within ±{SAME_WITHIN:.0%}")
    args.do(args)


if __name__ == "__main__":
    main()

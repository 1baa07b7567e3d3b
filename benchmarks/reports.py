"""What every command on recordings takes: seconds, CPU seconds and memory.

For the samples that ship, and for recordings of so many events: scripted runs of eight levels
(1 to 128 requests at once, 128 tokens in and 64 out, a sample of the machine twice a second) that
went through the recorder. Each command runs in a process of its own, whose user and system time
(of all its threads) and largest resident size the kernel counts.

    python benchmarks/reports.py --events 1000000 10000000 --keep long-recordings

Beside an earlier commit of this clone, by turns, on a recording that the earlier one made:

    python benchmarks/reports.py --events 10000000 --keep long-recordings --beside 0b8cf7f
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "recordings" / "samples"

LEVELS = (1, 2, 4, 8, 16, 32, 64, 128)
TOKENS = 64
PER_REQUEST = TOKENS + 3
"""Events of a request: queued, admitted, its tokens, finished."""


def record(path: Path, events: int) -> None:
    """A scripted run of about so many events, recorded; never held whole."""
    from llamatop.engines.scripted import script_parts  # noqa: PLC0415
    from llamatop.recording.writer import Recorder  # noqa: PLC0415

    try:
        from llamatop.settings.config import RunConfig  # noqa: PLC0415
    except ImportError:  # where an earlier commit had it
        from llamatop.config import RunConfig  # type: ignore[import-not-found,no-redef]  # noqa: PLC0415

    config = RunConfig(
        engine="scripted", concurrency=LEVELS, gen_toks=TOKENS, text=False,
        requests=max(round(events / PER_REQUEST / len(LEVELS)), 1), slo={"ttft": 0.2},
    )  # fmt: skip
    recorder = Recorder(path)
    for part in script_parts(config):
        recorder.write(part)
        while recorder.waiting:
            time.sleep(0.05)
    recorder.close()
    if recorder.error is not None:
        raise SystemExit(recorder.error)


class Taken(NamedTuple):
    """What a process took."""

    wall: float
    cpu: float
    """User and system seconds of all threads."""
    bytes: int
    """Largest resident size."""
    status: int


def measured(arguments: list[str], log: Path, package: Path = ROOT) -> Taken:
    """Run Python to its end, with the llamatop of a folder; its output goes to a file.

    Bytecode is kept beside the file, as an installed package has it.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PYTHONPATH": str(package), "PYTHONPYCACHEPREFIX": str(log.parent / "bytecode")}
    began = time.perf_counter()
    with log.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, *arguments], stdout=file, stderr=file, env=env, cwd=log.parent
        )
        _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    return Taken(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, child.returncode)


OPEN = (
    "import sys; from llamatop.recording.reader import open_recording; "
    "from llamatop.run.replay import Replay; replay = Replay(open_recording(sys.argv[1]).events); "
    "replay.seek(replay.length // 2)"
)
"""What the screen does before it shows a recording, and a seek to the middle."""


def commands(file: str, out: str) -> Iterator[tuple[str, list[str]]]:
    """Every command on one recording, by name."""
    tool = ["-m", "llamatop"]
    yield "replay --json", [*tool, "replay", file, "--json"]
    for dialect in ("llamatop", "vllm", "aiperf", "guidellm", "mlperf"):
        yield f"replay --dialect {dialect}", [*tool, "replay", file, "--dialect", dialect]
    yield "plot", [*tool, "plot", file, "--out", out]
    yield "plot --html", [*tool, "plot", file, "--html", f"{out}/page.html"]
    yield "plot --terminal", [*tool, "plot", file, "--terminal"]
    yield "compare", [*tool, "compare", file, file]
    yield "recommend", [*tool, "recommend", file, "--slo", "ttft=0.5,tpot=0.05"]
    for form in ("csv", "json", "jsonl", "parquet"):
        yield f"export {form}", [*tool, "export", file, "--format", form, "--out", out]
    yield "opened for the screen", ["-c", OPEN, file]


def show(file: Path, only: str | None) -> None:
    """Print a line for each command on one recording."""
    print(f"\n{file.name}, {file.stat().st_size / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory() as out:
        for name, arguments in commands(str(file), out):
            if only is None or only in name:
                log = Path(out) / "log"
                taken = measured(arguments, log)
                failed = f"  exit {taken.status}: {log.read_text()[-200:]}" if taken.status else ""
                print(
                    f"  {name:<26} {taken.wall:7.2f} s {taken.cpu:7.2f} s CPU "
                    f"{taken.bytes / 1e6:7.0f} MB{failed}",
                    flush=True,
                )


DECIDING = ("replay --json", "compare", "recommend")
"""What is held against an earlier commit."""


def earlier(commit: str, folder: Path) -> Path:
    """A commit's package in a folder."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit, "llamatop"], capture_output=True, check=True
    )
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def beside(commit: str, events: int, turns: int, keep: str | None) -> None:
    """Medians of both builds by turns, and their quotients."""
    with tempfile.TemporaryDirectory() as folder:
        builds = {"this": ROOT, commit: earlier(commit, Path(folder) / "earlier")}
        file = Path(keep or folder).absolute() / f"scripted-{events}-{commit}.parquet"
        if not file.exists():
            making = [__file__, "--events", str(events), "--record", str(file)]
            made = measured(making, Path(folder) / "log", builds[commit])
            if made.status:
                raise SystemExit((Path(folder) / "log").read_text())
        print(f"\n{file.name}, {file.stat().st_size / 1e6:.1f} MB, {turns} turns")
        for name, arguments in commands(str(file), folder):
            if name in DECIDING:
                by_turns(name, arguments, builds, turns, Path(folder) / "log")


def by_turns(
    name: str, arguments: list[str], builds: dict[str, Path], turns: int, log: Path
) -> None:
    """A line for each build, and one for the first over the second."""
    taken: dict[str, list[Taken]] = {build: [] for build in builds}
    for package in builds.values():
        measured(arguments, log, package)  # makes its bytecode
    for _ in range(turns):
        for build, package in builds.items():
            taken[build].append(measured(arguments, log, package))
            if taken[build][-1].status:
                raise SystemExit(f"{name}, {build}: {log.read_text()[-500:]}")
    middles = {
        build: [statistics.median(one[place] for one in found) for place in range(3)]
        for build, found in taken.items()
    }
    for build, (wall, cpu, size) in middles.items():
        print(f"  {name:<16} {build:<8} {wall:7.2f} s {cpu:7.2f} s CPU {size / 1e6:7.0f} MB")
    this, before = middles.values()
    shares = (one / other for one, other in zip(this, before, strict=True))
    print(
        f"  {name:<16} {'ratio':<8} " + " ".join(f"{share:7.2f}  " for share in shares), flush=True
    )


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, nargs="*", default=[1_000_000])
    parser.add_argument("--keep", metavar="DIR", help="keep the recordings there, and use them")
    parser.add_argument("--only", metavar="TEXT", help="the commands that hold it")
    parser.add_argument("--no-samples", action="store_true")
    parser.add_argument("--record", metavar="FILE", help="only make a recording of --events")
    parser.add_argument("--beside", metavar="COMMIT", help="by turns with this commit")
    parser.add_argument("--turns", type=int, default=5, help="of each build")
    args = parser.parse_args()
    if args.beside:
        for events in args.events:
            beside(args.beside, events, args.turns, args.keep)
        return
    if args.record:
        record(Path(args.record), args.events[0])
        return
    for sample in [] if args.no_samples else sorted(SAMPLES.glob("*.parquet")):
        show(sample, args.only)
    with tempfile.TemporaryDirectory() as folder:
        for events in args.events:
            file = Path(args.keep or folder) / f"scripted-{events}.parquet"
            if not file.exists():
                making = [__file__, "--events", str(events), "--record", str(file)]
                subprocess.run([sys.executable, *making], check=True)
            show(file, args.only)


if __name__ == "__main__":
    main()

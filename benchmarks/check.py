"""How long `llamatop check` takes, and how much memory; beside an earlier build in the same run.

    python benchmarks/check.py [--rounds 3] [MODEL ...]

By turns, each with an empty cache folder of its own, so that nothing is known but what ships. Where
the earlier commit is not in this clone it says so and prints this build alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
EARLIER = "0b8cf7f04fcb99b638248c52d4e09a10b6fc07fc"
MODELS = (
    "meta-llama/Llama-4-Scout-17B-16E-Instruct",
    str(ROOT / "tests" / "data" / "configs" / "deepseek-v3"),
)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before = earlier(Path(folder) / "earlier")
        if before is None:
            print(f"commit {EARLIER[:7]} is not in this clone: this build alone")
        builds = {"this": ROOT, **({"earlier": before} if before else {})}
        print(f"{'model':<48} {'build':<8} {'seconds':>8} {'MB':>6}")
        for model in args.models:
            here = Path(model).resolve()
            compare(str(here) if here.is_dir() else model, builds, args.rounds)


def earlier(folder: Path) -> Path | None:
    """That commit's files in a folder; None where the clone has none."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", EARLIER, "llamatop"], capture_output=True, check=False
    )
    if archive.returncode != 0:
        return None
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def compare(model: str, builds: dict[str, Path], rounds: int) -> None:
    """One model, the builds by turns."""
    seconds: dict[str, list[float]] = {name: [] for name in builds}
    peaks: dict[str, int] = {}
    for _ in range(rounds):
        for name, folder in builds.items():
            took, peak = check(model, folder)
            seconds[name].append(took)
            peaks[name] = max(peak, peaks.get(name, 0))
    for name, found in seconds.items():
        print(f"{model[-48:]:<48} {name:<8} {median(found):>8.2f} {peaks[name] / 1e6:>6.0f}")
    if "earlier" in seconds:
        share = median(seconds["this"]) / median(seconds["earlier"])
        print(f"{model[-48:]:<48} {'ratio':<8} {share:>8.2f}", flush=True)


def check(model: str, folder: Path) -> tuple[float, int]:
    """Seconds, and the peak of the largest of its processes in bytes."""
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "PYTHONPATH": str(folder), "LLAMATOP_CACHE": cache}
        command = [sys.executable, "-m", "llamatop", "check", "--model", model]
        command += ["--device-name", "H200", "--json"]
        said = Path(cache) / "said"
        started = time.perf_counter()
        with said.open("wb") as file:
            running = subprocess.Popen(
                command, env=env, cwd=cache, stdout=subprocess.DEVNULL, stderr=file
            )
            _, status, used = os.wait4(running.pid, 0)
        took = time.perf_counter() - started
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode not in (0, 3):
            raise SystemExit(f"{model}: {said.read_text().strip()}")
    return took, used.ru_maxrss * 1024


if __name__ == "__main__":
    main()

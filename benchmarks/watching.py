"""What the open screen costs: the same run on the screen and headless, by turns.

The runs of a pair follow one another in processes of their own, each pair in the other order; the
figures are read from the recordings. A ratio is screen over headless, of the output tokens per
second. Pairs differ by more than the screen takes, so their median comes with its interval.

    python benchmarks/watching.py --model demo --concurrency 8 --requests 192 --pairs 12
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pexpect

LLAMATOP = (sys.executable, "-m", "llamatop")
SIZE = (36, 120)


def headless(options: list[str], recording: Path) -> float:
    """Output tokens per second without a screen."""
    call = [*LLAMATOP, "--record", "--record-text", *options, "--out", str(recording)]
    subprocess.run(call, check=True, capture_output=True)
    return throughput(recording)


def on_screen(options: list[str], recording: Path) -> float:
    """Output tokens per second with the screen open in a pseudo-terminal."""
    child = pexpect.spawn(
        LLAMATOP[0],
        [*LLAMATOP[1:], *options, "--record-text", "--out", str(recording)],
        dimensions=SIZE,
        encoding="utf-8",
        timeout=600,
    )
    child.expect("finished")
    child.send("q")
    child.expect(pexpect.EOF)
    return throughput(recording)


def throughput(recording: Path) -> float:
    """Of a recording's last level."""
    call = [*LLAMATOP, "replay", str(recording), "--json"]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)["levels"][-1]["output_tok_s"])


def interval(ratios: list[float]) -> tuple[float, float] | None:
    """Between which two of them their median lies in 95 of 100 such series; None for too few.

    By the sign test: each ratio is as likely above the true median as below it.
    """
    ordered, pairs = sorted(ratios), len(ratios)
    below = [sum(math.comb(pairs, i) for i in range(k + 1)) / 2**pairs for k in range(pairs)]
    place = sum(share <= 0.025 for share in below) - 1
    return (ordered[place], ordered[-1 - place]) if place >= 0 else None


def main() -> None:
    """Print every pair and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="demo")
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--requests", type=int, default=48)
    parser.add_argument("--gen-toks", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    args = parser.parse_args()
    options = ["--model", args.model, "--weights", args.weights]
    options += ["--concurrency", str(args.concurrency), "--requests", str(args.requests)]
    options += ["--gen-toks", str(args.gen_toks), "--device", args.device]
    options += ["--dtype", args.dtype]
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(args.pairs):
            order = (headless, on_screen) if pair % 2 else (on_screen, headless)
            rates = {
                run: run(options, Path(folder) / f"{pair}-{run.__name__}.parquet") for run in order
            }
            ratios.append(rates[on_screen] / rates[headless])
            print(f"headless {rates[headless]:8.1f} tok/s  screen {rates[on_screen]:8.1f} tok/s  "
                  f"ratio {ratios[-1]:.3f}", flush=True)  # fmt: skip
    between = interval(ratios)
    told = f", 95 % interval {between[0]:.3f} to {between[1]:.3f}" if between else ""
    print(f"median ratio {statistics.median(ratios):.3f} of {len(ratios)} pairs{told}")


if __name__ == "__main__":
    main()

"""How long importing a large file of vllm bench takes, and how much memory: 100,000 requests.

Enlarged from a real file. Run it on a quiet machine: `python benchmarks/imports.py`.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REAL = (
    Path(__file__).parents[1]
    / "tests/data/peer-results/vllm-bench-serve-0.32.0/llamacpp-completions.json"
)
REQUESTS = 100_000
GAPS = 16


def enlarged(real: dict[str, object]) -> dict[str, object]:
    """The same file with so many requests, their gaps stretched by up to a tenth."""
    dice = random.Random(0)
    arrays = [name for name, value in real.items() if isinstance(value, list)]
    large = {**real, **{name: [] for name in arrays}, "num_prompts": REQUESTS}
    there = len(real["start_times"])  # type: ignore[arg-type]
    for number in range(REQUESTS):
        one = {name: real[name][number % there] for name in arrays}  # type: ignore[index]
        gaps = [gap * (1 + dice.random() / 10) for gap in (one["itls"] * 2)[:GAPS]]
        start = real["start_times"][0] + number * 0.02  # type: ignore[index]
        one |= {"itls": gaps, "start_times": round(start, 9), "latencies": one["ttfts"] + sum(gaps)}
        for name in arrays:
            large[name].append(one[name])  # type: ignore[union-attr]
    return large


def main() -> None:
    """Write the file, import it in a process of its own, say what that took."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.json"
        file.write_text(json.dumps(enlarged(json.loads(REAL.read_text()))))
        begin = time.monotonic()
        command = [sys.executable, "-m", "llamatop", "import", str(file), "--out", folder]
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.monotonic() - begin
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
        size = file.stat().st_size / 1e6
    print(f"{REQUESTS:,} requests, {size:.0f} MB: {seconds:.2f} s, peak {peak:.0f} MB")


if __name__ == "__main__":
    main()

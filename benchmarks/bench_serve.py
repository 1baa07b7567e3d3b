"""llamatop beside `vllm bench serve` on the same server, in turns: theirs, ours, ours, theirs.

Both send the same load: so many requests at once, random prompts and answers of the same lengths,
temperature 0. llamatop's recording is read in vLLM's arithmetic (`replay --dialect vllm`). Figures
of one turn differ from those of the next by what the machine does; where the two programs differ by
more than that, there must be a reason with a name (`docs/servers.md`).

    python benchmarks/bench_serve.py --vllm .vllm/bin/vllm --url http://127.0.0.1:8000 \
        --model demo --tokenizer llamatop/catalog/demo
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

Figures = dict[str, float]

NAMES = {
    "output tok/s": "output_throughput",
    "TTFT mean ms": "mean_ttft_ms",
    "TPOT mean ms": "mean_tpot_ms",
    "ITL mean ms": "mean_itl_ms",
    "completed": "completed",
    "output tokens": "total_output_tokens",
    "prompt tokens": "total_input_tokens",
}


def theirs(args: argparse.Namespace, folder: Path) -> Figures:
    """What `vllm bench serve` finds."""
    load = ["--max-concurrency", str(args.concurrency), "--num-prompts", str(args.requests)]
    load += ["--random-input-len", str(args.prompt_toks), "--random-output-len", str(args.gen_toks)]
    where = ["--backend", "openai", "--base-url", args.url, "--endpoint", "/v1/completions"]
    what = ["--model", args.model, "--tokenizer", str(args.tokenizer), "--dataset-name", "random"]
    how = [
        "--ignore-eos",
        "--temperature",
        "0",
        "--disable-tqdm",
        "--seed",
        str(time.time_ns() % 9999),
    ]
    kept = ["--save-result", "--result-dir", str(folder), "--result-filename", "theirs.json"]
    command = [str(args.vllm), "bench", "serve", *where, *what, *load, *how, *kept]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    told = json.loads((folder / "theirs.json").read_text())
    return {name: told[key] for name, key in NAMES.items()}


def ours(args: argparse.Namespace, folder: Path) -> Figures:
    """What llamatop finds, in vLLM's arithmetic."""
    path = folder / f"{time.monotonic_ns()}.parquet"
    program = [sys.executable, "-m", "llamatop"]
    load = ["--concurrency", str(args.concurrency), "--requests", str(args.requests)]
    load += ["--prompt-toks", str(args.prompt_toks), "--gen-toks", str(args.gen_toks)]
    run = [*program, "--record", "--json", "--url", args.url, "--model", args.model, *load]
    own = json.loads(said([*run, "--out", str(path)]))["levels"][0]
    read = json.loads(said([*program, "replay", str(path), "--dialect", "vllm", "--json"]))
    level = read["levels"][0]
    return {
        "output tok/s": level["output_tok_s"],
        "TTFT mean ms": level["ttft_s"]["mean"] * 1e3,
        "TPOT mean ms": level["tpot_s"]["mean"] * 1e3,
        "ITL mean ms": level["itl_s"]["mean"] * 1e3,
        "completed": level["completed"],
        "output tokens": level["output_tokens"],
        "prompt tokens": own["prompt_tokens"],
    }


def said(command: list[str]) -> str:
    """The output of a program that must end well."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return done.stdout


def main() -> None:
    """Print every turn, and the means with their spread."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vllm", type=Path, required=True, help="the program vllm")
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--prompt-toks", type=int, default=64)
    parser.add_argument("--gen-toks", type=int, default=64)
    parser.add_argument("--quads", type=int, default=1)
    args = parser.parse_args()
    found: dict[str, list[Figures]] = {"vllm": [], "llamatop": []}
    with tempfile.TemporaryDirectory() as name:
        for who in ["vllm", "llamatop", "llamatop", "vllm"] * args.quads:
            found[who].append((theirs if who == "vllm" else ours)(args, Path(name)))
            told = "  ".join(f"{name} {value:.4g}" for name, value in found[who][-1].items())
            print(f"{who:8} {told}", flush=True)
    for figure in NAMES:
        both = [[turn[figure] for turn in turns] for turns in found.values()]
        means = [statistics.fmean(values) for values in both]
        noise = max(
            (max(values) - min(values)) / (statistics.fmean(values) or 1) for values in both
        )
        print(f"{figure:14} vllm {means[0]:9.2f}  llamatop {means[1]:9.2f}  "
              f"{means[1] / means[0] - 1:+.1%}, turns of one differ by {noise:.1%}")  # fmt: skip


if __name__ == "__main__":
    main()

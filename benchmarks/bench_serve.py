"""llamatop beside `vllm bench serve` on the same server, in turns: theirs, ours, ours, theirs.

Both send the same load: so many requests at once, random prompts and answers of the same lengths,
temperature 0. llamatop's recording is read in vLLM's arithmetic (`replay --dialect vllm`). Figures
of one turn differ from those of the next by what the machine does; where the two programs differ by
more than that, there must be a reason with a name (`docs/client.md`). Their tokens may be another
tokenizer's guess, so rates and TPOT are told by the tokens asked for as well, which all answers
have. What comes after `--theirs` is theirs alone, to try one suspect: `--theirs --num-warmups 8`.

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

sys.path.insert(0, str(Path(__file__).parents[1]))

from llamatop.events.clock import SECOND
from llamatop.recording.reader import open_recording
from llamatop.run.replay import fold

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
    kept = [
        "--save-detailed",
        "--save-result",
        "--result-dir",
        str(folder),
        "--result-filename",
        "theirs.json",
    ]
    command = [str(args.vllm), "bench", "serve", *where, *what, *load, *how, *kept, *args.theirs]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    told = json.loads((folder / "theirs.json").read_text())
    spans = [(begun, begun + first, begun + first + sum(gaps)) for begun, first, gaps in
             zip(told["start_times"], told["ttfts"], told["itls"], strict=True)]  # fmt: skip
    figures = {name: told[key] for name, key in NAMES.items()}
    return figures | by_tokens_asked(args, spans, told["duration"])


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
        **by_tokens_asked(args, spans_of(path)),
    }


def spans_of(path: Path) -> list[tuple[float, float, float]]:
    """When each measured request was sent, had its first token and its last; seconds."""
    [level] = fold(open_recording(path).events).levels.values()
    times = [(one.served.sent, one.times[0], one.times[-1]) for one in level.requests if one.served]
    return [(sent / SECOND, first / SECOND, last / SECOND) for sent, first, last in times]


def by_tokens_asked(
    args: argparse.Namespace, spans: list[tuple[float, float, float]], told: float | None = None
) -> Figures:
    """What has one arithmetic for both, from when each was sent, began and ended.

    `told`: the duration that a program's own rates rest on, if it has another.
    """
    seconds = max(last for *_, last in spans) - min(sent for sent, *_ in spans)
    pace = statistics.fmean((last - first) / (args.gen_toks - 1) for _, first, last in spans)
    firsts = [(first - sent) * 1e3 for sent, first, _ in sorted(spans)]
    wave = args.concurrency
    return {
        "tok/s, as asked": len(spans) * args.gen_toks / seconds,
        "TPOT, as asked": pace * 1e3,
        "TTFT of the 1st": firsts[0],
        "TTFT, 1st wave": statistics.fmean(firsts[:wave]),
        "TTFT, the rest": statistics.fmean(firsts[wave:] or firsts),
        "told beyond ms": ((told or seconds) - seconds) * 1e3,
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
    parser.add_argument("--theirs", nargs=argparse.REMAINDER, default=[], help="for theirs alone")
    args = parser.parse_args()
    found: dict[str, list[Figures]] = {"vllm": [], "llamatop": []}
    with tempfile.TemporaryDirectory() as name:
        for who in ["vllm", "llamatop", "llamatop", "vllm"] * args.quads:
            found[who].append((theirs if who == "vllm" else ours)(args, Path(name)))
            told = "  ".join(f"{name} {value:.4g}" for name, value in found[who][-1].items())
            print(f"{who:8} {told}", flush=True)
    for figure in found["vllm"][0]:
        both = [[turn[figure] for turn in turns] for turns in found.values()]
        means = [statistics.fmean(values) for values in both]
        noise = max(
            (max(values) - min(values)) / (statistics.fmean(values) or 1) for values in both
        )
        change = means[1] / (means[0] or 1) - 1
        print(f"{figure:16} vllm {means[0]:9.2f}  llamatop {means[1]:9.2f}  "
              f"{change:+.1%}, turns of one differ by {noise:.1%}")  # fmt: skip


if __name__ == "__main__":
    main()

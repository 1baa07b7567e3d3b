"""Which engine for this model on this machine: one model in several engines, by turns, as Markdown.

An 82M-parameter Llama of random weights (or `--model FOLDER`, of the bundled one's kind), in
float32 everywhere, is served by transformers in this program, by llama.cpp, by `transformers serve`
and by vLLM, where `--vllm` says in which environment that is. A turn is a run of its own, from the
start of the engine to its end; turns go forwards and backwards through the engines. Figures are
medians over the turns, with the least and the most of the throughput. Needs nothing else to run.

    python benchmarks/which_engine.py --vllm .vllm
    python benchmarks/which_engine.py --rounds 1 --requests 2 --gen-toks 8 --concurrency 1
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.serving import random_llama
from llamatop.engines.gguf_demo import write_gguf
from llamatop.text.formatting import duration, number, size

LLAMATOP = (sys.executable, "-m", "llamatop")
Told = dict[str, Any]


def engines(args: argparse.Namespace, model: Path, gguf: Path) -> dict[str, list[str]]:
    """By the name of each the options that choose it."""
    slots = max(args.concurrency)
    context = args.prompt_toks + args.gen_toks + 512
    beside = Path(sys.executable).with_name("transformers")
    transformers = (
        f"{shlex.quote(str(beside))} serve {{model}} --continuous-batching --host 127.0.0.1 "
        f"--port {{port}} --device cpu --dtype float32 --attn-implementation sdpa "
        f"--cb-num-blocks {slots * (context // 256 + 2)} --cb-max-batch-tokens 512"
    )
    folder = ["--model", str(model)]
    found = {
        "transformers": [*folder, "--dtype", "float32"],
        "llama.cpp": ["--model", str(gguf), "--serve", "llama.cpp"],
        "transformers serve": [*folder, "--serve", transformers, "--tokenizer", str(model)],
    }
    if args.vllm is not None:
        vllm = (
            f"{shlex.quote(str(Path(args.vllm).absolute() / 'bin' / 'vllm'))} serve {{model}} "
            f"--host 127.0.0.1 --port {{port}} --dtype float32 --no-enable-prefix-caching "
            f"--max-num-seqs {slots} --max-model-len {context}"
        )
        found["vLLM"] = [*folder, "--serve", vllm]
    return found


def run(options: list[str], args: argparse.Namespace, env: dict[str, str]) -> Told | None:
    """One turn; None where it failed, which is told."""
    command = [*LLAMATOP, "--record", "--json", *options, *common(args), "--out", env["OUT"]]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    Path(env["OUT"]).unlink(missing_ok=True)
    if done.returncode:
        sys.stderr.write(done.stderr)
        return None
    return dict(json.loads(done.stdout))


def common(args: argparse.Namespace) -> list[str]:
    """The load, the same for all."""
    levels = [str(level) for level in args.concurrency]
    lengths = ["--prompt-toks", str(args.prompt_toks), "--gen-toks", str(args.gen_toks)]
    more = ["--requests", str(args.requests)] if args.requests else []
    return ["--concurrency", *levels, *lengths, *more]


def table(turns: dict[str, list[Told]], levels: list[int]) -> list[str]:
    """A row for each engine and number of requests at once."""
    heads = (
        "engine", "at once", "tokens/s", "least to most", "TTFT p50", "TPOT p50", "peak memory",
        "ready after",
    )  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' --: |' * (len(heads) - 1)}"]
    for name, told in turns.items():
        for place, concurrency in enumerate(levels):
            found = [one["levels"][place] for one in told]
            if found:
                lines.append(row(name, concurrency, found, told))
    return lines


def row(name: str, concurrency: int, levels: list[Told], told: list[Told]) -> str:
    """Medians over the turns."""
    rates = [level["output_tok_s"] for level in levels if level["output_tok_s"] is not None]
    ready = [one["serve"]["loading_s"] for one in told if one.get("serve")]

    def median(of: Callable[[Told], float | None]) -> float | None:
        values = [value for level in levels if (value := of(level)) is not None]
        return statistics.median(values) if values else None

    host = median(lambda level: level["peak_memory"]["host_bytes"])
    cells = [
        name,
        str(concurrency),
        f"**{number(statistics.median(rates))}**" if rates else "N/A",
        f"{number(min(rates))} to {number(max(rates))}" if rates else "N/A",
        duration(median(lambda level: level["ttft_s"]["p50"])),
        duration(median(lambda level: level["tpot_s"]["p50"])),
        size(None if host is None else round(host)),
        duration(statistics.median(ready)) if ready else "N/A",
    ]
    return f"| {' | '.join(cells)} |"


def plain(line: str, gguf: Path, model: Path) -> str:
    """A command without the paths of this machine."""
    line = line.replace(str(gguf), "llama.gguf").replace(str(model), "./llama")
    return re.sub(r"[^\s'\"]*/bin/(transformers|vllm)", r"\1", line)


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="a folder with a Llama in bfloat16")
    parser.add_argument("--vllm", metavar="FOLDER", help="an environment that has vLLM")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--requests", type=int, help="of each level (4 x concurrency)")
    parser.add_argument("--prompt-toks", type=int, default=128)
    parser.add_argument("--gen-toks", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def main() -> int:
    """Measure, and print the table and the commands."""
    args = arguments()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with redirect_stdout(sys.stderr):
            model = Path(args.model) if args.model else random_llama(scratch / "llama")
        gguf = write_gguf(model, scratch / "llama.gguf", "llama")
        ways = engines(args, model, gguf)
        root = str(Path(__file__).parents[1])
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "OUT": str(scratch / "turn.parquet")}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH")]))
        env |= {"VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
        turns: dict[str, list[Told]] = {way: [] for way in ways}
        for turn in range(args.rounds):
            for way in list(ways) if turn % 2 == 0 else reversed(list(ways)):
                sys.stderr.write(f"turn {turn + 1} of {args.rounds}: {way}\n")
                if (told := run(ways[way], args, env)) is not None:
                    turns[way].append(told)
        print("\n".join(table(turns, args.concurrency)))
        print("\n```sh")
        for options in ways.values():
            line = shlex.join(["llamatop", "--record", *options, *common(args)])
            print(plain(line, gguf, model))
        print("```")
    return 0 if all(turns.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

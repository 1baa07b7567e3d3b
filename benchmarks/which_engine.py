"""Which engine for this model on this machine: one model in several engines, by turns, as Markdown.

An 82M-parameter Llama of random weights (or `--model FOLDER`, of the bundled one's kind), in
bfloat16 everywhere (`--dtype`), is served by transformers in this program, by llama.cpp, by
`transformers serve` and by vLLM, where `--vllm` says in which environment that is. A turn is a run
of its own, from the start of the engine to its end; a round is a turn of each, forwards, then
backwards. Figures are medians over the turns, with the least and the most of the throughput. An
engine that fails is told, and the others go on. Needs nothing else to run.

With `--out FILE` each turn is kept as it ends: the same command again goes on where it was left,
with as many rounds more as `--rounds` says, and the table is of all of them. 0: the table alone.

    python benchmarks/which_engine.py --vllm .vllm
    python benchmarks/which_engine.py --vllm .vllm --rounds 1 --out rounds.jsonl
    python benchmarks/which_engine.py --rounds 1 --requests 2 --gen-toks 8 --concurrency 1
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rounds import Rounds, Told, median_of
from benchmarks.serving import SHAPE, random_llama
from llamatop.engines.gguf_demo import write_gguf
from llamatop.errors import InputError
from llamatop.text.formatting import duration, number, size

LLAMATOP = (sys.executable, "-m", "llamatop")


def engines(args: argparse.Namespace, model: Path, gguf: Path) -> dict[str, list[str]]:
    """By the name of each the options that choose it."""
    slots = max(args.concurrency)
    context = args.prompt_toks + args.gen_toks + 512
    beside = Path(sys.executable).with_name("transformers")
    transformers = (
        f"{shlex.quote(str(beside))} serve {{model}} --continuous-batching --host 127.0.0.1 "
        f"--port {{port}} --device cpu --dtype {args.dtype} --attn-implementation sdpa "
        f"--cb-num-blocks {slots * (context // 256 + 2)} --cb-max-batch-tokens 512"
    )
    folder = ["--model", str(model)]
    found = {
        "transformers": [*folder, "--dtype", args.dtype],
        "llama.cpp": ["--model", str(gguf), "--serve", "llama.cpp"],
        "transformers serve": [*folder, "--serve", transformers, "--tokenizer", str(model)],
    }
    if args.vllm is not None:
        vllm = (
            f"{shlex.quote(str(Path(args.vllm).absolute() / 'bin' / 'vllm'))} serve {{model}} "
            f"--host 127.0.0.1 --port {{port}} --dtype {args.dtype} --no-enable-prefix-caching "
            f"--max-num-seqs {slots} --max-model-len {context}"
        )
        found["vLLM"] = [*folder, "--serve", vllm]
    return found


def run(options: list[str], args: argparse.Namespace, env: dict[str, str]) -> Told | None:
    """One turn, whose progress goes to stderr; None where it failed, which is told there."""
    command = [*LLAMATOP, "--record", "--json", *options, *common(args), "--out", env["OUT"]]
    began = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env, check=False)
    Path(env["OUT"]).unlink(missing_ok=True)
    told = None if done.returncode else dict(json.loads(done.stdout))
    words = "failed" if told is None else "done"
    sys.stderr.write(f"{words} after {duration(time.monotonic() - began)}\n")
    return told


def common(args: argparse.Namespace) -> list[str]:
    """The load, the same for all."""
    levels = [str(level) for level in args.concurrency]
    lengths = ["--prompt-toks", str(args.prompt_toks), "--gen-toks", str(args.gen_toks)]
    more = ["--requests", str(args.requests)] if args.requests else []
    return ["--concurrency", *levels, *lengths, *more]


def table(rounds: Rounds, names: list[str], levels: list[int]) -> list[str]:
    """A row for each engine and number of requests at once, and what failed."""
    heads = (
        "engine", "at once", "tokens/s", "least to most", "TTFT p50", "TPOT p50", "peak memory",
        "ready after",
    )  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' --: |' * (len(heads) - 1)}"]
    for name in names:
        turns = rounds.of(name)
        for place, concurrency in enumerate(levels if turns else ()):
            lines.append(row(name, concurrency, [one["levels"][place] for one in turns], turns))
    numbers = ", ".join(f"{name} {len(rounds.of(name))}" for name in names)
    failed = "".join(f"; {name} failed {n} times" for name in names if (n := rounds.failed(name)))
    return [*lines, "", f"Turns: {numbers}{failed}."]


def row(name: str, concurrency: int, levels: list[Told], turns: list[Told]) -> str:
    """Medians over the turns."""
    rates = [level["output_tok_s"] for level in levels if level["output_tok_s"] is not None]
    host = median_of(levels, lambda level: level["peak_memory"]["host_bytes"])
    short = sum(level.get("short") or 0 for level in levels)
    cells = [
        name,
        str(concurrency),
        f"**{number(median_of(levels, lambda level: level['output_tok_s']))}**"
        + (f" ({short} answers short)" if short else ""),
        f"{number(min(rates))} to {number(max(rates))}" if rates else "N/A",
        duration(median_of(levels, lambda level: level["ttft_s"]["p50"])),
        duration(median_of(levels, lambda level: level["tpot_s"]["p50"])),
        size(None if host is None else round(host)),
        duration(median_of(turns, lambda one: (one.get("serve") or {}).get("loading_s"))),
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
    parser.add_argument("--requests", type=int, help="of each level (8 x concurrency)")
    parser.add_argument("--prompt-toks", type=int, default=128)
    parser.add_argument("--gen-toks", type=int, default=64)
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep each turn, and go on there")
    return parser.parse_args()


def plan(args: argparse.Namespace) -> Told:
    """What all rounds of a file have in common; numbers of cores as they are here."""
    model = args.model or f"random {SHAPE}"
    return {"model": model, "dtype": args.dtype, "load": common(args), "cores": os.cpu_count()}


def environment(scratch: Path) -> dict[str, str]:
    """Of each turn; where its recording goes, under OUT."""
    root = str(Path(__file__).parents[1])
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OUT": str(scratch / "turn.parquet")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH")]))
    return env | {"VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}


def main() -> int:
    """Measure, and print the table and the commands."""
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # which ends the turn too
    try:
        rounds = Rounds(args.out, plan(args))
    except InputError as error:
        sys.exit(f"which_engine.py: {error}")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with redirect_stdout(sys.stderr):
            model = Path(args.model) if args.model else random_llama(scratch / "llama")
        gguf = write_gguf(model, scratch / "llama.gguf", "llama", args.dtype)
        ways = engines(args, model, gguf)
        env = environment(scratch)
        for place, way in rounds.to_come(list(ways), args.rounds):
            sys.stderr.write(f"round {place + 1}: {way}\n")
            rounds.keep(place, way, run(ways[way], args, env))
        print("\n".join(table(rounds, list(ways), args.concurrency)))
        print("\n```sh")
        for options in ways.values():
            line = shlex.join(["llamatop", "--record", *options, *common(args)])
            print(plain(line, gguf, model))
        print("```")
    return 0 if all(map(rounds.of, ways)) else 1


if __name__ == "__main__":
    sys.exit(main())

"""This build's engine beside an earlier commit's, a bare `generate()` and llama.cpp, by turns.

Each contender is a process with the same model, loaded once (or, with --reload, for each of its
turns, where memory holds one alone); one wave of requests after another goes to each in turn, round
after round, so that a slow moment strikes all alike. Every wave is kept in a file as it ends: a run
that was stopped, or that ended after --seconds, goes on where it was. Nothing else should run.

    python benchmarks/engines.py --dtype bfloat16 --rounds 5 --keep waves.jsonl --seconds 170
    python benchmarks/engines.py --dtype bfloat16 --contenders before now int8
    python benchmarks/engines.py --model meta-llama/Llama-3.1-8B-Instruct --gen-toks 32 \
        --dtype bfloat16 --concurrency 1 2 4 --rounds 3 --reload --contenders before now
    python benchmarks/engines.py --model meta-llama/Llama-3.1-8B-Instruct --gen-toks 32 \
        --device cuda --engine compiled --dtype bfloat16 --concurrency 1 8 64 256 --rounds 3 \
        --reload --contenders before now

Without --model it makes an 82M Llama with random weights, which llama.cpp gets as GGUF.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from llamatop.catalog import demo_folder
from llamatop.engines.gguf_demo import write_gguf
from llamatop.predict.memory import ENGINE_ENV

ROOT = Path(__file__).resolve().parent.parent
BEFORE = "0b8cf7f"
CONTENDERS = ("before", "now", "generate()", "llama.cpp")
INT8 = "int8"
"""This build with `--quantize int8`; only where it is asked for."""
KINDS = {"before": "ours", "now": "ours", INT8: "ours", "generate()": "bare",
         "llama.cpp": "llama.cpp"}  # fmt: skip
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")

Wave = dict[str, Any]


class Contender:
    """A process of `one_engine.py` that has loaded its model."""

    def __init__(self, name: str, tree: Path, asked: dict[str, Any]) -> None:
        env = {**os.environ, **_engine_env(), "PYTHONPATH": str(tree)}
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "one_engine.py")],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.told = self._ask(json.dumps({"kind": KINDS[name], **asked}))

    def wave(self, concurrency: int) -> Wave:
        """Serve one wave."""
        return self._ask(str(concurrency))

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _ask(self, line: str) -> Wave:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} ended: exit code {self._process.wait()}")
        return dict(json.loads(answer))


def _engine_env() -> dict[str, str]:
    """What an engine process finds in its environment."""
    return {**ENGINE_ENV, "TOKENIZERS_PARALLELISM": "false"}


def make_model(folder: Path) -> Path:
    """An 82M Llama with random weights in bfloat16, and the bundled model's tokenizer."""
    if (folder / "model.safetensors").is_file():
        return folder
    config = LlamaConfig(
        hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
        num_key_value_heads=4, vocab_size=4096, max_position_embeddings=2048, head_dim=64,
        rms_norm_eps=1e-6, tie_word_embeddings=False, bos_token_id=0, eos_token_id=1,
        pad_token_id=2, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        initializer_range=0.2,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    for name in TOKENIZER:
        if (demo_folder() / name).is_file():
            (folder / name).write_bytes((demo_folder() / name).read_bytes())
    return folder


def tree_of(commit: str, folder: Path) -> Path | None:
    """The files of a commit; None where the clone does not have it."""
    made = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False
    )
    if made.returncode:
        return None
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


class Bench:
    """Contenders, the waves that are kept, and how long there is."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args = args
        self._end = time.monotonic() + args.seconds
        self._keep = Path(args.keep)
        self.waves: list[Wave] = []
        if self._keep.is_file():
            self.waves = [json.loads(line) for line in self._keep.read_text().splitlines()]
        self._trees = dict.fromkeys(KINDS, ROOT)
        names = list(args.contenders)
        if "before" in names:
            tree = tree_of(args.commit, folder / "before")
            if tree is None:
                _say(f"{args.commit} is not in this clone: left out")
                names.remove("before")
            else:
                self._trees["before"] = tree
        if "llama.cpp" in names and (args.model or not importlib.util.find_spec("xllamacpp")):
            _say("llama.cpp is left out: it takes the made model alone, and the package xllamacpp")
            names.remove("llama.cpp")
        self.names = names
        self._folder = folder
        self._running: dict[tuple[str, str], Contender] = {}

    def run(self) -> None:
        """All that is not kept yet, as long as there is time."""
        for dtype in self.args.dtype:
            for round in range(self.args.rounds):
                turn = round % len(self.names)
                for name in self.names[turn:] + self.names[:turn]:
                    self._turn(dtype, round, name)
            self.close()

    def _turn(self, dtype: str, round: int, name: str) -> None:
        done = {(w["dtype"], w["round"], w["name"], w["concurrency"]) for w in self.waves}
        for concurrency in self.args.concurrency:
            if (dtype, round, name, concurrency) in done or time.monotonic() > self._end:
                continue
            contender = self._contender(dtype, name)
            wave = contender.wave(concurrency)
            wave |= {"dtype": dtype, "round": round, "name": name, "concurrency": concurrency}
            wave |= contender.told
            self.waves.append(wave)
            with self._keep.open("a") as file:
                file.write(json.dumps(wave) + "\n")
            rate = concurrency * self.args.gen_toks / wave["seconds"]
            _say(f"{dtype} round {round + 1} of {self.args.rounds}, {name} at {concurrency}: "
                 f"{rate:.1f} tok/s")  # fmt: skip
        if self.args.reload:
            self.close()

    def _contender(self, dtype: str, name: str) -> Contender:
        """Loaded, and warm: its first wave is not counted."""
        if (dtype, name) not in self._running:
            _say(f"loading {name} in {dtype}")
            made = Contender(name, self._trees[name], self._asked(dtype, name))
            made.wave(1 if self.args.reload else max(self.args.concurrency))
            self._running[dtype, name] = made
        return self._running[dtype, name]

    def _asked(self, dtype: str, name: str) -> dict[str, Any]:
        args = self.args
        model = args.model or str(make_model(self._folder / "model"))
        settings = {
            "model": model, "weights": "random" if args.model else "auto", "dtype": dtype,
            "device": args.device, "engine": "batch", "concurrency": args.concurrency,
            "prompt_toks": args.prompt_toks, "gen_toks": args.gen_toks, "endless": True,
        }  # fmt: skip
        if name == "now":
            settings["engine"] = args.engine
        if name == INT8:
            settings["quantize"] = INT8
        asked: dict[str, Any] = {"settings": settings}
        if name == "llama.cpp":
            path = self._folder / f"{dtype}.gguf"
            if not path.is_file():
                write_gguf(Path(model), path, "made", dtype=dtype)
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                asked |= {"gguf": str(path), "port": free.getsockname()[1]}
        return asked

    def close(self) -> None:
        """End all contenders."""
        while self._running:
            self._running.popitem()[1].end()


def report(bench: Bench) -> None:
    """Medians of the rounds: whole-run tokens/s, and how many times the others' that is."""
    by: dict[tuple[str, str, int], list[Wave]] = defaultdict(list)
    for wave in bench.waves:
        by[wave["dtype"], wave["name"], wave["concurrency"]].append(wave)
    tokens = bench.args.gen_toks
    for dtype in bench.args.dtype:
        print(f"\n{dtype}, {bench.args.prompt_toks} in, {tokens} out; tok/s (ratio of `now` to it)")
        levels = bench.args.concurrency
        print(f"{'':12}" + "".join(f"{f'C={level}':>18}" for level in levels))
        for name in bench.names:
            cells = []
            for level in levels:
                own, now = by[dtype, name, level], by[dtype, "now", level]
                if not own:
                    cells.append("")
                    continue
                speed = level * tokens / statistics.median(w["seconds"] for w in own)
                ratios = _ratios(own, now)
                beside = f" ({statistics.median(ratios):.2f})" if ratios else ""
                cells.append(f"{speed:.1f}{beside}, {len(own)}")
            print(f"{name:12}" + "".join(f"{cell:>18}" for cell in cells))
        for name in bench.names:
            own = [w for (d, n, _), ws in by.items() if (d, n) == (dtype, name) for w in ws]
            if own:
                peak = max(wave["peak_bytes"] for wave in own) / 1e6
                print(f"{name:12} {own[0]['engine']} {own[0]['layout']}: loaded in "
                      f"{statistics.median(w['loaded_s'] for w in own):.1f} s, peak {peak:.0f} MB"
                      f"{_same(by, dtype, name)}")  # fmt: skip


def _ratios(own: list[Wave], now: list[Wave]) -> list[float]:
    """Of the rounds that both have."""
    mine = {wave["round"]: wave["seconds"] for wave in own}
    return [mine[w["round"]] / w["seconds"] for w in now if w["round"] in mine]


def _same(by: dict[tuple[str, str, int], list[Wave]], dtype: str, name: str) -> str:
    """Whether the first request of each wave has the tokens of `generate()`."""
    if name in ("generate()", "llama.cpp"):
        return ""
    pairs = [
        (ws[0]["tokens"], by[d, "generate()", level][0]["tokens"])
        for (d, n, level), ws in [*by.items()]
        if (d, n) == (dtype, name) and by[d, "generate()", level]
    ]
    alike = sum(mine == theirs for mine, theirs in pairs)
    return f"; tokens of generate() in {alike} of {len(pairs)} levels" if pairs else ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="a Hugging Face id, with random weights (the 82M Llama)")
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--prompt-toks", type=int, default=128)
    parser.add_argument("--gen-toks", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--commit", default=BEFORE, help="what `before` is")
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS),
                        choices=(*CONTENDERS, INT8))  # fmt: skip
    parser.add_argument("--device", default="cpu", help="of all but llama.cpp, which has a CPU")
    parser.add_argument("--engine", default="batch", help="of `now`; the others' is batch")
    parser.add_argument("--reload", action="store_true", help="load each for its turn alone")
    parser.add_argument("--keep", default="waves.jsonl", help="where waves are kept")
    parser.add_argument("--seconds", type=float, default=1e9, help="end after so long, to go on")
    parser.add_argument("--folder", help="of the model that is made (a temporary one)")
    return parser.parse_args()


def main() -> int:
    """Measure what is not measured yet, and print."""
    args = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(args, Path(args.folder or temporary))
        try:
            bench.run()
        finally:
            bench.close()
        report(bench)
    return 0


if __name__ == "__main__":
    sys.exit(main())

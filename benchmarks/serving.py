"""What watching costs a server that shares the machine: tokens/s beside a bare aiohttp loop.

llama.cpp serves an 82M-parameter Llama of random weights, eight requests at once. llamatop drives
it with its screen open and a recording; the bare loop (`bare.py`) sends the same load and only
stamps what comes. They take turns on one server: bare, screen, screen, bare. A rate is output
tokens over the time from the first request to the last byte. Beside it stands what each process
took of a core while requests were in flight.

    python benchmarks/serving.py
    python benchmarks/serving.py --quads 8 --gen-toks 64 --requests 32
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pexpect
import psutil
import torch
from client import Used, parts_of
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1]))

from llamatop.catalog import demo_folder
from llamatop.engines.gguf_demo import write_gguf
from llamatop.figures.student import t_quantile
from llamatop.recording.reader import open_recording
from llamatop.reports.summary import summary
from llamatop.run.replay import fold
from tests.servers import running
from tests.servers.running import Server

AT_ONCE = 8
PROMPT_TOKS = 64
STARTS_IN = 4.0
"""Seconds after which llamatop, started, has requests in flight."""

SHAPE = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12}
SHAPE |= {"num_attention_heads": 12, "num_key_value_heads": 4, "head_dim": 64}


def random_llama(folder: Path) -> Path:
    """A folder with the bundled model's tokenizer and random weights of `SHAPE`."""
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_bytes((demo_folder() / name).read_bytes())
    config = json.loads((demo_folder() / "config.json").read_bytes())
    config |= SHAPE | {"tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config))
    hidden, wide = SHAPE["hidden_size"], SHAPE["intermediate_size"]
    few = SHAPE["num_key_value_heads"] * SHAPE["head_dim"]
    matrices = {"self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (few, hidden)}
    matrices |= {"self_attn.v_proj": (few, hidden), "self_attn.o_proj": (hidden, hidden)}
    matrices |= {"mlp.gate_proj": (wide, hidden), "mlp.up_proj": (wide, hidden)}
    matrices |= {"mlp.down_proj": (hidden, wide)}
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return (torch.randn(shape, generator=generator) * 0.02).to(torch.bfloat16)

    ones = torch.ones(hidden, dtype=torch.bfloat16)
    tensors = {"model.norm.weight": ones.clone()}
    for name in ("model.embed_tokens", "lm_head"):
        tensors[f"{name}.weight"] = random(config["vocab_size"], hidden)
    for layer in range(SHAPE["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        for name, shape in matrices.items():
            tensors[f"{at}.{name}.weight"] = random(*shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{at}.{name}.weight"] = ones.clone()
    save_file(tensors, folder / "model.safetensors")
    print(f"{sum(tensor.numel() for tensor in tensors.values()) / 1e6:.1f}M parameters")
    return folder


class Turns:
    """One kind of client after the other on one server; what each turn gave."""

    def __init__(self, server: Server, folder: Path, requests: int, gen_toks: int) -> None:
        self._server, self._folder = server, folder
        self._requests, self._gen_toks = requests, gen_toks
        self._prompts = folder / "prompts.json"
        draw = torch.Generator().manual_seed(1)
        ids = torch.randint(5, 4096, (requests, PROMPT_TOKS), generator=draw)
        self._prompts.write_text(json.dumps(ids.tolist()))
        self._seconds = 0.0
        """Of the bare loop's last turn."""
        self.shares: dict[str, Counter[str]] = {"bare": Counter(), "screen": Counter()}
        """Of a core, of each process, summed over turns."""

    def bare(self) -> float:
        """Tokens/s of the bare loop."""
        command = [sys.executable, str(Path(__file__).with_name("bare.py")), self._server.url]
        command += ["--concurrency", str(AT_ONCE), "--requests", str(self._requests)]
        command += ["--gen-toks", str(self._gen_toks), "--prompts", str(self._prompts)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._weigh("bare", psutil.Process(child.pid), 1.0, self._seconds - 2)
        told = json.loads(child.communicate()[0])
        if told["tokens"] != self._requests * self._gen_toks:
            sys.exit(f"the bare loop got {told['tokens']} tokens")
        self._seconds = told["seconds"]
        return float(told["tokens"] / told["seconds"])

    def on_screen(self) -> float:
        """Tokens/s of the level that llamatop drove with its screen open."""
        path = self._folder / f"{time.monotonic_ns()}.parquet"
        wanted = self._requests * self._gen_toks
        options = ["--concurrency", str(AT_ONCE), "--requests", str(self._requests)]
        options += ["--prompt-toks", str(PROMPT_TOKS), "--gen-toks", str(self._gen_toks)]
        command = ["-m", "llamatop", "--url", self._server.url, *options, "--out", str(path)]
        before = generated(self._server)
        child = pexpect.spawn(sys.executable, command, dimensions=(36, 120), timeout=30)
        null = subprocess.DEVNULL
        reader = subprocess.Popen(["cat"], stdin=child.child_fd, stdout=null, stderr=null)
        self._weigh("screen", psutil.Process(child.pid), STARTS_IN, self._seconds - STARTS_IN)
        while generated(self._server) < before + wanted or not is_idle(self._server):
            time.sleep(1)
        child.send("q")
        child.wait()
        reader.wait()
        [level] = summary(fold(open_recording(path).events), None)["levels"]
        if level["output_tokens"] != wanted:
            sys.exit(f"llamatop got {level['output_tokens']} tokens: {level['outcome']}")
        return float(level["output_tok_s"])

    def _weigh(self, kind: str, process: psutil.Process, after: float, seconds: float) -> None:
        """Add what each process takes of a core meanwhile; the server is asked nothing."""
        time.sleep(after)
        used, began = Used(parts_of(process)), time.monotonic()
        time.sleep(max(seconds, 1))
        passed = time.monotonic() - began
        self.shares[kind].update({part: cpu / passed for part, cpu in used.since().items()})


def generated(server: Server) -> float:
    """Tokens of all answers that llama.cpp has ended."""
    [found] = re.findall(r"^llamacpp:tokens_predicted_total (\S+)$", server.get("/metrics"), re.M)
    return float(found)


def is_idle(server: Server) -> bool:
    """Whether no slot of it computes."""
    return not any(slot["is_processing"] for slot in json.loads(server.get("/slots")))


def interval(ratios: list[float]) -> str:
    """The geometric mean of ratios with its 95 % interval (Student's t of their logarithms)."""
    logs = [math.log(ratio) for ratio in ratios]
    mean = math.exp(statistics.fmean(logs))
    if len(logs) < 2:
        return f"{mean:.3f}"
    half = t_quantile(0.05, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return f"{mean:.3f} ({mean * math.exp(-half):.3f} to {mean * math.exp(half):.3f})"


def main() -> None:
    """Print every four turns, then the ratio and what the processes took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quads", type=int, default=1, help="four turns each")
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--gen-toks", type=int, default=64)
    parser.add_argument("--gguf", type=Path, help="made there once, and used again")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = args.gguf or folder / "random.gguf"
        if not model.exists():
            write_gguf(random_llama(folder / "random"), model, "random")
        context = AT_ONCE * (PROMPT_TOKS + args.gen_toks + 64)
        server = running.llamacpp(model, folder / "log", n_parallel=AT_ONCE, n_ctx=context)
        turns, ratios = Turns(server, folder, args.requests, args.gen_toks), []
        try:
            turns.bare()
            turns.shares["bare"].clear()
            for _ in range(args.quads):
                first = turns.bare()
                on = [turns.on_screen() for _ in range(2)]
                off = [first, turns.bare()]
                ratios.append(sum(on) / sum(off))
                told = f"{on[0]:6.1f} {on[1]:6.1f}   bare {off[0]:6.1f} {off[1]:6.1f} tokens/s"
                print(f"screen {told}   ratio {ratios[-1]:.3f}", flush=True)
        finally:
            server.stop()
    for kind, shares in turns.shares.items():
        told = ", ".join(f"{part} {share / 2 / args.quads:.1%}" for part, share in shares.items())
        print(f"{kind} took of a core: {told}")
    print(f"median ratio {statistics.median(ratios):.3f}, mean {interval(ratios)}, "
          f"of {len(ratios)} times four turns")  # fmt: skip


if __name__ == "__main__":
    main()

"""What watching costs a server that shares the machine: tokens/s beside a bare aiohttp loop.

llama.cpp serves an 82M-parameter Llama of random weights, eight requests at once. llamatop drives
it with its screen open and a recording; the bare loop (`bare.py`) sends the same load and only
stamps what comes. They take turns on one server: bare, screen, screen, bare. A rate is output
tokens over the time from the first request to the last byte.

    python benchmarks/serving.py
    python benchmarks/serving.py --quads 4 --gen-toks 128 --requests 32
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pexpect
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1]))

from llamatop.catalog import demo_folder
from llamatop.engines.gguf_demo import write_gguf
from llamatop.recording.reader import open_recording
from llamatop.reports.summary import summary
from llamatop.run.replay import fold
from tests.servers import running
from tests.servers.running import Server

AT_ONCE = 8
PROMPT_TOKS = 64
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


def bare(server: Server, prompts: Path, requests: int, gen_toks: int) -> float:
    """Tokens/s of the bare loop."""
    command = [sys.executable, str(Path(__file__).with_name("bare.py")), server.url]
    command += ["--concurrency", str(AT_ONCE), "--requests", str(requests)]
    command += ["--gen-toks", str(gen_toks), "--prompts", str(prompts)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    if told["tokens"] != requests * gen_toks:
        sys.exit(f"the bare loop got {told['tokens']} tokens")
    return float(told["tokens"] / told["seconds"])


def on_screen(server: Server, folder: Path, requests: int, gen_toks: int) -> float:
    """Tokens/s of the level that llamatop drove with its screen open."""
    path = folder / f"{time.monotonic_ns()}.parquet"
    options = ["--url", server.url, "--concurrency", str(AT_ONCE), "--requests", str(requests)]
    options += ["--prompt-toks", str(PROMPT_TOKS), "--gen-toks", str(gen_toks), "--out", str(path)]
    child = pexpect.spawn(
        sys.executable, ["-m", "llamatop", *options], dimensions=(36, 120), timeout=30
    )
    null, wanted = subprocess.DEVNULL, generated(server) + requests * gen_toks
    reader = subprocess.Popen(["cat"], stdin=child.child_fd, stdout=null, stderr=null)
    while generated(server) < wanted or not is_idle(server):
        time.sleep(2)
    child.send("q")
    child.wait()
    reader.wait()
    [level] = summary(fold(open_recording(path).events), None)["levels"]
    if level["output_tokens"] != requests * gen_toks:
        sys.exit(f"llamatop got {level['output_tokens']} tokens: {level['outcome']}")
    return float(level["output_tok_s"])


def generated(server: Server) -> float:
    """Tokens of all answers that llama.cpp has ended."""
    [found] = re.findall(r"^llamacpp:tokens_predicted_total (\S+)$", server.get("/metrics"), re.M)
    return float(found)


def is_idle(server: Server) -> bool:
    """Whether no slot of it computes."""
    return not any(slot["is_processing"] for slot in json.loads(server.get("/slots")))


def main() -> None:
    """Print every four turns and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quads", type=int, default=1, help="four turns each")
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--gen-toks", type=int, default=48)
    parser.add_argument("--gguf", type=Path, help="made there once, and used again")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = args.gguf or folder / "random.gguf"
        if not model.exists():
            write_gguf(random_llama(folder / "random"), model, "random")
        prompts = folder / "prompts.json"
        draw = torch.Generator().manual_seed(1)
        ids = torch.randint(5, 4096, (args.requests, PROMPT_TOKS), generator=draw)
        prompts.write_text(json.dumps(ids.tolist()))
        context = AT_ONCE * (PROMPT_TOKS + args.gen_toks + 64)
        server = running.llamacpp(model, folder / "log", n_parallel=AT_ONCE, n_ctx=context)
        ratios = []
        try:
            bare(server, prompts, AT_ONCE, 16)
            for _ in range(args.quads):
                first = bare(server, prompts, args.requests, args.gen_toks)
                on = [on_screen(server, folder, args.requests, args.gen_toks) for _ in range(2)]
                off = [first, bare(server, prompts, args.requests, args.gen_toks)]
                ratios.append(sum(on) / sum(off))
                told = f"{on[0]:6.1f} {on[1]:6.1f}   bare {off[0]:6.1f} {off[1]:6.1f} tokens/s"
                print(f"screen {told}   ratio {ratios[-1]:.3f}", flush=True)
        finally:
            server.stop()
    print(f"median ratio {statistics.median(ratios):.3f} of {len(ratios)} times four turns")


if __name__ == "__main__":
    main()

"""What fewer bits cost in quality: the bundled model's loss on text that it was not trained on.

    python benchmarks/quality.py

The text is that of the model's card, which `scripts/train_demo.py` makes anew of the running
Python: in another version than the card's some of it was trained on.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts"))
import train_demo

from llamatop.catalog import demo_folder
from llamatop.engines.loading import load
from llamatop.engines.resolve import resolve
from llamatop.settings.config import RunConfig

SETTINGS = (
    ("bfloat16", "none"),
    ("bfloat16", "int8"),
    ("float32", "none"),
    ("float32", "int8"),
    ("float32", "int4"),
)


def main() -> int:
    """Load the model each way, and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--windows", type=int, default=96, help="of 512 tokens")
    args = parser.parse_args()
    stream = None
    print(f"nats a token and perplexity over {args.windows} windows of {train_demo.SHORT} tokens")
    for dtype, how in SETTINGS:
        config = RunConfig(model="demo", device="cpu", dtype=dtype, quantize=how)
        loaded = load(config, resolve(config, _silent), _silent)
        if stream is None:
            tokenizer = train_demo.AutoTokenizer.from_pretrained(demo_folder())
            stream = train_demo.encode(tokenizer, train_demo.collect(0).held_out)
        loss = mean_loss(loaded.model, stream, args.windows)
        by = "bitsandbytes" if "bitsandbytes" in loaded.facts.versions else "torch"
        print(f"{dtype:9} {how:5} {by if how != 'none' else '':13} {loss:.4f} {math.exp(loss):.3f} "
              f"{loaded.facts.weights_bytes / 1e6:.2f} MB", flush=True)  # fmt: skip
    return 0


def mean_loss(model: Any, stream: torch.Tensor, windows: int) -> float:
    """Nats a token of consecutive windows."""
    length, total = train_demo.SHORT, 0.0
    with torch.inference_mode():
        for at in range(windows):
            ids = stream[at * length : (at + 1) * length + 1].long()[None]
            scores = model(input_ids=ids[:, :-1], use_cache=False).logits[0].float()
            total += float(cross_entropy(scores, ids[0, 1:]))
    return total / windows


def _silent(*_: object) -> None:
    """Progress that nobody looks at."""


if __name__ == "__main__":
    sys.exit(main())

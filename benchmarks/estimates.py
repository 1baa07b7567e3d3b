"""Memory foretold by llamatop, accelerate and hf-mem beside the measured peak, for real runs here.

    python benchmarks/estimates.py --peers .peers
    python benchmarks/estimates.py --only llama mistral --concurrency 1 8 --prompt-toks 512

The slices of `predict.py`, random weights, float32, `batch`. Their estimates are made by their own
functions: accelerate's `calculate_maximum_sizes` of the empty model, and a fifth more as its
documentation says of inference; hf-mem's `parse_safetensors_metadata` and
`compute_safetensors_kv_cache_size` of the tensors that the checkpoint would have and of the
longest request. Both leave out a program's own memory, so the libraries' resident size (of the
runtime, as `check` measures it) is taken off the measured peak and off ours. What needs the Hub is
left out: both commands themselves, which fetch a model's files by its name.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from peers import environment
from predict import QUICK, _written, measured

from llamatop.predict.forecast import forecast
from llamatop.settings.checks import checked
from llamatop.settings.config import RunConfig
from llamatop.text.formatting import size

INFERENCE = 1.2
"""What accelerate's page on its estimator adds for inference."""

HF_MEM = """
import json, sys, warnings
warnings.simplefilter("ignore")
from hf_mem.safetensors.kv_cache import compute_safetensors_kv_cache_size as cache
from hf_mem.safetensors.metadata import parse_safetensors_metadata as parse
asked = json.load(sys.stdin)
weights = parse({"Transformer": asked["tensors"]}).bytes_count
told = []
for batch in asked["batches"]:
    try:
        told.append(weights + cache(asked["config"], "F32", asked["tokens"], batch))
    except Exception as error:
        told.append(None)
        print(f"hf-mem: {error!r}", file=sys.stderr)
print(json.dumps(told))
"""


def empty(folder: str) -> Any:
    """The model without its weights."""
    from accelerate import init_empty_weights  # noqa: PLC0415  (seconds, and only here)
    from transformers import AutoConfig, AutoModelForCausalLM  # noqa: PLC0415

    with init_empty_weights():
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))


def by_accelerate(model: Any) -> int:
    """Bytes for inference, by its own count of the modules."""
    from accelerate.commands.estimate import calculate_maximum_sizes  # noqa: PLC0415

    total, _ = calculate_maximum_sizes(model)
    return round(total * INFERENCE)


def by_hf_mem(python: Path, model: Any, folder: str, batches: list[int], tokens: int) -> list[Any]:
    """Bytes of each batch; None where it has no answer."""
    tensors = {
        name: {"dtype": "F32", "shape": list(one.shape)} for name, one in model.named_parameters()
    }
    config = json.loads((Path(folder) / "config.json").read_text())
    asked = {"tensors": tensors, "config": config, "batches": batches, "tokens": tokens}
    done = subprocess.run(
        [python, "-c", HF_MEM], input=json.dumps(asked), text=True, capture_output=True, check=True
    )
    return list(json.loads(done.stdout))


def rows(folder: str, args: argparse.Namespace, python: Path) -> None:
    """Print a row for each level of one model."""
    config = checked(
        RunConfig(
            model=folder, weights="random", dtype="float32", engine="batch", text=False,
            concurrency=tuple(args.concurrency), prompt_toks=args.prompt_toks, gen_toks=4,
            requests=1,
        )
    )  # fmt: skip
    model = empty(folder)
    theirs = by_hf_mem(python, model, folder, args.concurrency, args.prompt_toks + 4)
    accelerate = by_accelerate(model)
    predictions, peaks = forecast(config)[1], measured(config)
    for level, prediction, peak, other in zip(
        config.concurrency, predictions, peaks, theirs, strict=False
    ):
        runtime = prediction.parts.get("runtime", 0)
        truth = None if peak is None else peak - runtime
        told = (prediction.peak_bytes - runtime, accelerate, other)
        errors = "".join(f" {error(one, truth):>10}" for one in told)
        print(f"{Path(folder).name:<28} {level:>3} {size(truth):>10}{errors}", flush=True)


def error(told: int | None, truth: int | None) -> str:
    """How far an estimate is off."""
    return "N/A" if told is None or truth is None else f"{told / truth - 1:+.1%}"


def main() -> None:
    """Print a row for each model and level."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", type=Path, default=Path(".peers"), metavar="FOLDER")
    parser.add_argument("--only", nargs="+", default=list(QUICK), help="slices of that name")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--prompt-toks", type=int, default=512)
    args = parser.parse_args()
    python = environment(args.peers.absolute(), "hf-mem") / "python"
    print(f"{'model':<28} {'C':>3} {'measured':>10} {'llamatop':>10} {'accelerate':>10} "
          f"{'hf-mem':>10}   (less the libraries)")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for model in _written(args.only, Path(folder)):
            rows(model, args, python)


if __name__ == "__main__":
    main()

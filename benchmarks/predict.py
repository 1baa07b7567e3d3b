"""Predicted against measured peak memory of the engine process, for real runs on this machine.

    python benchmarks/predict.py --models HuggingFaceTB/SmolLM2-135M-Instruct FOLDER \
        --concurrency 1 8 --prompt-toks 512 --dtypes float32 bfloat16 --engines batch

Every model runs with random weights: its memory is that of the trained one.
"""

from __future__ import annotations

import argparse
import itertools
import time

from llamatop.config import QUANTIZE, RunConfig, checked
from llamatop.formatting import size
from llamatop.levels import level_figures
from llamatop.live import LiveRun
from llamatop.predict.forecast import predict_levels
from llamatop.predict.memory import Prediction
from llamatop.pump import Pump
from llamatop.session import Session

MODELS = (
    "HuggingFaceTB/SmolLM2-135M-Instruct",
    "HuggingFaceTB/SmolLM2-360M-Instruct",
    "Qwen/Qwen3-0.6B",
    "meta-llama/Llama-3.2-1B-Instruct",
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
    "facebook/opt-1.3b",
    "HuggingFaceTB/SmolLM2-1.7B-Instruct",
    "meta-llama/Llama-3.2-3B-Instruct",
)


def main() -> None:
    """Run all combinations and print a row for each level."""
    args = _arguments()
    print(
        f"{'model':<38} {'dtype':<14} {'engine':<10} {'C':>4} {'prompt':>6} "
        f"{'predicted':>10} {'measured':>10} {'error':>7}"
    )
    errors = []
    for model, dtype, engine, prompt, how in itertools.product(
        args.models, args.dtypes, args.engines, args.prompt_toks, args.quantize
    ):
        config = checked(
            RunConfig(
                model=model,
                weights="random",
                dtype=dtype,
                engine=engine,
                concurrency=tuple(args.concurrency),
                prompt_toks=prompt,
                gen_toks=args.gen_toks,
                requests=args.requests,
                text=False,
                quantize=how,
            )
        )
        errors += _rows(config, predict_levels(config), measured(config))
    if errors:
        print(f"largest error {max(errors, key=abs):+.1%} over {len(errors)} levels")


def measured(config: RunConfig) -> list[int | None]:
    """Peak resident bytes of the engine process at each level."""
    live = LiveRun(config)
    pump = Pump(live, Session())
    live.start()
    try:
        while not live.ended:
            time.sleep(0.05)
            pump.step()
    finally:
        live.close()
    session = pump.session
    return [level_figures(session, level).host_peak_bytes for level in session.levels.values()]


def _rows(config: RunConfig, predictions: list[Prediction], peaks: list[int | None]) -> list[float]:
    errors = []
    for level, prediction, peak in zip(config.concurrency, predictions, peaks, strict=False):
        error = prediction.peak_bytes / peak - 1 if peak else None
        errors += [error] if error is not None else []
        print(
            f"{config.model[-38:]:<38} {_format(config):<14} {config.engine:<10} {level:>4} "
            f"{config.prompt_toks:>6} {size(prediction.peak_bytes):>10} {size(peak):>10} "
            f"{'' if error is None else f'{error:+.1%}':>7}",
            flush=True,
        )
    return errors


def _format(config: RunConfig) -> str:
    return config.dtype if config.quantize == "none" else f"{config.quantize} {config.dtype}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--dtypes", nargs="+", default=["bfloat16"])
    parser.add_argument("--quantize", nargs="+", default=["none"], choices=QUANTIZE)
    parser.add_argument("--engines", nargs="+", default=["batch"])
    parser.add_argument("--concurrency", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--prompt-toks", nargs="+", type=int, default=[64, 1024])
    parser.add_argument("--gen-toks", type=int, default=8)
    parser.add_argument("--requests", type=int, help="per level (4 x concurrency)")
    return parser.parse_args()


if __name__ == "__main__":
    main()

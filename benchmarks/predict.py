"""Predicted against measured peak memory of the engine process, for real runs on this machine.

    python benchmarks/predict.py              # ARCHITECTURES x 1, 4, 16 at once x 64, 1024 tokens
    python benchmarks/predict.py --quick      # a minute
    python benchmarks/predict.py --only moe sliding --concurrency 1 8 --prompt-toks 512 \\
        --dtypes float32 bfloat16 --engines batch continuous threads
    python benchmarks/predict.py --models Qwen/Qwen3-0.6B FOLDER --layers 4

Every model runs with random weights: its memory is that of the trained one. ARCHITECTURES are
slices of published ones at full width, with few layers, so that all of it runs on two slow cores;
they are labelled with their layers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from llamatop.errors import InputError
from llamatop.figures.levels import level_figures
from llamatop.predict import memory
from llamatop.predict.forecast import forecast
from llamatop.predict.memory import Prediction
from llamatop.run.live import LiveRun
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session
from llamatop.settings.checks import checked
from llamatop.settings.config import QUANTIZE, RunConfig
from llamatop.text.formatting import size

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama, tied": {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 49152,
        "hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 12,
        "num_attention_heads": 15, "num_key_value_heads": 5, "tie_word_embeddings": True,
    },
    "qwen3, tied": {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 151936,
        "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 6,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
        "tie_word_embeddings": True,
    },
    "opt": {
        "architectures": ["OPTForCausalLM"], "model_type": "opt", "vocab_size": 50272,
        "hidden_size": 2048, "ffn_dim": 8192, "num_hidden_layers": 3, "num_attention_heads": 32,
        "word_embed_proj_dim": 2048, "do_layer_norm_before": True,
    },
    "mistral, sliding": {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "vocab_size": 32000,
        "hidden_size": 2048, "intermediate_size": 7168, "num_hidden_layers": 3,
        "num_attention_heads": 16, "num_key_value_heads": 4, "sliding_window": 256,
    },
    "gemma3, sliding and full": {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text",
        "vocab_size": 65536, "hidden_size": 640, "intermediate_size": 2048,
        "num_hidden_layers": 12, "num_attention_heads": 4, "num_key_value_heads": 1,
        "head_dim": 256, "sliding_window": 256, "sliding_window_pattern": 6,
    },
    "qwen3 moe": {
        "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe",
        "vocab_size": 65536, "hidden_size": 1024, "intermediate_size": 3072,
        "moe_intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 16,
        "num_key_value_heads": 4, "head_dim": 64, "num_experts": 32, "num_experts_per_tok": 4,
    },
    "olmoe": {
        "architectures": ["OlmoeForCausalLM"], "model_type": "olmoe", "vocab_size": 50304,
        "hidden_size": 1024, "intermediate_size": 512, "num_hidden_layers": 4,
        "num_attention_heads": 16, "num_key_value_heads": 16, "num_experts": 32,
        "num_experts_per_tok": 4,
    },
    "deepseek v3, latent": {
        "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
        "vocab_size": 65536, "hidden_size": 1024, "intermediate_size": 2816,
        "moe_intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 16,
        "num_key_value_heads": 16, "q_lora_rank": 384, "kv_lora_rank": 256,
        "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64,
        "n_routed_experts": 16, "n_shared_experts": 1, "num_experts_per_tok": 4, "n_group": 1,
        "topk_group": 1, "first_k_dense_replace": 1,
    },
    "llama 4, chunked": {
        "architectures": ["Llama4ForCausalLM"], "model_type": "llama4_text",
        "vocab_size": 65536, "hidden_size": 1024, "intermediate_size": 1024,
        "intermediate_size_mlp": 2048, "num_hidden_layers": 4, "num_attention_heads": 16,
        "num_key_value_heads": 4, "head_dim": 64, "num_local_experts": 4,
        "num_experts_per_tok": 1, "attention_chunk_size": 256, "interleave_moe_layer_step": 1,
    },
}  # fmt: skip
"""Narrow or shallow ones of nine kinds, 108M to 321M parameters, as their `config.json`."""
CONTEXT = 4096
QUICK = ("llama, tied", "mistral, sliding", "qwen3 moe")


def main() -> None:
    """Run all combinations and print a row for each level."""
    args = _arguments()
    _print_fitted()
    print(
        f"{'model':<38} {'dtype':<14} {'engine':<10} {'C':>4} {'prompt':>6} "
        f"{'predicted':>10} {'measured':>10} {'error':>7}  predicted in MiB"
    )
    errors: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        models = args.models or _written(args.only, Path(folder))
        runs = list(
            itertools.product(models, args.dtypes, args.engines, args.prompt_toks, args.quantize)
        )
        begun = time.monotonic()
        for done, run in enumerate(runs):
            print(f"{done}/{len(runs)} {time.monotonic() - begun:.0f} s", file=sys.stderr)
            config = _config(args, run)
            try:
                errors += _rows(config, forecast(config)[1], measured(config))
            except InputError as refusal:
                print(f"{_name(config):<38} {config.engine}: {refusal}", flush=True)
        print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
    if errors:
        print(f"largest error {max(errors, key=abs):+.1%} over {len(errors)} levels")


def _print_fitted() -> None:
    """What of a prediction was measured once rather than traced; the docstrings say where."""
    kept = ", ".join(f"{share} ({engine})" for engine, share in memory.KEPT.items())
    print(
        f"fitted: {size(memory.FIRST_BYTES)} for a first generation; {kept}, else 1, of small "
        f"blocks kept by glibc; {size(memory.KERNELS_BYTES)} of oneDNN kernels "
        "for experts in 16 bits. The rest is traced, or measured on this machine."
    )


def _written(names: list[str], folder: Path) -> list[str]:
    """Folders with only a `config.json`, of the architectures with one of these in their name."""
    chosen = [name for name in ARCHITECTURES if any(part in name for part in names)]
    for name in chosen:
        (folder / name).mkdir()
        raw = {"max_position_embeddings": CONTEXT, "torch_dtype": "float32", **ARCHITECTURES[name]}
        (folder / name / "config.json").write_text(json.dumps(raw))
    return [str(folder / name) for name in chosen]


def _config(args: argparse.Namespace, run: tuple[str, str, str, int, Any]) -> RunConfig:
    model, dtype, engine, prompt, how = run
    return checked(
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
            layers=args.layers,
        )
    )


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
    figures = [level_figures(session, level) for level in session.levels.values()]
    return [one.host_peak_bytes if one.outcome == "ok" else None for one in figures]


def _rows(config: RunConfig, predictions: list[Prediction], peaks: list[int | None]) -> list[float]:
    errors = []
    for level, prediction, peak in zip(config.concurrency, predictions, peaks, strict=False):
        error = prediction.peak_bytes / peak - 1 if peak else None
        errors += [error] if error is not None else []
        print(
            f"{_name(config):<38} {_format(config):<14} {config.engine:<10} {level:>4} "
            f"{config.prompt_toks:>6} {size(prediction.peak_bytes):>10} {size(peak):>10} "
            f"{'' if error is None else f'{error:+.1%}':>7}  {_parts(prediction)}",
            flush=True,
        )
    return errors


def _name(config: RunConfig) -> str:
    layers = "" if config.layers is None else f", {config.layers} layers"
    return f"{Path(config.model).name}{layers}"[-38:]


def _parts(prediction: Prediction) -> str:
    return " ".join(f"{name} {part >> 20}" for name, part in prediction.parts.items() if part >> 20)


def _format(config: RunConfig) -> str:
    return config.dtype if config.quantize == "none" else f"{config.quantize} {config.dtype}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", help="these instead of the built-in slices")
    parser.add_argument("--only", nargs="+", default=[""], help="slices with this in their name")
    parser.add_argument("--quick", action="store_true", help="three slices, 2 requests, 64 tokens")
    parser.add_argument("--layers", type=int, help="the first so many of each model")
    parser.add_argument("--dtypes", nargs="+", default=["float32"])
    parser.add_argument("--quantize", nargs="+", default=["none"], choices=QUANTIZE)
    parser.add_argument("--engines", nargs="+", default=["batch"])
    parser.add_argument("--concurrency", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--prompt-toks", nargs="+", type=int, default=[64, 1024])
    parser.add_argument("--gen-toks", type=int, default=3)
    parser.add_argument(
        "--requests", type=int, default=1, help="measured, per level; warm-up comes first"
    )
    args = parser.parse_args()
    if args.quick:
        args.only, args.concurrency, args.prompt_toks = list(QUICK), [2], [64]
    return args


if __name__ == "__main__":
    main()

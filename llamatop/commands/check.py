"""`llamatop check`: will it fit, and how fast can it be, before anything is loaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llamatop.commands.parser import Parser
from llamatop.errors import InputError

if TYPE_CHECKING:
    import argparse

    from llamatop.config import RunConfig
    from llamatop.predict.checking import Check, LevelCheck, Place

SCHEMA = 1
"""Version of the JSON object."""
EXIT_DOES_NOT_FIT = 3
"""The smallest level asked for does not fit."""


def main(arguments: list[str]) -> int:
    """Check the models; 3 if for any of them the smallest level does not fit."""
    args = _parser().parse_args(arguments)
    from llamatop.predict.checking import check

    place = _place(args)
    found = [check(_config(args, model), place) for model in args.model or ["demo"]]
    if args.json:
        print(json.dumps({"schema": SCHEMA, "models": [_object(one) for one in found]}, indent=1))
    else:
        print("\n\n".join(text(one) for one in found))
    fit = all(min(one.levels, key=lambda level: level.concurrency).fits for one in found)
    return 0 if fit else EXIT_DOES_NOT_FIT


def _parser() -> Parser:
    parser = Parser(
        prog="llamatop check",
        description="Will it fit, and how fast can it be. Loads no weights, needs no GPU.",
    )
    add = parser.add_argument
    add("--model", nargs="+", action="extend", metavar="M",
        help="Hugging Face ids, local folders, or demo (the default)")  # fmt: skip
    add("--weights", choices=("auto", "random"), default="auto", help="as for a run")
    add("--layers", type=int, metavar="N", help="keep the first N layers only")
    add("--engine", default="auto", choices=("auto", "continuous", "batch", "threads"))
    add("--concurrency", type=int, nargs="+", default=[1], metavar="N",
        help="requests in flight (1)")  # fmt: skip
    add("--prompt-toks", type=int, default=128, metavar="N", help="tokens in (128)")
    add("--gen-toks", type=int, default=32, metavar="N", help="tokens out (32)")
    add("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto")
    add("--device", default="auto", help="auto, cpu, cuda")
    add("--quantize", choices=("none", "int8", "int4"), default="none",
        help="weights of linear layers in 8 or 4 bits")  # fmt: skip
    add("--memory", metavar="SIZE", help="of another machine: 24GB")
    add("--device-name", metavar="NAME", help='another device: "RTX 4090"')
    add("--json", action="store_true", help="one JSON object on stdout")
    return parser


def _config(args: argparse.Namespace, model: str) -> RunConfig:
    from llamatop.config import RunConfig, checked

    return checked(
        RunConfig(
            model=model,
            weights=args.weights,
            layers=args.layers,
            engine=args.engine,
            concurrency=tuple(args.concurrency),
            prompt_toks=args.prompt_toks,
            gen_toks=args.gen_toks,
            dtype=args.dtype,
            quantize=args.quantize,
        )
    )


def _place(args: argparse.Namespace) -> Place:
    """Where it is to run: here, or on what `--memory` or `--device-name` describe."""
    from dataclasses import replace

    from llamatop.predict.checking import place_here, place_there
    from llamatop.predict.devices import named
    from llamatop.predict.fit import parse_size

    if args.device_name is not None and args.device not in ("auto", "cuda"):
        raise InputError(f"--device {args.device}: --device-name is a device of its own")
    place = place_there(named(args.device_name)) if args.device_name else place_here(args.device)
    return replace(place, available_bytes=parse_size(args.memory)) if args.memory else place


def _object(one: Check) -> dict[str, Any]:
    """One model of the JSON object. Bytes, tokens/s, seconds."""
    return {
        "model": one.config.model,
        "parameters": one.trace.parameters,
        "active_parameters": one.trace.active_parameters,
        "dtype": one.trace.dtype,
        "quantization": one.trace.quantization or None,
        "weights_bytes": one.trace.weights_bytes,
        "stored_bytes": one.trace.stored_bytes,
        "kv_bytes_per_token": one.trace.kv_bytes_per_token,
        "device": one.place.device,
        "device_name": one.place.name or None,
        "engine": one.engine,
        "available_bytes": one.place.available_bytes,
        "levels": [_level(level) for level in one.levels],
        "max_concurrency": one.max_concurrency,
        "max_context": one.max_context,
        "error_band": one.band,
        "verdict": one.verdict,
        "would_fit": one.would_fit,
    }


def _level(level: LevelCheck) -> dict[str, Any]:
    return {
        "concurrency": level.concurrency,
        "peak_bytes": level.prediction.peak_bytes,
        "fits": level.fits,
        "decode_floor_tok_s": level.decode_tok_s,
        "prefill_floor_s": level.prefill_s,
        "parts": level.prediction.parts,
    }


def text(one: Check) -> str:
    """One model for a person to read."""
    from llamatop.formatting import count, duration, number, size

    trace, place = one.trace, one.place
    active = trace.active_parameters
    stored = " ".join(filter(None, (trace.quantization, trace.dtype)))
    of_which = "" if active == trace.parameters else f", {count(active)} of them for each token"
    lines = [
        f"{one.config.model}: {one.verdict}",
        f"  {count(trace.parameters)} parameters{of_which}; {size(trace.weights_bytes)} "
        f"in {stored}; {size(trace.kv_bytes_per_token)} of cache for each token",
        f"  {place.name or place.device}, {size(place.available_bytes)} available; "
        f"engine {one.engine}; {one.config.prompt_toks} tokens in, {one.config.gen_toks} out",
        f"  {'concurrency':>11} {'peak memory':>12} {'':<5} {'decode at most':>16} "
        f"{'prefill at least':>17}",
    ]
    lines += [
        f"  {level.concurrency:>11} {size(level.prediction.peak_bytes):>12} "
        f"{'fits' if level.fits else 'no':<5} {number(level.decode_tok_s):>10} tok/s "
        f"{duration(level.prefill_s):>17}"
        for level in one.levels
    ]
    parts = max(one.levels, key=lambda level: level.concurrency).prediction.parts
    lines.append("  " + ", ".join(f"{name} {size(part)}" for name, part in parts.items() if part))
    lines.append(f"  at most {one.max_concurrency} requests at once"
                 f", or {one.max_context:,} tokens of context")  # fmt: skip
    if _is_slow_bfloat16(one):
        lines.append("  this processor computes bfloat16 slowly;")
        lines.append("  --dtype float32 is likely faster and takes twice the memory")
    if one.would_fit:
        lines.append(f"  what would fit: {'; or '.join(one.would_fit)}")
    return "\n".join(lines)


def _is_slow_bfloat16(one: Check) -> bool:
    """Nobody asked for bfloat16, and the processor here does not compute it itself."""
    from llamatop.hardware.processor import cpu_has_bfloat16

    chosen = one.config.dtype == "auto" and one.trace.dtype == "bfloat16"
    return chosen and one.place.device == "cpu" and one.place.here and not cpu_has_bfloat16()

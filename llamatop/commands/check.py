"""`llamatop check`: will it fit, and how fast can it be, before anything is loaded."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from llamatop.commands.parser import Parser
from llamatop.errors import InputError

if TYPE_CHECKING:
    import argparse

    from llamatop.predict.checking import Check, LevelCheck, Place
    from llamatop.settings.config import RunConfig

SCHEMA = 1
"""Version of the JSON object."""
EXIT_BAD_INPUT = 2
EXIT_DOES_NOT_FIT = 3
"""The smallest level asked for does not fit."""


_EXAMPLES = """\
  llamatop check --model meta-llama/Llama-3.1-8B-Instruct --concurrency 1 8
  llamatop check --model openai/gpt-oss-20b --device-name "RTX 4090"
  llamatop check --model model-Q4_K_M.gguf --concurrency 4 --cache-type q8_0
  llamatop check --model Qwen/Qwen3-0.6B --memory 8GB --json
  llamatop check --serve vllm --model Qwen/Qwen3-0.6B
"""


def main(arguments: list[str]) -> int:
    """Check the models: 2 if any is bad input, else 3 if the smallest level of any does not fit."""
    args = command_line().parse_args(arguments)
    from llamatop.predict.gguf import models_of

    place = _place(args)
    models = models_of(args.model or ["demo"])
    if len(models) == 1:
        found, problems = [_checked(args, models[0], place)], list[InputError]()
    else:
        found, problems = _all(args, models, place)
    _print(args, found)
    for problem in problems:
        print(f"llamatop: {problem}", file=sys.stderr)
    if problems:
        return EXIT_BAD_INPUT
    return 0 if all(one.may_fit for one in found) else EXIT_DOES_NOT_FIT


def _all(
    args: argparse.Namespace, models: list[str], place: Place
) -> tuple[list[Check], list[InputError]]:
    """Those that can be checked, and what is wrong with the others."""
    found: list[Check] = []
    problems: list[InputError] = []
    for model in models:
        try:
            found.append(_checked(args, model, place))
        except InputError as problem:
            problems.append(problem)
    return found, problems


def _print(args: argparse.Namespace, found: list[Check]) -> None:
    from llamatop.reports.bar import pen_for
    from llamatop.reports.check import check_text

    if args.json:
        print(json.dumps({"schema": SCHEMA, "models": [_object(one) for one in found]}, indent=1))
    elif found:
        pen = pen_for(sys.stdout)
        print("\n\n".join(check_text(one, pen) for one in found))


def _checked(args: argparse.Namespace, model: str, place: Place) -> Check:
    from llamatop.predict import checking, gguf

    config = _config(args, model)
    if args.serve is not None:
        from llamatop.serve.checked import check_served

        return check_served(config, place, args.serve, args.cache_type)
    if gguf.is_gguf(model):
        return gguf.check(config, place, args.cache_type)
    return checking.check(config, place)


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop check",
        examples=_EXAMPLES,
        description="Will it fit, and how fast can it be. Loads no weights, needs no GPU.",
        epilog="Exit code: 3 where the smallest level asked for does not fit, 2 for bad input, "
        "else 0.",
    )
    add = parser.add_argument
    add("--model", nargs="+", action="extend", metavar="M",
        help="Hugging Face ids, local folders, GGUF files, or demo (the default)")  # fmt: skip
    add("--weights", choices=("auto", "random"), default="auto", help="as for a run")
    add("--layers", type=int, metavar="N", help="keep the first N layers only")
    add("--engine", default="auto", choices=("auto", "continuous", "batch", "compiled", "threads"),
        help="as for a run")  # fmt: skip
    add("--concurrency", type=int, nargs="+", default=[1], metavar="N",
        help="requests in flight (1)")  # fmt: skip
    add("--prompt-toks", type=int, default=128, metavar="N", help="tokens in (128)")
    add("--gen-toks", type=int, default=32, metavar="N", help="tokens out (32)")
    add("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto",
        help="of weights and arithmetic (auto: the checkpoint's)")  # fmt: skip
    add("--device", default="auto", help="auto, cpu, cuda")
    add("--quantize", choices=("none", "int8", "int4"), default="none",
        help="weights of linear layers in 8 or 4 bits")  # fmt: skip
    add("--no-tuning", action="store_true", help="of a run with --no-tuning: weights stay plain")
    add("--serve", choices=("vllm", "llama.cpp", "transformers", "sglang"), metavar="NAME",
        help="on a foreign engine (vllm, llama.cpp, transformers, sglang): what is foretold of "
        "it, and what is its own")  # fmt: skip
    add("--cache-type", choices=("f16", "q8_0", "q4_0"), default="f16",
        help="of GGUF models: how llama.cpp keeps keys and values (f16)")  # fmt: skip
    add("--memory", metavar="SIZE", help="of another machine: 24GB")
    add("--device-name", metavar="NAME", help='another device: "RTX 4090"')
    add("--json", action="store_true", help="one JSON object on stdout")
    return parser


def _config(args: argparse.Namespace, model: str) -> RunConfig:
    from llamatop.settings.checks import checked
    from llamatop.settings.config import RunConfig

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
            tuning=not args.no_tuning,
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
    if not args.memory:
        return place
    return replace(place, available_bytes=parse_size(args.memory), momentary=False)


def _object(one: Check) -> dict[str, Any]:
    """One model of the JSON object. Bytes, tokens/s, seconds."""
    told = {
        "model": one.config.model,
        "parameters": one.trace.parameters,
        "active_parameters": one.trace.active_parameters,
        "dtype": one.trace.dtype,
        "quantization": one.trace.quantization or None,
        "quantization_note": one.trace.quantization_note or None,
        "weights_bytes": one.trace.weights_bytes,
        "stored_bytes": one.trace.stored_bytes,
        "kv_bytes_per_token": one.trace.kv_bytes_per_token,
        "device": one.place.device,
        "device_name": one.place.name or None,
        "engine": one.engine,
        "layout": "packed" if one.packed else None,
        "available_bytes": one.place.available_bytes,
        "levels": [_level(level) for level in one.levels],
        "max_concurrency": one.max_concurrency,
        "max_concurrency_at_best": one.max_concurrency_at_best,
        "max_context": one.max_context,
        "error_band": one.band,
        "verdict": one.verdict,
        "would_fit": one.would_fit,
        "lacking": one.lacking,
        "unknown": one.unknown,
        "notes": [note for note in (*one.trace.notes, one.trace.told_from) if note],
        **one.beside,
    }
    return told | {name: None for name in one.unknown if name in told}


def _level(level: LevelCheck) -> dict[str, Any]:
    return {
        "concurrency": level.concurrency,
        "peak_bytes": level.prediction.peak_bytes if level.prediction else None,
        "fits": level.fits,
        "verdict": level.verdict,
        "decode_floor_tok_s": level.decode_tok_s,
        "prefill_floor_s": level.prefill_s,
        "parts": level.prediction.parts if level.prediction else None,
    }

"""What watching costs: llamatop's engines beside a bare `model.generate()` of the same requests.

All take turns in one process, round after round, so that a slow moment of the machine strikes
them alike. The engines run as in a run: the closed loop, events, decoded text and a sender.

    python benchmarks/engines.py --model demo --concurrency 8 --rounds 5
"""

from __future__ import annotations

import argparse
import io
import itertools
import statistics
import sys
import time
from collections.abc import Callable

import msgspec
import torch

from llamatop.clock import MonotonicClock
from llamatop.config import RunConfig, checked
from llamatop.engines.continuous import ContinuousEngine
from llamatop.engines.loading import Loaded, load
from llamatop.engines.outbox import Outbox, Sender
from llamatop.engines.resolve import resolve
from llamatop.engines.torch_engine import TorchEngine
from llamatop.engines.torch_engines import ENGINES
from llamatop.engines.work import Plan, Work
from llamatop.errors import InputError

WAVES = 2
"""Each turn serves so many times the concurrency."""

Turn = Callable[[], float]


class Nowhere(io.RawIOBase):
    """Takes whatever is written."""

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: object) -> int:
        """Forget it."""
        return len(memoryview(data))  # type: ignore[arg-type]


def bare(loaded: Loaded, config: RunConfig, concurrency: int) -> float:
    """Seconds that `generate()` alone takes for the requests, in batches."""
    began = time.perf_counter()
    with torch.inference_mode():
        for wave in range(WAVES):
            ids = range(wave * concurrency, (wave + 1) * concurrency)
            rows = [loaded.prompts.prompt(id, config.prompt_toks) for id in ids]
            prompts = torch.tensor(rows, device=loaded.device)
            loaded.model.generate(
                prompts,
                attention_mask=torch.ones_like(prompts),
                max_new_tokens=config.gen_toks,
            ).cpu()
    return time.perf_counter() - began


def watched(engine: TorchEngine, config: RunConfig, concurrency: int) -> float:
    """Seconds that an engine takes for the same requests, after one short one to warm up."""
    serve(engine, config, concurrency, requests=1, output=2)
    seconds = serve(engine, config, concurrency, WAVES * concurrency, config.gen_toks)
    if isinstance(engine, ContinuousEngine):
        engine.close()
    return seconds


def serve(
    engine: TorchEngine, config: RunConfig, concurrency: int, requests: int, output: int
) -> float:
    """Seconds of one `serve`, with all that goes with it."""
    outbox = Outbox()
    outbox.detokenizer = engine.detokenizer
    sender = Sender(outbox, Nowhere())  # type: ignore[arg-type]
    sender.start()
    plan = Plan(0, concurrency, requests, config.prompt_toks, output)
    work = Work(plan, itertools.count(), MonotonicClock(), outbox)
    began = time.perf_counter()
    engine.serve(work)
    seconds = time.perf_counter() - began
    sender.close()
    return seconds


def measure(turns: dict[str, Turn], rounds: int) -> dict[str, list[float]]:
    """Seconds of every turn, each round in another order; one round before is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    names = list(turns)
    for round in range(rounds + 1):
        for name in names[round % len(names) :] + names[: round % len(names)]:
            took = turns[name]()
            if round:
                seconds[name].append(took)
        print(f"round {round} of {rounds}", file=sys.stderr)
    return seconds


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="demo")
    parser.add_argument("--weights", default="auto", choices=["auto", "random"])
    parser.add_argument("--layers", type=int)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--prompt-toks", type=int, default=128)
    parser.add_argument("--gen-toks", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    return parser.parse_args()


def config_of(args: argparse.Namespace) -> RunConfig:
    """The same as the settings of a run."""
    names = {field.name for field in msgspec.structs.fields(RunConfig)} - {"concurrency"}
    settings = {name: value for name, value in vars(args).items() if name in names}
    return checked(RunConfig(concurrency=(args.concurrency,), **settings))


def report(seconds: dict[str, list[float]], tokens: int) -> None:
    """Medians, and each round's ratio to the bare batch of that round."""
    print(f"{'':12}{'tok/s':>10}{'ratio':>8}{'rounds':>24}")
    for name, took in seconds.items():
        ratios = [base / own for base, own in zip(seconds["generate()"], took, strict=True)]
        each = " ".join(f"{ratio:.2f}" for ratio in ratios)
        speed = tokens / statistics.median(took)
        print(f"{name:12}{speed:10.1f}{statistics.median(ratios):8.3f}    {each}")


def main() -> int:
    """Load once, measure, print."""
    args = arguments()
    try:
        config = config_of(args)
        loaded = load(config, resolve(config, _quiet), _quiet)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    facts, concurrency = loaded.facts, args.concurrency
    print(f"{args.model}, {facts.dtype}, {concurrency=}, {facts.threads} threads")
    print(facts.device_name)
    turns: dict[str, Turn] = {"generate()": lambda: bare(loaded, config, concurrency)}
    for name in args.engines:
        engine = ENGINES[name](loaded, config)
        turns[name] = lambda engine=engine: watched(engine, config, concurrency)  # type: ignore[misc]
    report(measure(turns, args.rounds), WAVES * concurrency * config.gen_toks)
    return 0


def _quiet(_stage: str, _done: int, _total: int | None) -> None:
    """Loading is not what is measured."""


if __name__ == "__main__":
    sys.exit(main())

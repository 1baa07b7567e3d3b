"""What watching costs: llamatop's engines beside a bare `model.generate()` of the same requests.

All take turns in one process, round after round, so that a slow moment of the machine strikes
them alike; on a busy machine the processor time of one thread tells more than the clock. The
engines run as in a run: the closed loop, events, decoded text and a sender.

    python benchmarks/engines.py --model demo --concurrency 8 --rounds 5
"""

from __future__ import annotations

import argparse
import io
import itertools
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import msgspec
import torch

from llamatop.engines.continuous import ContinuousEngine
from llamatop.engines.loading import Loaded, load
from llamatop.engines.outbox import Outbox, Sender
from llamatop.engines.resolve import resolve
from llamatop.engines.sizes import alike
from llamatop.engines.torch_engine import TorchEngine
from llamatop.engines.torch_engines import ENGINES
from llamatop.engines.work import Plan, Work
from llamatop.errors import InputError
from llamatop.events.clock import MonotonicClock
from llamatop.settings.checks import checked
from llamatop.settings.config import RunConfig

WAVES = 2
"""Each turn serves so many times the concurrency."""

Took = tuple[float, float]
"""Seconds on the clock, and of processor time."""


@dataclass(frozen=True)
class Turn:
    """Something to measure; what is done before and after it is not."""

    run: Callable[[], None]
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None


class Nowhere(io.RawIOBase):
    """Takes whatever is written."""

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: object) -> int:
        """Forget it."""
        return len(memoryview(data))  # type: ignore[arg-type]


def bare(loaded: Loaded, config: RunConfig, concurrency: int) -> None:
    """`generate()` alone serves the requests, in batches."""
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


def watched(engine: TorchEngine, config: RunConfig, concurrency: int) -> Turn:
    """An engine serves the same requests; continuous batching gives its pages back after that."""
    whole, short = alike(config.prompt_toks, config.gen_toks), alike(config.prompt_toks, 2)
    return Turn(
        run=partial(serve, engine, Plan(0, concurrency, WAVES * concurrency, whole)),
        before=partial(serve, engine, Plan(0, concurrency, 1, short)),
        after=engine.close if isinstance(engine, ContinuousEngine) else lambda: None,
    )


def serve(engine: TorchEngine, plan: Plan) -> None:
    """One `serve` with all that goes with it."""
    outbox = Outbox()
    outbox.detokenizer = engine.detokenizer
    sender = Sender(outbox, Nowhere())  # type: ignore[arg-type]
    threading.Thread(target=sender.run, daemon=True).start()
    engine.serve(Work(plan, itertools.count(), MonotonicClock(), outbox))
    sender.close()


def apart(function: Callable[[], None]) -> None:
    """Run in a thread that ends: one that has computed keeps OpenMP workers, which cost others."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def timed(turn: Turn) -> Took:
    """How long a turn takes; processor time is of this whole process."""
    apart(turn.before)
    clock, processor = time.perf_counter(), time.process_time()
    apart(turn.run)
    took = time.perf_counter() - clock, time.process_time() - processor
    turn.after()
    return took


def measure(turns: dict[str, Turn], rounds: int) -> dict[str, list[Took]]:
    """What every turn took, each round in another order; one round before is not counted."""
    took: dict[str, list[Took]] = {name: [] for name in turns}
    names = list(turns)
    for round in range(rounds + 1):
        for name in names[round % len(names) :] + names[: round % len(names)]:
            took[name].append(timed(turns[name]))
        print(f"round {round} of {rounds}", file=sys.stderr)
    return {name: each[1:] for name, each in took.items()}


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
    parser.add_argument("--threads", type=int, help="threads of one operation on the CPU")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    return parser.parse_args()


def config_of(args: argparse.Namespace) -> RunConfig:
    """The same as the settings of a run."""
    names = {field.name for field in msgspec.structs.fields(RunConfig)} - {"concurrency"}
    settings = {name: value for name, value in vars(args).items() if name in names}
    return checked(RunConfig(concurrency=(args.concurrency,), **settings))


def report(took: dict[str, list[Took]], tokens: int) -> None:
    """Medians of the rounds; a ratio above 1 is quicker, or cheaper, than the bare batch."""
    print(f"{'':12}{'tok/s':>10}{'ratio':>8}{'of processor':>14}   ratio of each round")
    for name, own in took.items():
        pairs = list(zip(took["generate()"], own, strict=True))
        clock = [base[0] / each[0] for base, each in pairs]
        processor = [base[1] / each[1] for base, each in pairs]
        speed = tokens / statistics.median(each[0] for each in own)
        rounds = " ".join(f"{ratio:.2f}" for ratio in clock)
        medians = f"{statistics.median(clock):8.3f}{statistics.median(processor):14.3f}"
        print(f"{name:12}{speed:10.1f}{medians}   {rounds}")


def main() -> int:
    """Load once, measure, print."""
    args = arguments()
    try:
        config = config_of(args)
        source = resolve(config, _quiet)
        with ThreadPoolExecutor(1) as own:
            loaded = own.submit(load, config, source, _quiet).result()
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    if args.threads:
        torch.set_num_threads(args.threads)
    facts, concurrency = loaded.facts, args.concurrency
    print(f"{args.model}, {facts.dtype}, {concurrency=}, {torch.get_num_threads()} threads")
    print(facts.device_name)
    turns: dict[str, Turn] = {"generate()": Turn(partial(bare, loaded, config, concurrency))}
    for name in args.engines:
        engine = ENGINES[name](loaded, config)
        turns[name] = watched(engine, config, concurrency)
    report(measure(turns, args.rounds), WAVES * concurrency * config.gen_toks)
    return 0


def _quiet(_stage: str, _done: int, _total: int | None) -> None:
    """Loading is not what is measured."""


if __name__ == "__main__":
    sys.exit(main())

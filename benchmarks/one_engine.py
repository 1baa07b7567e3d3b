"""One contender of `engines.py`: loads a model, then serves levels as stdin asks; JSON on stdout.

Runs on the llamatop that PYTHONPATH names, also an older one, so it calls only what both have. A
line on stdin is a number of requests at once; the answer has the seconds of one wave, and tokens.
"""

from __future__ import annotations

import io
import itertools
import json
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from llamatop.engines.models import load_engine
from llamatop.engines.outbox import Outbox, Sender
from llamatop.engines.sizes import alike
from llamatop.engines.work import Plan, Work

try:
    from llamatop.events.clock import MonotonicClock
    from llamatop.settings.config import RunConfig
except ModuleNotFoundError:  # before the rooms were
    from llamatop.clock import MonotonicClock
    from llamatop.config import RunConfig


class Nowhere(io.RawIOBase):
    """Takes whatever is written."""

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Forget it."""
        return len(memoryview(data))


class Ours:
    """llamatop's engine, with all that goes with it: the closed loop, events, a sender."""

    def __init__(self, asked: dict[str, Any]) -> None:
        names = set(RunConfig.__struct_fields__)
        settings = {name: value for name, value in asked["settings"].items() if name in names}
        settings["concurrency"] = tuple(settings["concurrency"])
        self.config = RunConfig(**settings)
        self.engine = load_engine(self.config, lambda *_: None)

    def told(self) -> dict[str, Any]:
        """How it was loaded."""
        facts = self.engine.facts
        return {"engine": facts.engine, "layout": getattr(facts, "layout", "")}

    def wave(self, concurrency: int) -> list[int]:
        """Serve so many requests at once; what was written for the first."""
        outbox = Outbox()
        outbox.detokenizer = self.engine.detokenizer
        threading.Thread(target=Sender(outbox, Nowhere()).run, daemon=True).start()
        size = alike(self.config.prompt_toks, self.config.gen_toks)
        plan = Plan(0, concurrency, concurrency, size)
        work, first = Work(plan, itertools.count(), MonotonicClock(), outbox), []
        told = work.emit_step

        def listen(jobs: Any, tokens: list[int]) -> Any:
            first.append(tokens[0])
            return told(jobs, tokens)

        work.emit_step = listen
        self.engine.serve(work)
        return first


class Bare:
    """`generate()` alone, on the same prompts."""

    def __init__(self, asked: dict[str, Any]) -> None:
        asked["settings"]["tuning"] = False
        self._ours = Ours(asked)

    def told(self) -> dict[str, Any]:
        """How it was loaded."""
        return {"engine": "generate()", "layout": ""}

    def wave(self, concurrency: int) -> list[int]:
        """The same."""
        import torch  # noqa: PLC0415  (not beside llama.cpp)

        loaded, config = self._ours.engine.loaded, self._ours.config
        rows = [loaded.prompts.prompt(id, config.prompt_toks) for id in range(concurrency)]
        prompts = torch.tensor(rows)
        with torch.inference_mode():
            out = loaded.model.generate(
                prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=config.gen_toks
            )
        return [int(token) for token in out[0, config.prompt_toks :]]


class LlamaCpp:
    """llama.cpp's server of the package xllamacpp, through HTTP, without its caches of prompts."""

    def __init__(self, asked: dict[str, Any]) -> None:
        import xllamacpp  # noqa: PLC0415  (where it is installed)

        settings = asked["settings"]
        self.most = max(settings["concurrency"])
        self.prompt, self.gen = settings["prompt_toks"], settings["gen_toks"]
        parameters = xllamacpp.CommonParams()
        parameters.model.path = asked["gguf"]
        parameters.port = asked["port"]
        parameters.n_parallel = self.most
        parameters.n_ctx = self.most * (self.prompt + self.gen + 16)
        self.server = xllamacpp.Server(parameters)
        self.address = f"http://127.0.0.1:{asked['port']}/completion"

    def told(self) -> dict[str, Any]:
        """What it is."""
        return {"engine": "llama.cpp", "layout": ""}

    def wave(self, concurrency: int) -> list[int]:
        """So many requests at once, each in a thread."""
        with ThreadPoolExecutor(concurrency) as threads:
            done = list(threads.map(self._ask, range(concurrency)))
        return done[0]

    def _ask(self, place: int) -> list[int]:
        body = {
            "prompt": [(31 * place + 7 * n) % 4000 + 3 for n in range(self.prompt)],
            "n_predict": self.gen,
            "ignore_eos": True,
            "temperature": 0,
            "cache_prompt": False,
            "return_tokens": True,
        }
        request = urllib.request.Request(
            self.address, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            tokens = json.load(answer)["tokens"]
        if len(tokens) != self.gen:
            raise RuntimeError(f"{len(tokens)} tokens instead of {self.gen}")
        return list(tokens)


KINDS = {"ours": Ours, "bare": Bare, "llama.cpp": LlamaCpp}


def main() -> None:
    """Load as the first line asks, then obey."""
    asked = json.loads(sys.stdin.readline())
    out, begun = sys.stdout, time.perf_counter()
    sys.stdout = sys.stderr
    contender = KINDS[asked["kind"]](asked)
    took = time.perf_counter() - begun
    print(json.dumps({"loaded_s": took, **contender.told()}), file=out, flush=True)
    for line in sys.stdin:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is this wave's
        begun = time.perf_counter()
        with ThreadPoolExecutor(1) as apart:  # one that has computed keeps OpenMP workers
            tokens = apart.submit(contender.wave, int(line)).result()
        took = time.perf_counter() - begun
        status = Path("/proc/self/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
        answer = {"seconds": took, "tokens": tokens, "peak_bytes": peak}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()

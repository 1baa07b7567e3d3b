"""Static batches whose decoding step is compiled: on a GPU one launch a step instead of hundreds.

transformers' own means: a static cache, and its compiled call for decoding (CUDA graphs where there
is a GPU); a prompt goes through uncompiled. A graph is for one number of requests and one length of
the cache, so smaller waves are filled up and the cache is as long as the longest request of the
run. What cannot be compiled goes on uncompiled, and says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch._dynamo import config as dynamo
from torch._inductor import config as inductor
from transformers import StaticCache
from transformers.generation import CompileConfig

from llamatop.engines.base import Job, Progress, WorkLike
from llamatop.engines.batch import BatchEngine
from llamatop.engines.loading import Loaded
from llamatop.engines.torch_engine import raise_if_memory
from llamatop.events.kinds import EngineCompiled, Event
from llamatop.settings.config import RunConfig

GRAPHS = 64
"""As many sizes of a wave and of its cache are compiled at most."""
ROUND_TOKENS = 64
"""A cache is longer than asked for up to a multiple of this, so that fewer graphs are needed."""
TRIED_TOKENS = 5
"""Are generated to compile: CUDA graphs are captured in the third step."""

Graph = tuple[int, int]
"""Requests, tokens of the cache of each."""


class CompiledEngine(BatchEngine):
    """One `generate()` for each wave, its steps by one graph."""

    name = "compiled"

    def __init__(self, loaded: Loaded, config: RunConfig, reason: str = "") -> None:
        super().__init__(loaded, config, reason)
        self._tell: Callable[[Event], None] = lambda _: None
        self._graphs: set[Graph] = set()
        self._cache: tuple[Graph, Any] | None = None
        self._room = 0
        self._requests: int | None = None
        """At once, as long as that is asked for; None: as many as have arrived."""
        self._in_wave: Graph | None = None
        """Of the wave that is being made; None: it goes uncompiled."""
        self._lacking = _lacking(loaded)
        self._settings = CompileConfig(dynamic=False)
        self._settings._compile_all_devices = True  # transformers asks for it where no GPU is
        dynamo.recompile_limit = max(dynamo.recompile_limit, GRAPHS)
        if loaded.device.type == "cpu":
            inductor.compile_threads = 1  # else processes that stay

    def get_ready(self, progress: Progress, tell: Callable[[Event], None]) -> None:
        """Compile for the first level: a stage of loading. Called in the thread that serves, to
        which captured graphs belong."""
        self._tell = tell
        if self._lacking:
            self._tell(EngineCompiled(0, 0, 0, None, self._lacking))
            return
        progress("compiling", 0, None)
        self._room = _rounded(self.config.prompt_toks + self.config.gen_toks)
        self._compile((self.config.concurrency[0], self._room))

    def serve(self, work: WorkLike) -> None:
        """As `batch`; a graph for another number of requests is made when they come."""
        self._requests = None if self.config.open_loop else work.concurrency
        super().serve(work)

    def prompts(self, jobs: list[Job]) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """As `batch`, filled up with copies of the last request to the size of a graph."""
        made = super().prompts(jobs)
        self._in_wave = None
        if self._lacking:
            return made
        longest = made["input_ids"].shape[1] + max(job.max_tokens for job in jobs)
        self._room = max(self._room, _rounded(longest))
        fewest = 1 << (len(jobs) - 1).bit_length() if self._requests is None else self._requests
        graph = (max(len(jobs), fewest), self._room)
        if graph not in self._graphs and not self._compile(graph):
            return made
        self._in_wave = graph
        more = graph[0] - len(jobs)
        return {name: torch.cat([one, one[-1:].expand(more, -1)]) for name, one in made.items()}

    def cache(self, prompts: dict[str, torch.Tensor], tokens: int) -> dict[str, Any]:
        """The graph's static cache, empty, and how to compile; as `batch` where there is none."""
        if self._in_wave is None:
            return super().cache(prompts, tokens) | {"disable_compile": True}
        return self._of(self._in_wave)

    def _of(self, graph: Graph) -> dict[str, Any]:
        if self._cache is None or self._cache[0] != graph:
            self._cache = None  # the old one is freed before the new one is there
            text = self.loaded.model.config.get_text_config(decoder=True)
            self._cache = graph, StaticCache(config=text, max_cache_len=graph[1])
        cache = self._cache[1]
        cache.reset()
        return {"past_key_values": cache, "compile_config": self._settings}

    def _compile(self, graph: Graph) -> bool:
        """Make it, by a short generation; whether there is one now. Both is told."""
        requests, tokens = graph
        self._tell(EngineCompiled(0, requests, tokens, None, ""))
        begun = time.perf_counter()
        ids = torch.ones((requests, 2), dtype=torch.long, device=self.loaded.device)
        try:
            with torch.inference_mode():
                self.loaded.model.generate(
                    input_ids=ids, attention_mask=torch.ones_like(ids), **self._of(graph),
                    max_new_tokens=min(TRIED_TOKENS, tokens - 2),
                )  # fmt: skip
            if not hasattr(self.loaded.model, "_compiled_call"):  # transformers' own
                self._lacking = "transformers compiles no step of this model"
        except Exception as error:
            raise_if_memory(error)
            self._lacking = f"it cannot be compiled here: {_first_line(error)}"
        if self._lacking:
            self._cache = None
            self._tell(EngineCompiled(0, requests, tokens, None, self._lacking))
            return False
        self._graphs.add(graph)
        self._tell(EngineCompiled(0, requests, tokens, time.perf_counter() - begun, ""))
        return True


def _lacking(loaded: Loaded) -> str:
    """Why the model's step is not compiled; empty: nothing known says so."""
    if not getattr(loaded.model, "_can_compile_fullgraph", False):
        return "transformers does not compile models of this type"
    if loaded.facts.quantization or loaded.ranks is not None or loaded.facts.offload:
        return "only whole, unquantised models are compiled"
    return ""


def _rounded(tokens: int) -> int:
    return -(-tokens // ROUND_TOKENS) * ROUND_TOKENS


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__

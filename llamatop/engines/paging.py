"""transformers' continuous batching, with a pool of cache pages no larger than is needed.

Left to itself it would take most of the free memory. Knows prompts and token ids by a request's
name; nothing of jobs, levels or times.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import ceil, gcd
from typing import Any, Protocol

import torch
from transformers import ContinuousBatchingConfig
from transformers.generation.continuous_batching.continuous_api import OutputRouter
from transformers.utils import is_flash_attn_2_available, is_flash_attn_3_available

CPU_PAGE = 16
"""Tokens of a page: small ones waste little, and a CPU reads no faster from large ones."""
GPU_PAGE = 32
FLASH_PAGE = 256
"""Flash attention's decode kernel wants multiples of this."""
CPU_STEP = 512
GPU_STEP = 2048
"""Prompt tokens that one step takes at most: more would hold up the requests that decode."""
SPARE_PAGES = 8

_PAGEABLE = {"full_attention", "sliding_attention"}
_FIELDS = {field.name for field in fields(ContinuousBatchingConfig)}
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Pool:
    """What has to fit at once."""

    requests: int
    prompt_tokens: int
    tokens: int
    """Prompt and output of one request."""
    shared: int = 0
    """Tokens of beginnings to keep for requests to come; 0: no prompt is shared."""


class Receiver(Protocol):
    """Is told what becomes of requests, in the thread that generates."""

    def step(self, outputs: Sequence[Any]) -> None:
        """One step's outputs: all tokens so far of each request that got one."""

    def failed(self, name: str, error: BaseException) -> None:
        """A request ended by an error."""

    def reused(self, name: str, tokens: int) -> None:
        """So many tokens of a request's prompt are in pages that others made."""

    def lost(self, manager: Manager) -> None:
        """No more will come from this manager, of any request."""


class Manager:
    """A running manager; `receiver` is told of every step."""

    def __init__(self, model: Any, pool: Pool, seed: int) -> None:
        """Raises what torch raises when the pages do not fit the memory."""
        self.pool = pool
        self.receiver: Receiver | None = None
        sampling = copy.deepcopy(model.generation_config)
        sampling.eos_token_id = -1  # None would be told on stderr
        self._manager = model.init_continuous_batching(
            generation_config=sampling,
            continuous_batching_config=settings(model, pool, model.device, seed),
        )
        self._manager.output_router = _Router(self)
        if pool.shared:
            self._tell_reuse()
        if model.device.type == "cuda":
            self._manager.warmup()  # captures graphs; on a CPU it would wake OpenMP here too
        self._started = threading.Event()
        threading.Thread(target=self._run, name="continuous", daemon=True).start()
        self._started.wait()

    @property
    def alive(self) -> bool:
        """The thread that generates goes on."""
        return bool(self._manager.is_running())

    def submit(self, name: str, prompt: list[int], max_tokens: int) -> bool:
        """Queue a request for the next step; False if none is taken any more."""
        taken = self._manager.add_request(
            prompt, request_id=name, max_new_tokens=max_tokens, streaming=True
        )
        return taken is not None

    def cancel(self, name: str) -> None:
        """Free a request's pages before the next step."""
        self._manager.cancel_request(name)

    def close(self) -> None:
        """End the thread and give the pages back."""
        self.receiver = None
        self._manager.stop(block=True, hard_stop=True)
        self._manager.destroy()
        if torch.cuda.is_initialized():  # each stream has its own from cuBLAS, and keeps it
            torch._C._cuda_clearCublasWorkspaces()

    def _tell_reuse(self) -> None:
        """Have its cache say what it finds of each prompt: transformers itself tells nobody."""
        create = getattr(self._manager, "_create_batch_processor", None)
        if create is None:
            return

        def created() -> Any:
            processor = create()
            _overhear(processor.cache, self)
            return processor

        self._manager._create_batch_processor = created

    def _run(self) -> None:
        """Start the generating thread, which is a daemon because this one is, and see it end."""
        self._manager.start()
        self._started.set()
        while self._manager.is_running():
            time.sleep(_LOOK_SECONDS)
        if (receiver := self.receiver) is not None:
            receiver.lost(self)


def _overhear(cache: Any, manager: Manager) -> None:
    search = getattr(cache, "search_prefix_match", None)
    if search is None:
        return

    def found(name: str, prompt: list[int]) -> int:
        tokens = int(search(name, prompt))
        if (receiver := manager.receiver) is not None:
            receiver.reused(name, tokens)
        return tokens

    cache.search_prefix_match = found


class _Router(OutputRouter):  # type: ignore[misc]
    """Hands outputs on at once, where transformers would queue them for another thread."""

    def __init__(self, manager: Manager) -> None:
        super().__init__()
        self._owner = manager

    def deliver(self, output: Any) -> None:
        self.deliver_batch([output])

    def deliver_batch(self, outputs: Sequence[Any]) -> None:
        if (receiver := self._owner.receiver) is not None:
            receiver.step(outputs)

    def fail_and_deliver(self, state: Any, error: BaseException) -> None:
        if (receiver := self._owner.receiver) is not None:
            receiver.failed(state.request_id, error)


def can_be_paged(model: Any) -> bool:
    """transformers can serve the model by continuous batching."""
    kinds = set(getattr(_text(model), "layer_types", None) or ())
    return kinds <= _PAGEABLE and hasattr(model, "init_continuous_batching")


def settings(model: Any, pool: Pool, device: torch.device, seed: int) -> ContinuousBatchingConfig:
    """The settings with which a manager serves `pool`; prompts are shared only if it says so."""
    cuda = device.type == "cuda"
    flash = cuda and bool(is_flash_attn_2_available() or is_flash_attn_3_available())
    page = FLASH_PAGE if flash else GPU_PAGE if cuda else CPU_PAGE
    pages = ceil(pool.tokens / page) + 1
    step = max(GPU_STEP if cuda else CPU_STEP, 2 * pool.requests)
    wanted: dict[str, Any] = {
        "page_size": page,
        "num_blocks": (pool.requests * pages + ceil(pool.shared / page) + SPARE_PAGES)
        * _groups(model),
        "max_batch_tokens": min(step, pool.requests * (pool.prompt_tokens + 1)),
        "max_requests_per_batch": pool.requests,
        "max_blocks_per_request": pages + pages % 2 if flash else 0,
        "allow_block_sharing": pool.shared > 0,
        "auto_switch_to_flash": flash,
        "safety_margin": 0.0,
        "seed": seed,
    }
    if "page_size" not in _FIELDS:
        wanted["block_size"] = page
    known = {name: value for name, value in wanted.items() if name in _FIELDS}
    return ContinuousBatchingConfig(**known)


def _groups(model: Any) -> int:
    """Pages that a request takes at a time: before transformers 5.18 one for each layer group."""
    kinds = getattr(_text(model), "layer_types", None)
    if "page_size" in _FIELDS or not kinds:
        return 1
    return len(kinds) // gcd(*Counter(kinds).values())


def _text(model: Any) -> Any:
    return model.config.get_text_config(decoder=True)

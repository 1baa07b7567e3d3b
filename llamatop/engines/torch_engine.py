"""What the engines that run a transformers model in this process have in common."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import torch
from torch import nn

from llamatop.engines import caches
from llamatop.engines.base import EngineMemoryError, GivenSize, Job, WorkLike
from llamatop.engines.devices import is_memory_error
from llamatop.engines.loading import Loaded
from llamatop.settings.config import RunConfig


class Stopped(Exception):  # noqa: N818 - not an error
    """Leaves a `generate()` whose tokens nobody wants any more."""


class Short(Exception):  # noqa: N818 - as above
    """`generate()` returned, and there are tokens that it did not make."""

    def __init__(self) -> None:
        super().__init__("generation ended before its last token")


class TorchEngine:
    """A loaded model and its memory counters; how requests are served is the subclass's."""

    name = ""
    """As on the command line."""

    def __init__(self, loaded: Loaded, config: RunConfig, reason: str = "") -> None:
        """`reason` is why this engine, where `auto` chose it."""
        self.loaded = loaded
        self.config = config
        self.detokenizer = loaded.detokenizer
        self.facts = msgspec.structs.replace(loaded.facts, engine=self.name, engine_reason=reason)
        self._cuda = loaded.device if loaded.device.type == "cuda" else None

    def serve(self, work: WorkLike) -> None:
        """See `base.Engine`."""
        raise NotImplementedError

    def allocated(self) -> list[tuple[int, int, int]]:
        """(device, allocated, reserved) in bytes; none on a CPU."""
        if self._cuda is None:
            return []
        allocated = torch.cuda.memory_allocated(self._cuda)
        return [(self._cuda.index, allocated, torch.cuda.memory_reserved(self._cuda))]

    def reset_peaks(self) -> None:
        """Start measuring the device peak anew."""
        if self._cuda is not None:
            torch.cuda.reset_peak_memory_stats(self._cuda)

    def device_peak(self) -> int | None:
        """Most bytes allocated since `reset_peaks`; None on a CPU, and where ranks share them."""
        if self._cuda is None or self.loaded.ranks is not None:
            return None
        return int(torch.cuda.max_memory_allocated(self._cuda))

    @property
    def followers(self) -> Sequence[int]:
        """See `base.Engine`."""
        return () if self.loaded.ranks is None else self.loaded.ranks.pids

    def layers(self) -> Iterable[nn.Module]:
        """The layers of the language model, in order; none where they cannot be told."""
        count = self.loaded.facts.layers
        lists = (part for part in self.loaded.model.modules() if isinstance(part, nn.ModuleList))
        return next((part for part in lists if len(part) == count), ())

    @property
    def given(self) -> Sequence[GivenSize]:
        """See `base.Engine`."""
        return self.loaded.prompts.given_sizes

    def prompts(self, jobs: Sequence[Job]) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask` of these requests, shape (requests, longest prompt).

        Shorter prompts are padded at their left, where the mask is 0, so that all end together.
        """
        rows = [self.loaded.prompts.of(job) for job in jobs]
        width = max(map(len, rows))
        shape = (len(rows), width)
        ids = torch.zeros(shape, dtype=torch.long)
        mask = torch.zeros(shape, dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, width - len(row) :] = torch.tensor(row)
            mask[place, width - len(row) :] = 1
        device = self.loaded.device
        return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}

    def cache(self, prompts: dict[str, torch.Tensor], tokens: int) -> dict[str, Any]:
        """What `generate` is given to keep these prompts and so many new tokens of each in, where
        it would not do as well by itself."""
        if self.loaded.device.type != "cpu" or self.loaded.ranks is not None:
            return {}
        model = self.loaded.model
        room = prompts["input_ids"].shape[1] + tokens - 1  # the last one is never read
        cache = caches.whole(model, model.config.get_text_config(decoder=True), room)
        return {} if cache is None else {"past_key_values": cache}


def raise_if_memory(error: BaseException) -> None:
    """Raise EngineMemoryError if that is what `error` means, and let go of what it held."""
    if is_memory_error(error):
        traceback.clear_frames(error.__traceback__)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        raise EngineMemoryError(" ".join(str(error).split()) or "no memory left") from None

"""Traces prefill and decode of a model's first layers and adds up what all of them would hold.

The forward that runs is transformers' own, on fake tensors. Layers alike take alike, so the
first of each kind speak for the rest; caches are added layer by layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import masking_utils
from transformers.initialization import no_init_weights

from llamatop.engines.architecture import Layout
from llamatop.predict import kernels
from llamatop.predict.anatomy import layer_list
from llamatop.predict.crowd import together
from llamatop.predict.forward import Forward, Tally, Total
from llamatop.predict.sampling import Sampling
from llamatop.predict.storages import LiveStorages
from llamatop.predict.traced import Peak, Shape

ROUNDING = {"cuda": 512}
"""Allocators hand out multiples of so many bytes; the C library of `OTHER_ROUNDING`."""
OTHER_ROUNDING = 64
FEW_TOKENS = 16
"""Of the prompt that shows what a layer caches, where no other does."""
HEAP_BELOW = 2 * 2**20
"""Larger blocks the C library takes from the kernel and gives back; smaller ones it may keep.
As `MALLOC_MMAP_THRESHOLD_` is set for engines."""


class Tracer:
    """A prefix of a model on fake tensors, to be run for any shape."""

    def __init__(
        self,
        layout: Layout,
        kinds: list[int],
        dtype: torch.dtype,
        device: str,
        sampling: dict[str, Any] | None = None,
    ) -> None:
        """`layout` is cut to the prefix; `kinds` tells the kind of each layer of the whole;
        `sampling` is the checkpoint's `generation_config.json`."""
        like = {kind: i for i, kind in enumerate(kinds[: layout.layers])}
        self._shown = [i if i < layout.layers else like[kind] for i, kind in enumerate(kinds)]
        self._layout = layout
        self._rounding = ROUNDING.get(device, OTHER_ROUNDING)
        self._gathers = device != "cpu"
        self._device = device = device if _can_be_faked(device) else "cpu"
        self._mode = FakeTensorMode()
        with no_init_weights(), torch.device("meta"):
            model = layout.kind._from_config(layout.config, dtype=dtype)
        with self._mode, torch.device(device):
            _make_fake(model)
            model.tie_weights()
            self._sampling = Sampling(model, sampling or {})
        self._model = model.eval()
        self._dtype = dtype
        self._layers = layer_list(model.get_decoder(), layout.layers)
        self._cached: list[tuple[int, int | None]] = []

    def quantize(self, kernel: kernels.Kernel) -> None:
        """Let the layers' matrices be computed with as that kernel does."""
        kernels.stand_in(self._layers, kernel)

    def leave_experts(self) -> None:
        """Let decoding read the chosen experts' weights where they lie."""
        self._gathers = False

    def peak(self, shape: Shape) -> Peak:
        """The peaks of generating that shape."""
        phases = self.phases(shape)
        most = max(everything for everything, _ in phases)
        heap = max(small for _, small in phases)
        return Peak(shape, most.peak, most.cache, most.logits, heap.peak, most.sampling)

    def phases(self, shape: Shape) -> list[list[Total]]:
        """Of prefill, and of the last step where there is one: all blocks, and the small ones."""
        prefill, *last = self._forwards(shape)
        return [[forward.whole(self._shown) for forward in prefill], *last]

    def _forwards(self, shape: Shape) -> Any:
        """Prefill's forwards, and then what the last step holds, where there is one."""
        tallies = [Tally(), Tally(HEAP_BELOW)]
        self._sampling.forget()
        cache = self._cache()
        with _quiet_masks(), self._mode, torch.no_grad(), LiveStorages(self._rounding, *tallies):
            prefill = self._watched(tallies, cache, shape.batch, shape.prompt, shape.prompt)
            layers = cache.layers[: len(self._layers)]
            self._cached = [_cached(layer, shape.batch) for layer in layers]
            last = [self._last_step(tallies, cache, shape)] if shape.generated > 1 else []
        return prefill, *last

    def crowd(self, shape: Shape, alone: Peak) -> Peak:
        """What `shape.batch` threads are expected to hold at once, each with a request of its own.

        `alone`: the peak of one. While they decode they may all be at their peak, which is little
        beside their caches.
        """
        threads = shape.batch
        prefill, *last = self._forwards(shape._replace(batch=1))
        paths = [forward.path(self._shown) for forward in prefill]
        whole, small = (together(path, threads) for path in paths)
        for everything, blocks in last:
            whole, small = max(whole, threads * everything.peak), max(small, threads * blocks.peak)
        cache = min(threads * alone.cache, whole)
        share = (whole - cache) / max(threads * (alone.total - alone.cache), 1)
        logits, sampling = (round(share * threads * n) for n in (alone.logits, alone.sampling))
        return Peak(shape, whole, cache, logits, small, sampling)

    def cached(self) -> list[tuple[int, int | None]]:
        """(bytes per token, window) of the cache of each of the prefix's layers."""
        if not self._cached:
            self.phases(Shape(1, FEW_TOKENS, 1))
        return self._cached

    def scores(self) -> int:
        """Bytes of one request's scores and of what choosing from them takes."""
        tally = Tally()
        self._sampling.forget()
        with self._mode, torch.no_grad(), LiveStorages(self._rounding, tally):
            ids = torch.zeros((1, 1), dtype=torch.long, device=self._device)
            size = (1, int(self._layout.text.vocab_size))
            tally.mark()
            scores = torch.empty(size, dtype=self._dtype, device=self._device)
            self._sampling.choose(ids, scores)
        return tally.peak

    def _last_step(self, tallies: list[Tally], cache: Any, shape: Shape) -> list[Total]:
        """The step with the longest context, after those between have grown the caches."""
        layers = cache.layers[: len(self._layers)]
        for layer in layers:
            _grow(layer, shape.generated - 2)
        held = [[_storage_bytes(layer, tally.below) for layer in layers] for tally in tallies]
        kept = [self._sampling.held_bytes(tally.below) for tally in tallies]
        with self._decoding():
            total = shape.prompt + shape.generated - 1
            forwards = self._watched(tallies, cache, shape.batch, 1, total)
        totals = [f.whole(self._shown, h) for f, h in zip(forwards, held, strict=True)]
        return [
            total._replace(sampling=total.sampling + size)
            for total, size in zip(totals, kept, strict=True)
        ]

    def _watched(
        self, tallies: list[Tally], cache: Any, batch: int, tokens: int, total: int
    ) -> list[Forward]:
        """Run one forward and note what is held from layer to layer."""
        forwards = [Forward(tally) for tally in tallies]

        def enter(*_: Any) -> None:
            for forward in forwards:
                forward.enter()

        def leave(_: Any, inputs: tuple[torch.Tensor, ...], __: Any) -> None:
            for forward in forwards:
                forward.leave(inputs[0].untyped_storage().nbytes())

        hooks = [layer.register_forward_pre_hook(enter) for layer in self._layers]
        hooks.append(self._layers[-1].register_forward_hook(leave))
        scores = self._run(cache, batch, tokens, total)
        enter()
        ids = torch.zeros((batch, total), dtype=torch.long, device=self._device)
        chosen = self._sampling.choose(ids, scores[:, -1])
        for forward in forwards:
            forward.end()
        for hook in hooks:
            hook.remove()
        del scores, chosen
        return forwards

    def _run(self, cache: Any, batch: int, tokens: int, total: int) -> Any:
        ids = torch.zeros((batch, tokens), dtype=torch.long, device=self._device)
        mask = torch.ones((batch, total), dtype=torch.long, device=self._device)
        places = torch.arange(total - tokens, total, device=self._device).unsqueeze(0)
        return self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=places.expand(batch, -1),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits

    def _cache(self) -> Any:
        return transformers.DynamicCache(config=self._layout.text)

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        """Off the CPU, decoding gathers the chosen experts' weights, as `generate` has it."""
        before = self._model.get_experts_implementation()
        if self._gathers and "grouped_mm" in before.values():
            self._model.set_experts_implementation(
                {name: "batched_mm" if how == "grouped_mm" else how for name, how in before.items()}
            )
        try:
            yield
        finally:
            self._model.set_experts_implementation(before)


def _make_fake(model: Any) -> None:
    """Put fake parameters and buffers in place of those on meta, a third of a millisecond each;
    what it sees and hears with reads no tokens, and is taken out."""
    for sense in ("image", "audio"):
        if model.get_encoder(modality=sense) is not model:
            model.set_encoder(nn.Identity(), modality=sense)
    for module in model.modules():
        for name, tensor in [*module.named_parameters(recurse=False)]:
            empty = torch.empty(tensor.shape, dtype=tensor.dtype)
            setattr(module, name, nn.Parameter(empty, requires_grad=False))
        for name, tensor in [*module.named_buffers(recurse=False)]:
            setattr(module, name, torch.empty(tensor.shape, dtype=tensor.dtype))


def _can_be_faked(device: str) -> bool:
    """Whether this build of torch can name the device; it need not be here."""
    return device == "cpu" or (device == "cuda" and bool(torch.cuda.is_available()))


def _cached(layer: Any, requests: int) -> tuple[int, int | None]:
    keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
    if keys is None or values is None or keys.dim() < 3:
        return 0, None
    size = (keys.nbytes + values.nbytes) // (requests * max(int(keys.shape[-2]), 1))
    return int(size), getattr(layer, "sliding_window", None)


def _grow(layer: Any, tokens: int) -> None:
    """Let a cache have so many more tokens, the last one as a step of its own, after which a
    window holds no more than itself. One without keys and values stays as it is."""
    if getattr(layer, "keys", None) is None or layer.keys.dim() != 4:
        return
    for more in (tokens - 1, 1) if tokens > 0 else ():
        if more > 0:
            kept = (layer.keys, layer.values)
            layer.update(*(t.new_empty((*t.shape[:2], more, t.shape[3])) for t in kept))


def _storage_bytes(layer: Any, below: float) -> int:
    """What a layer's cache really holds; a window's view keeps all of what it looks at."""
    tensors = [value for value in vars(layer).values() if isinstance(value, torch.Tensor)]
    storages = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}
    return sum(size for size in storages.values() if size < below)


@contextmanager
def _quiet_masks() -> Iterator[None]:
    """Masks are made as for real tensors: fake ones would always be given a full one."""
    before = masking_utils.is_tracing
    masking_utils.is_tracing = lambda *_: False
    try:
        yield
    finally:
        masking_utils.is_tracing = before

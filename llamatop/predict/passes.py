"""Traces prefill and decode of some of a model's layers and adds up what all of them would hold.

The forward that runs is transformers' own, on fake tensors. Layers alike take alike, so the
last of each kind speaks for the rest; caches are added layer by layer.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import masking_utils

from llamatop.predict import caches, kernels
from llamatop.predict.anatomy import Anatomy
from llamatop.predict.caches import Cached
from llamatop.predict.crowd import together
from llamatop.predict.excerpt import plans
from llamatop.predict.forward import Forward, Tally, Total, stepped
from llamatop.predict.ledger import peak_of
from llamatop.predict.sampling import Sampling
from llamatop.predict.storages import LiveStorages
from llamatop.predict.traced import Peak, Shape, between

ROUNDING = {"cuda": 512}
"""Allocators hand out multiples of so many bytes; the C library of `OTHER_ROUNDING`."""
OTHER_ROUNDING = 64
FEW_TOKENS = 16
"""Of the prompt that shows what a layer caches, where no other does."""
LOOKED = 8
"""So many times more tokens show whether a model loops over them: some do over chunks."""
GROWN = 128
"""Of two prompts that show how an unusual cache grows, the one has so many tokens more: what
compresses keeps one of up to so many."""
LONGEST = 8192
"""A window longer than this is not looked past."""
MANY_OPERATIONS = 3000
"""As many in one forward take some tenths of a second to trace."""
HEAP_BELOW = 2 * 2**20
"""Larger blocks the C library takes from the kernel and gives back; smaller ones it may keep.
As `MALLOC_MMAP_THRESHOLD_` is set for engines."""


class Tracer:
    """Some layers of a model on fake tensors, to be run for any shape."""

    def __init__(
        self, anatomy: Anatomy, device: str, sampling: dict[str, Any] | None = None
    ) -> None:
        """Takes the model of `anatomy` for itself, and runs it once.

        `sampling` is the checkpoint's `generation_config.json`. Raises what the model does, where
        it does not run on fake tensors.
        """
        model = anatomy.model
        self._text = anatomy.text
        self._rounding = ROUNDING.get(device, OTHER_ROUNDING)
        self._gathers = device != "cpu"
        self._whole = device == "cpu"
        """Whether caches are allocated once (`engines.caches`)."""
        self._device = device = device if _can_be_faked(device) else "cpu"
        self._mode = FakeTensorMode()
        self._dtype = model.dtype
        self._takes = frozenset(inspect.signature(model.forward).parameters)
        self._known: dict[Shape, Peak] = {}
        self._operations: dict[int, int] = {}
        """Of the prompts of one request that were run, by tokens."""
        self._excerpt = anatomy.excerpt()
        self._model = model.eval()
        with self._mode, torch.device(device):
            self._sampling = Sampling(model, sampling or {})
        self._kept = self._settled(anatomy.kinds)

    def _settled(self, kinds: Sequence[int]) -> list[Any]:
        """Keep as few layers as the model runs with; what they cache."""
        before: Exception | None = None
        for plan in plans(kinds):
            self._excerpt.follow(plan)
            with self._mode, torch.device(self._device):
                _make_fake(self._model)
            try:
                return self._short(FEW_TOKENS)
            except Exception as error:
                before = before or error
        raise before or LookupError("it has no layers")

    def quantize(self, kernel: kernels.Kernel) -> None:
        """Let the layers' matrices be computed with as that kernel does."""
        for layer in self._excerpt.kept:
            kernels.stand_in(layer, kernel)
        self._operations.clear()  # those counted before were others

    def leave_experts(self) -> None:
        """Let decoding read the chosen experts' weights where they lie."""
        self._gathers = False

    def peak(self, shape: Shape) -> Peak:
        """The peaks of generating that shape; of a prompt that would take long to go through,
        on the line through two that do not."""
        if shape not in self._known:
            self._known[shape] = self._peak(shape) if self._is_quick(shape) else self._line(shape)
        return self._known[shape]

    def _is_quick(self, shape: Shape) -> bool:
        most = self.most_tokens
        return most is None or (shape.prompt <= most and shape.prompt % self._grain == 0)

    @property
    def _grain(self) -> int:
        """A prompt of a multiple of so many tokens is traced: what goes through whole chunks at
        once may loop over the tokens of the last one, if that is not whole."""
        few, whole = (self._operations.get(n, 0) for n in (FEW_TOKENS, GROWN))
        return GROWN if 0 < whole < few else 1

    def _line(self, shape: Shape) -> Peak:
        most = self.most_tokens or shape.prompt
        low, high = (self.peak(shape._replace(prompt=n)) for n in (most // 2, most))
        return between(low, high, (shape.prompt - most // 2) / (most - most // 2), shape)

    @cached_property
    def most_tokens(self) -> int | None:
        """The longest prompt that is traced, where a model loops over tokens in Python, which
        takes long; None: it does not."""
        layers = caches.layers_of(self._cache(), 1)
        if layers and all(map(caches.cannot_loop, layers)):
            return None
        unit = max(self._grain, FEW_TOKENS)
        slope = self._slope(unit, unit)  # token by token
        if slope < 1:
            slope = self._slope(unit, LOOKED * FEW_TOKENS)  # chunk by chunk
        if slope <= 0:
            return None
        return max(int(MANY_OPERATIONS / slope) // unit, 2) * unit

    def _slope(self, few: int, more: int) -> float:
        """Operations for each of so many tokens more."""
        for tokens in (few, few + more):
            if tokens not in self._operations:
                self._short(tokens)
        return (self._operations[few + more] - self._operations[few]) / more

    def _short(self, tokens: int) -> list[Any]:
        """What each layer has cached after a prompt of one request."""
        tally = Tally()
        with quiet_masks(), self._mode, torch.no_grad(), LiveStorages(self._rounding, tally) as on:
            _, cache = self._run(self._cache(), 1, tokens, tokens)
            self._operations[tokens] = on.operations
            return self._layers_of(cache)

    def _peak(self, shape: Shape) -> Peak:
        return peak_of(shape, self.phases(shape))

    def phases(self, shape: Shape) -> list[list[Total]]:
        """Of prefill, and of the last step where there is one: all blocks, and the small ones."""
        prefill, *last = self._forwards(shape)
        return [[forward.whole(self._excerpt.shown) for forward in prefill], *last]

    def _forwards(self, shape: Shape) -> Any:
        """Prefill's forwards, and then what the last step holds, where there is one."""
        tallies = [Tally(), Tally(HEAP_BELOW)]
        self._sampling.forget()
        with quiet_masks(), self._mode, torch.no_grad(), LiveStorages(self._rounding, *tallies):
            prefill, cache = self._watched(
                tallies, self._cache(shape), shape.batch, shape.prompt, shape.prompt
            )
            last = [self._last_step(tallies, cache, shape)] if shape.generated > 1 else []
        return prefill, *last

    def crowd(self, shape: Shape, alone: Peak) -> Peak:
        """What `shape.batch` threads are expected to hold at once, each with a request of its own.

        `alone`: the peak of one. While they decode they may all be at their peak, which is little
        beside their caches.
        """
        threads = shape.batch
        prefill, *last = self._forwards(shape._replace(batch=1))
        paths = [forward.path(self._excerpt.shown) for forward in prefill]
        whole, small = (together(path, threads) for path in paths)
        for everything, blocks in last:
            whole, small = max(whole, threads * everything.peak), max(small, threads * blocks.peak)
        cache = min(threads * alone.cache, whole)
        share = (whole - cache) / max(threads * (alone.total - alone.cache), 1)
        logits, sampling = (round(share * threads * n) for n in (alone.logits, alone.sampling))
        return Peak(shape, whole, cache, logits, small, sampling)

    def cached(self) -> list[list[Cached]]:
        """What each layer of the whole model caches. Raises LookupError where that is not known."""
        kept = self._kept
        if kept and all(map(caches.is_plain, kept)):
            found = [[Cached(caches.bytes_per_token(one), caches.window_of(one))] for one in kept]
        else:
            found = self._grown(kept)
        return [found[n] for n in self._excerpt.shown]

    def _grown(self, kept: list[Any]) -> list[list[Cached]]:
        windows = [caches.window_of(one) or 0 for one in kept]
        few = min(GROWN * (max(windows, default=0) // GROWN + 1), LONGEST)
        shorter, longer = self._short(few), self._short(few + GROWN)
        if not kept:
            raise LookupError("its forward returns no cache that tells layers apart")
        grown = zip(kept, shorter, longer, strict=True)
        return [caches.growth(*one, GROWN) for one in grown]

    def _layers_of(self, cache: Any) -> list[Any]:
        """Of those that run."""
        return self._excerpt.caches(caches.layers_of(cache, self._excerpt.length))

    def scores(self) -> int:
        """Bytes of one request's scores and of what choosing from them takes."""
        tally = Tally()
        self._sampling.forget()
        with self._mode, torch.no_grad(), LiveStorages(self._rounding, tally):
            ids = torch.zeros((1, 1), dtype=torch.long, device=self._device)
            size = (1, int(self._text.vocab_size))
            tally.mark()
            scores = torch.empty(size, dtype=self._dtype, device=self._device)
            self._sampling.choose(ids, scores)
        return tally.peak

    def _last_step(self, tallies: list[Tally], cache: Any, shape: Shape) -> list[Total]:
        """The step with the longest context, after those between have grown the caches."""
        cache = self._grown_to(cache, shape)
        before = [caches.storage_sizes(layer) for layer in self._layers_of(cache)]
        chosen = self._sampling.held_sizes()
        forwards, _ = self._stepped(tallies, cache, shape)
        return [stepped(f, self._excerpt.shown, before, chosen) for f in forwards]

    def _grown_to(self, cache: Any, shape: Shape) -> Any:
        """The caches that the last step finds, from those after prefill."""
        layers = self._layers_of(cache)
        if all(map(caches.can_grow, layers)):
            for layer in layers:
                caches.grow(layer, shape.generated - 2)
        elif shape.generated > 2:
            before = shape.prompt + shape.generated - 2
            _, cache = self._run(self._cache(shape), shape.batch, before, before)
        return cache

    def _stepped(self, tallies: list[Tally], cache: Any, shape: Shape) -> tuple[list[Forward], Any]:
        with self._decoding():
            context = shape.prompt + shape.generated - 1
            return self._watched(tallies, cache, shape.batch, 1, context)

    def _watched(
        self, tallies: list[Tally], cache: Any, batch: int, tokens: int, total: int
    ) -> tuple[list[Forward], Any]:
        """Run one forward and note what is held from layer to layer; and the cache it leaves."""
        forwards = [Forward(tally) for tally in tallies]

        def enter(*_: Any) -> None:
            for forward in forwards:
                forward.enter()

        def leave(_: Any, inputs: tuple[Any, ...], __: Any) -> None:
            given = next((x for x in inputs if isinstance(x, torch.Tensor)), None)
            for forward in forwards:
                forward.leave(0 if given is None else given.untyped_storage().nbytes())

        hooks = [layer.register_forward_pre_hook(enter) for layer in self._excerpt.kept]
        hooks.append(self._excerpt.kept[-1].register_forward_hook(leave))
        try:
            scores, cache = self._run(cache, batch, tokens, total)
            enter()
            ids = torch.zeros((batch, total), dtype=torch.long, device=self._device)
            chosen = self._sampling.choose(ids, scores[:, -1])
            for forward in forwards:
                forward.end()
        finally:
            for hook in hooks:
                hook.remove()
        del scores, chosen
        return forwards, cache

    def _run(self, cache: Any, batch: int, tokens: int, total: int) -> tuple[Any, Any]:
        """Scores, and the cache after it."""
        ids = torch.zeros((batch, tokens), dtype=torch.long, device=self._device)
        places = torch.arange(total - tokens, total, device=self._device).unsqueeze(0)
        given = {
            "attention_mask": torch.ones((batch, total), dtype=torch.long, device=self._device),
            "position_ids": places.expand(batch, -1),
            "logits_to_keep": 1,
            "use_cache": True,
        }
        given = {name: value for name, value in given.items() if name in self._takes}
        name = caches.name_of(self._takes)
        if name is not None and cache is not None:
            given[name] = cache
        outputs = self._model(input_ids=ids, **given)
        return outputs.logits, caches.left_by(outputs)

    def _cache(self, shape: Shape | None = None) -> Any:
        """Of a generation of that shape, as the engines have it; of any, growing, without one."""
        tokens = None
        if shape is not None and self._whole:
            tokens = shape.prompt + shape.generated - 1
        return self._excerpt.share(caches.fresh(self._model, self._text, tokens))

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
    tied ones stay tied. What it sees and hears with reads no tokens, and is taken out."""
    for sense in ("image", "audio"):
        if model.get_encoder(modality=sense) is not model:
            model.set_encoder(_Unused(model.get_encoder(modality=sense)), modality=sense)
    made: dict[int, Any] = {}
    for module in model.modules():
        for name, tensor in [*module.named_parameters(recurse=False)]:
            if id(tensor) not in made:
                empty = torch.empty(tensor.shape, dtype=tensor.dtype)
                made[id(tensor)] = (nn.Parameter(empty, requires_grad=False), tensor)
            setattr(module, name, made[id(tensor)][0])
        for name, tensor in [*module.named_buffers(recurse=False)]:
            setattr(module, name, torch.empty(tensor.shape, dtype=tensor.dtype))


class _Unused(nn.Module):  # type: ignore[misc]
    """Stands where an encoder stood, and tells of it what a model asks, such as its device."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.__dict__["_encoder"] = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_encoder"], name)


def _can_be_faked(device: str) -> bool:
    """Whether this build of torch can name the device; it need not be here."""
    return device == "cpu" or (device == "cuda" and bool(torch.cuda.is_available()))


@contextmanager
def quiet_masks() -> Iterator[None]:
    """Masks are made as for real tensors: fake ones would always be given a full one."""
    before = masking_utils.is_tracing
    masking_utils.is_tracing = lambda *_: False
    try:
        yield
    finally:
        masking_utils.is_tracing = before

"""A model's forward timed in both layouts by turns: of some of its layers, where it is large.

Those layers are copied to be packed, and a part of the head; what the whole takes is told from
them, so that no second model is made. Knows no requests and keeps nothing.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear

from llamatop.engines import packing
from llamatop.engines.layout import PREFILL_TOKENS, Took
from llamatop.engines.loading import Loaded
from llamatop.engines.random_weights import weight_bytes

SAMPLE_BYTES = 64 * 2**20
"""Of the layers that are timed, and of a head: at least one layer, at most all."""
TURNS = 2
"""At least: the first product of a shape makes its kernels."""

Forward = Callable[[], object]


class Sample:
    """Layers of a model, plain and packed."""

    def __init__(self, loaded: Loaded) -> None:
        """Raises whatever a model does that has no such layers, or does not run packed."""
        self._decoder = loaded.model.get_decoder()
        self._name = _list_of(self._decoder, loaded.facts.layers)
        every = list(self._decoder.get_submodule(self._name))
        few = min(ceil(SAMPLE_BYTES * len(every) / sum(map(weight_bytes, every))), len(every))
        self._scale = len(every) / few
        begun = time.perf_counter()
        self._layers = (every[:few], [copy.deepcopy(layer) for layer in every[:few]])
        done = sum(map(_pack, self._layers[1]))
        self.pack_bytes_s = done / (time.perf_counter() - begun)
        """Bytes of matrices that were packed in a second."""
        self._head = _Head(loaded.model)
        first = torch.zeros((1, PREFILL_TOKENS), dtype=torch.long)
        self._caches = [self._forward(layers, first) for layers in self._layers]

    def prefill(self, seconds: float) -> Took:
        """Of a prompt of `PREFILL_TOKENS`, the best of as many turns as there is time for."""
        ids = torch.zeros((1, PREFILL_TOKENS), dtype=torch.long)
        forwards = [self._of(layers, ids, None) for layers in self._layers]
        return self._whole(forwards, 1, seconds)

    def decode(self, requests: int, seconds: float) -> Took:
        """Of one step with so many requests; as above."""
        ids = torch.zeros((requests, 1), dtype=torch.long)
        caches = copy.deepcopy(self._caches)
        for cache in caches:
            cache.batch_repeat_interleave(requests)
        forwards = [self._of(*one) for one in zip(self._layers, (ids, ids), caches, strict=True)]
        return self._whole(forwards, requests, seconds)

    def _whole(self, forwards: Sequence[Forward], rows: int, seconds: float) -> Took:
        few = by_turns(forwards, seconds * 0.8)
        head = self._head.time(rows, seconds * 0.2)
        return Took(*(self._scale * own + last for own, last in zip(few, head, strict=True)))

    def _of(self, layers: list[nn.Module], ids: torch.Tensor, cache: Any) -> Forward:
        return lambda: self._forward(layers, ids, cache)

    def _forward(self, layers: list[nn.Module], ids: torch.Tensor, cache: Any = None) -> Any:
        """The cache that it leaves."""
        with _in_place(self._decoder, self._name, layers):
            out = self._decoder(input_ids=ids, past_key_values=cache, use_cache=True)
        return out.past_key_values


class _Head:
    """A part of the matrix that makes scores, plain and, where it can be, packed."""

    def __init__(self, model: nn.Module) -> None:
        head = model.get_output_embeddings()
        whole = head.weight.detach()
        self._plain = whole[: max(SAMPLE_BYTES * len(whole) // whole.nbytes, 1)]
        self._scale = len(whole) / len(self._plain)
        alone = any(part is head for part in packing.packable(model).values())
        self._packed = packing.pack(self._plain) if alone else None

    def time(self, rows: int, seconds: float) -> Sequence[float]:
        inputs = self._plain.new_zeros((rows, self._plain.shape[1]))
        plain, packed = self._plain, self._packed
        products: list[Forward] = [lambda: linear(inputs, plain)]
        if packed is not None:
            products.append(lambda: packing.multiply(inputs, packed))
        best = by_turns(products, seconds)
        return [self._scale * best[0], self._scale * best[-1]]


def by_turns(calls: Sequence[Forward], seconds: float) -> list[float]:
    """Seconds of the quickest call of each."""
    best = [float("inf")] * len(calls)
    end, turns = time.perf_counter() + seconds, 0
    while turns < TURNS or time.perf_counter() < end:
        for place, call in enumerate(calls):
            begun = time.perf_counter()
            call()
            best[place] = min(best[place], time.perf_counter() - begun)
        turns += 1
    return best


def _list_of(decoder: nn.Module, count: int | None) -> str:
    """The name of its list of layers. Raises LookupError."""
    for name, part in decoder.named_modules():
        if isinstance(part, nn.ModuleList) and len(part) == count:
            return str(name)
    raise LookupError("its layers are in no list")


def _pack(layer: nn.Module) -> int:
    """Pack what can be; bytes."""
    linears = packing.packable(layer)
    for name, part in linears.items():
        layer.set_submodule(name, packing.Packed(part))
    return sum(packing.packed_bytes(layer.get_submodule(name)) for name in linears)


@contextmanager
def _in_place(decoder: nn.Module, name: str, layers: Sequence[nn.Module]) -> Iterator[None]:
    """Let it have these layers alone."""
    whole = decoder.get_submodule(name)
    decoder.set_submodule(name, nn.ModuleList(layers))
    try:
        yield
    finally:
        decoder.set_submodule(name, whole)

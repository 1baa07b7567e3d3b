"""What a model is made of: its parameters, those a step reads, its layers and their caches.

Looks at a model on torch's meta device, which holds no weights. Runs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from llamatop.engines import architecture
from llamatop.predict.caches import fresh
from llamatop.predict.excerpt import Excerpt
from llamatop.predict.stacks import is_stack

_CHOSEN = ("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk", "top_k")
_LEARNED = ("layer_scalar", "std_scale", "std_bias")
"""Buffers of Gemma 4 that training sets and that multiply what passes. Biases that balance
routers, and tables made from the configuration, are not counted among a model's parameters."""


@dataclass(frozen=True)
class Anatomy:
    """A model on the meta device, taken apart. Counts are of parameters."""

    model: Any
    text: Any
    """The configuration of its language model."""

    @cached_property
    def parameters(self) -> int:
        """All, tied ones once; and what is learned but registered as a buffer."""
        learned = (b for name, b in self._named_buffers if name in _LEARNED)
        return _count(self.model.parameters()) + _count(learned)

    @cached_property
    def buffers(self) -> list[torch.Tensor]:
        """Those that a checkpoint stores beside the parameters."""
        return [buffer for _, buffer in self._named_buffers]

    @cached_property
    def buffer_bytes(self) -> int:
        """Of those."""
        return sum(int(one.nbytes) for one in self.buffers)

    @cached_property
    def _named_buffers(self) -> list[tuple[str, torch.Tensor]]:
        """The same with the names that their modules have for them."""
        return [
            (name, buffer)
            for module in self.model.modules()
            for name, buffer in module.named_buffers(recurse=False)
            if name not in module._non_persistent_buffers_set
        ]

    @cached_property
    def active(self) -> int:
        """Those that one token uses."""
        idle = 1 - self.experts_per_token / self.experts if self.experts else 0.0
        return _count(self._language) - round(_count(self._expert_weights) * idle)

    @cached_property
    def chosen_experts(self) -> list[torch.Tensor]:
        """Weights of experts of which each token reads those that it chose; [] if it reads all."""
        return self._expert_weights if self._reads_chosen else []

    @cached_property
    def read_always(self) -> list[torch.Tensor]:
        """Those that every decode step reads: all but what it looks up, sees with or chooses."""
        tables = [module for module in self.decoder.modules() if isinstance(module, nn.Embedding)]
        tied = None if self.head is None else self.head.weight
        passed = {id(table.weight) for table in tables if table.weight is not tied}
        passed |= {id(parameter) for parameter in self.chosen_experts}
        return [parameter for parameter in self._language if id(parameter) not in passed]

    @cached_property
    def experts(self) -> int:
        """In each layer that has any; else 0."""
        return max((int(p.shape[0]) for p in self._expert_weights), default=0)

    @cached_property
    def experts_per_token(self) -> int:
        """Of those; else 0."""
        found = (getattr(self.text, name, None) for name in _CHOSEN)
        return next((int(n) for n in found if isinstance(n, int)), 1) if self.experts else 0

    @cached_property
    def attention_width(self) -> int:
        """Query heads times their dimension, over all layers."""
        return sum(_attention_width(one) for one in layer_configs(self.text, len(self.layers)))

    @cached_property
    def widest(self) -> int:
        """Rows of the matrix of a layer that has most of them; 0 if none has any."""
        shapes = (p.shape for layer in self.layers for p in layer.parameters() if p.dim() >= 2)
        return max((int(shape[-2]) for shape in shapes), default=0)

    @cached_property
    def decoder(self) -> Any:
        """The language model without its head."""
        return self.model.get_decoder()

    @cached_property
    def head(self) -> Any:
        """The matrix that makes scores of the vocabulary; None if there is none."""
        return self.model.get_output_embeddings()

    @cached_property
    def layers(self) -> list[Any]:
        """The decoder's layers in order."""
        return list(self._place[2])

    def excerpt(self) -> Excerpt:
        """To run some of the layers only."""
        parent, name, _ = self._place
        return Excerpt(parent, name, self.kinds)

    @cached_property
    def _place(self) -> tuple[Any, str, Any]:
        """The module that has the list of layers, the list's name there, and the list."""
        count = architecture.depth(self.text)
        found = (
            (parent, name, part)
            for root in (self.decoder, self.model)
            for parent in root.modules()
            for name, part in parent.named_children()
            if isinstance(part, nn.ModuleList) and len(part) == count
        )
        place = next(found, None)
        if place is None:
            raise LookupError(f"no list of its {count} layers is found in transformers' model")
        return place

    @cached_property
    def kinds(self) -> list[int]:
        """For each layer the number of its kind; layers alike in weights and cache are of one."""
        caches = getattr(fresh(self.model, self.text), "layers", ())
        known: dict[object, int] = {}
        kinds = []
        for i, layer in enumerate(self.layers):
            cache = caches[i] if i < len(caches) else None
            rate = getattr(cache, "compress_rate", None)
            shapes = tuple((name, tuple(p.shape)) for name, p in layer.named_parameters())
            looks = (type(cache).__name__, getattr(cache, "sliding_window", None), rate, shapes)
            kinds.append(known.setdefault(looks, len(known)))
        return kinds

    @cached_property
    def _language(self) -> list[torch.Tensor]:
        """Those of decoder and head, tied ones once."""
        parts = list(self.decoder.parameters())
        if self.head is not None:
            parts += list(self.head.parameters())
        return list({id(p): p for p in parts}.values())

    @cached_property
    def _expert_modules(self) -> list[Any]:
        """Modules that hold the weights of many experts in one parameter each."""
        return [
            module
            for layer in self.layers
            for module in layer.modules()
            if any(map(is_stack, module.parameters(recurse=False)))
            and not isinstance(module, nn.Conv1d)
        ]

    @cached_property
    def _expert_weights(self) -> list[torch.Tensor]:
        return [p for module in self._expert_modules for p in module.parameters(recurse=False)]

    @cached_property
    def _reads_chosen(self) -> bool:
        """Whether experts are told which were chosen; llama4's are not and compute them all."""
        return all(
            len(inspect.signature(module.forward).parameters) > 1 for module in self._expert_modules
        )


def _count(parameters: Iterable[Any]) -> int:
    return int(sum(p.numel() for p in parameters))


def layer_configs(text: Any, count: int) -> list[Any]:
    """The configuration of each layer: its own where they differ, else that of all."""
    own = getattr(text, "per_layer_config", None)
    return list(own) if own is not None and len(own) == count else [text] * count


def _attention_width(config: Any) -> int:
    heads = getattr(config, "num_attention_heads", 0) or 0
    if not isinstance(heads, int):
        return 0
    size = getattr(config, "head_dim", None) or config.hidden_size // max(heads, 1)
    return int(heads * int(size))

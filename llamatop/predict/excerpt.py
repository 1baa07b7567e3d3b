"""Some of a model's layers that speak for all: the others are passed by when it runs.

Layers alike take alike. Where a model does not run with layers passed by, it runs as far as the
first layers that show each kind, or whole. Runs nothing itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn


def plans(kinds: Sequence[int]) -> Iterator[list[int]]:
    """Which layers to keep, the fewest first; each plan has layers of every kind.

    The first layer is always kept; it speaks for others only where they are not shown otherwise.
    """
    last = {kind: i for i, kind in enumerate(kinds)}
    picked = sorted({0, *last.values()})
    prefix = list(range(_prefix(kinds)))
    every = list(range(len(kinds)))
    seen: list[list[int]] = []
    for plan in (picked, prefix, every):
        if plan not in seen:
            seen.append(plan)
            yield plan


def _prefix(kinds: Sequence[int]) -> int:
    """So many first layers show each kind, past the first layer where it is not the only."""
    total = Counter(kinds)
    seen: set[int] = set()
    for i, kind in enumerate(kinds):
        if i > 0 or total[kind] == 1:
            seen.add(kind)
        if len(seen) == len(total):
            return i + 1
    return len(kinds)


class Excerpt:
    """A list of layers within a model, of which a plan keeps some."""

    def __init__(self, parent: nn.Module, name: str, kinds: Sequence[int]) -> None:
        """The list is the attribute `name` of `parent`."""
        self._parent, self._name, self._kinds = parent, name, kinds
        self._all = list(getattr(parent, name))
        self.kept: list[Any] = []
        """The layers that run."""
        self.shown: list[int] = []
        """For each layer of the model the place in `kept` of the one that speaks for it."""
        self._like: list[int] = []
        self._output: Any = None

    def follow(self, plan: Sequence[int]) -> None:
        """Pass by all layers but these."""
        like = {self._kinds[i]: n for n, i in enumerate(plan)}
        place = {i: n for n, i in enumerate(plan)}
        self.kept = [self._all[i] for i in plan]
        self.shown = [place.get(i, like[kind]) for i, kind in enumerate(self._kinds)]
        self._like = [plan[n] for n in self.shown[: plan[-1] + 1]]
        layers = [
            layer if i in place else _Passed(layer, self)
            for i, layer in enumerate(self._all[: plan[-1] + 1])
        ]
        setattr(self._parent, self._name, nn.ModuleList(layers))
        self._all[0].register_forward_hook(self._note)

    def share(self, cache: Any) -> Any:
        """Let a cache of the model have one layer for all that a layer speaks for."""
        layers = getattr(cache, "layers", None)
        if isinstance(layers, list) and len(layers) >= len(self._like):
            for i, like in enumerate(self._like):
                layers[i] = layers[like]
        return cache

    def passed(self, hidden: Any) -> Any:
        """What a layer that is passed by gives: what it was given, in the form of the first's."""
        if isinstance(self._output, tuple):
            return (hidden, *(None for _ in self._output[1:]))
        return hidden

    @property
    def length(self) -> int:
        """Layers that are in the model now, those passed by included."""
        return len(self._like)

    def caches(self, layers: Sequence[Any]) -> list[Any]:
        """Of what each of those layers caches, that of those kept; [] of nothing."""
        return [layers[i] for i in sorted(set(self._like))] if layers else []

    def _note(self, _: Any, __: Any, output: Any) -> None:
        self._output = tuple(None for _ in output) if isinstance(output, tuple) else None


class _Passed(nn.Module):  # type: ignore[misc]
    """Stands where a layer stood, and looks like it."""

    def __init__(self, layer: nn.Module, excerpt: Excerpt) -> None:
        super().__init__()
        self.__dict__["_layer"], self.__dict__["_excerpt"] = layer, excerpt

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._excerpt.passed(args[0] if args else kwargs["hidden_states"])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_layer"], name)

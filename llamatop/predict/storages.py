"""Counts the bytes that tensors hold while code runs, storage by storage, and their peak.

Works under `FakeTensorMode`, where nothing is computed and nothing is held: the counts are those
that the real run would reach. Knows no model. What a kernel allocates inside itself is not seen,
but for what is told of it here.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from llamatop.predict.forward import Tally

_GROUPED_MM = torch.ops.aten._grouped_mm.default
_SPLIT = torch.ops.aten.split_with_sizes.default
_SAFE_SOFTMAX = torch.ops.aten._safe_softmax.default
"""Of scores that attention writes out; it looks inside itself which are masked: a byte for each."""
_TO_PYTHON = torch.ops.aten._local_scalar_dense.default
_PRODUCTS = {"mm": 0, "addmm": 1, "bmm": 0, "baddbmm": 1, "_grouped_mm": 0}
"""Products of matrices, and which of their arguments is the left one."""
FLOP_PER_BYTE = 4
"""Arithmetic that takes as long as moving a byte: 182 GFLOP/s beside 49 GB/s on two x86-64 cores.
On a GPU it is far more, and nothing here is asked of one."""


class LiveStorages(TorchDispatchMode):  # type: ignore[misc]
    """While entered, its tallies count the storages made since."""

    def __init__(self, rounding: int, *tallies: Tally) -> None:
        """`rounding`: the allocator hands out multiples of so many bytes."""
        super().__init__()
        self._rounding = rounding
        self._tallies = tallies
        self._known: dict[int, weakref.ref[Any]] = {}
        self._made = 0
        self.operations = 0
        """Of which tensors were asked so far."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the operation and count what it made."""
        self.operations += 1
        if func is _TO_PYTHON:
            return _answer(args[0])
        kwargs = kwargs or {}
        if func is _SPLIT:
            args = _split(*args)
        result = _grouped(args) if func is _GROUPED_MM else func(*args, **kwargs)
        read = [x for x in tree_iter((args, kwargs)) if isinstance(x, torch.Tensor)]
        given = set(map(_key, read))
        made = [x for x in tree_iter(result) if isinstance(x, torch.Tensor)]
        made = [x for x in made if _key(x) not in given]
        for one in made:
            self._count(one.untyped_storage())
        if made:
            work = sum(x.nbytes for x in (*read, *made)) + _flops(func, args, made) / FLOP_PER_BYTE
            inside = self._rounded(made[0].numel()) if func is _SAFE_SOFTMAX else 0
            self._made += 1
            for tally in self._tallies:
                tally.add(inside, self._made)
                tally.step(work)
                tally.add(-inside, self._made)
        return result

    def _rounded(self, size: int) -> int:
        return -(-size // self._rounding) * self._rounding

    def _count(self, storage: Any) -> None:
        key = storage._cdata
        if key in self._known:
            return
        size = self._rounded(storage.nbytes())
        self._made += 1
        self._known[key] = weakref.ref(storage, self._freed(key, size, self._made))
        for tally in self._tallies:
            tally.add(size, self._made)

    def _freed(self, key: int, size: int, which: int) -> Callable[[Any], None]:
        def freed(_: Any) -> None:
            del self._known[key]
            for tally in self._tallies:
                tally.add(-size, which)

        return freed


def _key(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _flops(func: Any, args: tuple[Any, ...], made: list[torch.Tensor]) -> int:
    """Of a product of matrices; other operations are as quick as memory."""
    left = _PRODUCTS.get(func.overloadpacket.__name__)
    return 0 if left is None else 2 * made[0].numel() * int(args[left].shape[-1])


def _answer(tensor: torch.Tensor) -> bool | int | float:
    """What a model asks of its data is whether no token is masked: yes; and no number matters."""
    if tensor.is_floating_point():
        return 0.0
    return True if tensor.dtype == torch.bool else 0


def _split(tensor: torch.Tensor, sizes: Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """The same; in even parts where the sizes were asked of data, as of rows for each expert."""
    rows = int(tensor.shape[dim])
    if sum(sizes) == rows:
        return tensor, [int(size) for size in sizes], dim
    ends = [rows * n // len(sizes) for n in range(len(sizes) + 1)]
    return tensor, [end - start for start, end in pairwise(ends)], dim


def _grouped(args: tuple[Any, ...]) -> torch.Tensor:
    """What a grouped matrix multiplication gives: its fake version knows bfloat16 only."""
    rows, weights = args[0], args[1]
    return rows.new_empty((rows.shape[0], weights.shape[-1]))

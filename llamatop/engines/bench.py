"""Measures this machine's memory bandwidth and arithmetic, in about a second.

Best of several runs of each kernel, over a working set beyond what a core has of any cache.
Measures torch as the engines use it, with all cores; nothing else should run meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn.functional import linear

from llamatop.engines import devices
from llamatop.hardware.measured import Measure, Measured

WORKING_SET = 640 * 2**20
"""Bytes that each kernel of memory goes through in all."""
GPU_WORKING_SET = 4 * 2**30
SIDE = {"cpu": 1024, "cuda": 8192}
"""Of the square matrices whose product is timed."""
SMALL_SIDE = 256
"""Of those that are timed where one of these takes longer than `SLOW_SECONDS` already."""
SLOW_SECONDS = 0.01
ROWS, COLUMNS = 8192, 8192
"""Of the matrix that one vector is multiplied by, as in a decode step."""
ROUNDS = 4
KERNEL_SECONDS = 0.12
"""After so long a kernel has had its best of several, where nothing else is asked for."""


def measure(
    question: Measure, seconds: float = KERNEL_SECONDS, working_set: int = WORKING_SET
) -> Measured:
    """The best rates of that device in that dtype; InputError if the device is not here.

    `seconds`: after so long a kernel has had its best of several. `working_set`: bytes that it goes
    through on a CPU.
    """
    device = devices.pick_device(question.device)
    dtype = devices.pick_dtype(question.dtype, torch.bfloat16, device)
    bench = _Bench(device, dtype, seconds, working_set)
    with torch.inference_mode():
        read, copy, triad = bench.memory()
        return Measured(
            device=devices.name_of(device),
            dtype=str(dtype).removeprefix("torch."),
            threads=torch.get_num_threads(),
            read=read,
            copy=copy,
            triad=triad,
            matvec=bench.matvec(),
            flops=bench.matmul(),
            torch=str(torch.__version__),
        )


class _Bench:
    def __init__(
        self, device: torch.device, dtype: torch.dtype, seconds: float, working_set: int
    ) -> None:
        self._seconds, self._working_set = seconds, working_set
        self._device = device
        self._dtype = dtype

    def memory(self) -> tuple[float, float, float]:
        """Read, copy and triad (a = b + s c) in bytes/s, in float32."""
        total = self._working_set if self._device.type == "cpu" else GPU_WORKING_SET
        whole = torch.ones(total // 4, dtype=torch.float32, device=self._device)
        left, right = whole.chunk(2)
        a, b, c = whole[: len(whole) // 3 * 3].chunk(3)
        read = total / self._best(lambda: torch.dot(left, right))
        copy = total / self._best(lambda: left.copy_(right))
        triad = total / self._best(lambda: torch.add(b, c, alpha=0.5, out=a))
        return read, copy, triad

    def matvec(self) -> float:
        """Bytes/s of weights when one row is multiplied by a matrix."""
        weights = torch.full((ROWS, COLUMNS), 0.01, dtype=self._dtype, device=self._device)
        row = torch.full((1, COLUMNS), 0.01, dtype=self._dtype, device=self._device)
        return float(weights.nbytes) / self._best(lambda: linear(row, weights))

    def matmul(self) -> float:
        """FLOP/s of a product of square matrices."""
        small = self._square(SMALL_SIDE)
        if min(self._timed(lambda: small @ small) for _ in range(2)) > SLOW_SECONDS:
            return 2.0 * SMALL_SIDE**3 / self._best(lambda: small @ small)
        side = SIDE.get(self._device.type, SIDE["cpu"])
        left = self._square(side)
        return 2.0 * side**3 / self._best(lambda: left @ left)

    def _square(self, side: int) -> torch.Tensor:
        return torch.full((side, side), 0.01, dtype=self._dtype, device=self._device)

    def _best(self, kernel: Callable[[], object]) -> float:
        """Seconds of the quickest run after one that does not count."""
        self._timed(kernel)
        best, spent, rounds = float("inf"), 0.0, 0
        while rounds < ROUNDS or spent < self._seconds:
            seconds = self._timed(kernel)
            best, spent, rounds = min(best, seconds), spent + seconds, rounds + 1
            if spent > 3 * self._seconds and rounds >= 2:
                break
        return best

    def _timed(self, kernel: Callable[[], object]) -> float:
        start = time.perf_counter()
        kernel()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter() - start

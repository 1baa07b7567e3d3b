"""What threads hold together, each with a forward of its own.

All begin a forward at once and share the cores, so that they wander apart on their way: a peak that
is long is reached by all of them at once, a short one hardly ever. Knows no model, only the path
of one forward.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from llamatop.predict.forward import Step

WANDER = 0.03
"""By how much of a forward a thread is ahead of or behind the others: standard deviation, and the
way on which it changes. Seen of 8 threads on 2 cores: 0.03 near the end of 512 tokens of prefill,
of SmolLM2-135M with its 30 layers and of a Gemma 3 slice with 12."""
ROUNDS = 4
"""Forwards of which the mean peak is taken."""
STEPS = 2000
"""Moments of a forward that are looked at."""
PANEL_DEPTH, PANEL_ROWS, PANEL_TOKENS = 384, 6144, 768
"""Of each matrix that it multiplies in 32 bits, MKL keeps a packed panel for every calling thread
until that ends: so deep, and as high as the matrix up to so many rows. Measured with AVX2, of
shapes from 64 x 576 x 192 to 4096 x 8192 x 2048: within 0.5 MiB. In 16 bits there is none."""


def panels(dtype: torch.dtype, rows: int, tokens: int) -> int:
    """Bytes of the panels that one thread keeps, whose widest matrix has so many rows."""
    if dtype != torch.float32 or tokens < 2:
        return 0
    return 4 * PANEL_DEPTH * (min(rows, PANEL_ROWS) + min(tokens, PANEL_TOKENS))


def together(path: Sequence[Step], threads: int) -> int:
    """The most bytes that so many threads are expected to hold at once.

    The same for the same path: the way they wander is drawn with a fixed seed.
    """
    most = max(step.held for step in path)
    if threads == 1:
        return most
    ends = torch.tensor([step.work for step in path], dtype=torch.float64).cumsum(0)
    ends /= float(ends[-1])
    held = torch.tensor([0, *(step.held for step in path), path[-1].held], dtype=torch.float64)
    seeded = torch.Generator().manual_seed(0)
    keep = torch.exp(torch.tensor(-1 / (WANDER * STEPS), dtype=torch.float64))
    shape = (ROUNDS, threads)

    def drawn() -> torch.Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=seeded)

    ahead, peak = drawn(), torch.zeros(ROUNDS, dtype=torch.float64)
    for step in range(int(STEPS * (1 + 3 * WANDER))):
        ahead = keep * ahead + torch.sqrt(1 - keep * keep) * drawn()
        place = step / STEPS + WANDER * ahead
        index = torch.searchsorted(ends, place, right=True) + (place > 0)
        peak = torch.maximum(peak, held[index].sum(dim=1))
    return max(round(float(peak.mean())), most)

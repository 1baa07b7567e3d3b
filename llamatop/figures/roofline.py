"""The physical limits of speed, and how near a run comes to them. Pure arithmetic on plain numbers.

A decode step must read the weights and the caches once and compute each token once; a prefill
must compute each token once. No kernel is looked at, so these are floors of time, not forecasts.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

Holds = Literal[
    "memory bandwidth", "arithmetic", "overhead", "queueing", "memory capacity", "other processes"
]


class Roofs(NamedTuple):
    """What a machine can do: bytes/s of memory, FLOP/s in the dtype."""

    bandwidth: float
    flops: float


class Reads(Protocol):
    """What a decode step of a model reads and computes: a `Trace`, or what a recording kept."""

    @property
    def active_parameters(self) -> int:
        """Parameters that one token uses."""

    @property
    def read_bytes(self) -> int:
        """Weights that every step reads."""

    @property
    def expert_bytes(self) -> int:
        """Weights of all experts of which a step reads the chosen ones."""

    @property
    def experts(self) -> int:
        """In a layer; 0: none."""

    @property
    def experts_per_token(self) -> int:
        """That each token chooses."""

    @property
    def attention_width(self) -> int:
        """Query heads times their dimension, over all layers."""

    @property
    def caches(self) -> tuple[tuple[int, int | None], ...]:
        """(bytes per token, window in tokens) of the layers of each kind together."""


def kv_bytes(model: Reads, tokens: float) -> float:
    """What the caches of one request hold after so many tokens; windows do not grow past theirs."""
    return sum(size * min(tokens, window or tokens) for size, window in model.caches)


def distinct_experts(experts: int, per_token: int, tokens: int) -> float:
    """Experts that at least one of so many tokens chooses, on average, if all are alike likely."""
    return experts * (1 - (1 - per_token / experts) ** tokens) if experts else 0.0


def step_weight_bytes(model: Reads, requests: int) -> float:
    """Weights that one decode step reads: chosen experts only, where the code does so."""
    if not model.experts:
        return float(model.read_bytes)
    touched = distinct_experts(model.experts, model.experts_per_token, requests) / model.experts
    return model.read_bytes + model.expert_bytes * touched


def step_flops(model: Reads, requests: int) -> float:
    """Arithmetic of one decode step, without attention's own."""
    return 2.0 * model.active_parameters * requests


def step_floor(model: Reads, requests: int, context: float, roofs: Roofs) -> float:
    """Seconds that a decode step takes at least; `context`: tokens that each request has by then.

    max((weights read + requests x cache) / bandwidth, 2 x active parameters x requests / FLOP/s)
    """
    read = step_weight_bytes(model, requests) + requests * kv_bytes(model, context)
    return max(read / roofs.bandwidth, step_flops(model, requests) / roofs.flops)


def decode_ceiling(model: Reads, requests: int, context: float, roofs: Roofs) -> float:
    """Output tokens per second at most, all requests together."""
    return requests / step_floor(model, requests, context, roofs)


def prefill_floor(model: Reads, requests: int, prompt: int, roofs: Roofs) -> float:
    """Seconds until all prompts are read, at least.

    (2 x active x requests x prompt + 2 x layers x heads x head size x prompt^2 x requests)
    / FLOP/s, or reading the weights once, where that takes longer.
    """
    attention = 2.0 * model.attention_width * prompt**2 * requests
    computed = (step_flops(model, requests * prompt) + attention) / roofs.flops
    return max(computed, step_weight_bytes(model, requests * prompt) / roofs.bandwidth)


def mbu(
    weight_bytes_read: float, kv_bytes_read_per_step: float, step_seconds: float, bandwidth: float
) -> float | None:
    """Memory bandwidth utilisation: bytes that a step must read / its time / what memory gives."""
    if step_seconds <= 0 or bandwidth <= 0:
        return None
    return (weight_bytes_read + kv_bytes_read_per_step) / step_seconds / bandwidth


def mfu(flops: float, seconds: float, peak_flops: float) -> float | None:
    """Model FLOPs utilisation: the arithmetic that the tokens need / time / the peak."""
    if seconds <= 0 or peak_flops <= 0:
        return None
    return flops / seconds / peak_flops


def roof_beaten(memory_share: float | None, compute_share: float | None) -> bool:
    """Whether a run was faster than its roofs allow: they were measured too low."""
    return max(memory_share or 0.0, compute_share or 0.0) >= 1.005  # reads as more than 100 %


ROOF_BEATEN = "faster than the measured roofs, which are too low: llamatop roofline"
"""What is said of such a run, and what measures them again."""

NEAR = 0.6
"""A share of a roof from which on the roof itself is what holds back."""
QUEUED = 0.25
"""A share of a request's life from which on its wait is what counts."""


def held_back_by(
    memory_share: float | None,
    compute_share: float | None,
    queue_share: float | None = None,
    memory_ended: bool = False,
) -> Holds | None:
    """What holds a run back, from its MBU, MFU, and the share of time that requests wait.

    Far from both roofs it is launching and interpreting: `overhead`. None: nothing is known.
    """
    if memory_ended:
        return "memory capacity"
    if queue_share is not None and queue_share >= QUEUED:
        return "queueing"
    if memory_share is None and compute_share is None:
        return None
    memory, compute = memory_share or 0.0, compute_share or 0.0
    if max(memory, compute) < NEAR:
        return "overhead"
    return "memory bandwidth" if memory >= compute else "arithmetic"

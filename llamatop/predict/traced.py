"""What is asked of the tracer and what it answers. Bytes; knows neither torch nor files."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from llamatop.settings.config import QuantizeName


class Shape(NamedTuple):
    """Requests in one forward, tokens of each prompt, tokens generated for each."""

    batch: int
    prompt: int
    generated: int


STEPS = (Shape(1, 128, 1), Shape(1, 2048, 1))
"""What is traced for continuous batching: packed tokens, one step of them."""


class Reach(msgspec.Struct, frozen=True):
    """The memory within which the longest context of one request is sought."""

    engine: str
    available_bytes: int
    band: float
    """The share by which a prediction may be too low."""
    runtime_bytes: int | None = None
    """What the libraries take of memory, as it was measured before; None: as the child does."""


class Ask(msgspec.Struct, frozen=True):
    """One model to be traced for several shapes."""

    model: str
    architecture: dict[str, Any]
    """Its `config.json`."""
    layers: int | None = None
    """Only the first so many."""
    dtype: str = "auto"
    device: str = "cpu"
    """`cpu`, `cuda` or `mps`: where it would run; it need not be here."""
    shapes: tuple[Shape, ...] = ()
    crowds: bool = False
    """Each request is in a thread of its own: of shapes with several, what those hold together."""
    capability: tuple[int, int] | None = None
    """The compute capability of an accelerator that is not here; None: it is, and torch knows."""
    quantize: QuantizeName = "none"
    checkpoint: bool = False
    """Its trained weights would be loaded: what its config says of their bits counts."""
    beside: dict[str, dict[str, Any]] = {}
    """What files beside that say of its quantisation."""
    reach: Reach | None = None
    """Also search the longest context of one request."""
    runtime: bool = False
    """Also tell what the libraries take of this machine's memory."""
    sampling: dict[str, Any] = {}
    """The checkpoint's `generation_config.json`, where there is one: how tokens are chosen."""


class LayerKind(msgspec.Struct, frozen=True):
    """Layers that are alike: how many, and what each caches."""

    count: int
    kv_bytes_per_token: int
    window: int | None
    """Tokens after which its cache stops growing; None: never."""
    beside: bool = False
    """It is what layers told already cache besides."""


class Peak(msgspec.Struct, frozen=True):
    """The most that generating one shape holds besides the weights."""

    shape: Shape
    total: int
    cache: int
    """Of that, what the caches hold at that moment."""
    logits: int
    """Of that, scores of the vocabulary and what makes them; 0: the peak is inside a layer."""
    heap: int
    """The most that blocks hold which are too small to be given back at once."""
    sampling: int = 0
    """Of the total, what choosing tokens takes besides the scores; 0: the peak is before that."""


class Trace(msgspec.Struct, frozen=True, tag=True):
    """All that the tracer knows of a model."""

    dtype: str
    parameters: int
    """Tied weights once, vision and all experts included."""
    active_parameters: int
    """Those that one token uses: of all experts, the chosen ones."""
    weights_bytes: int | None
    """None: how they are quantised is not understood, and of what is read of them neither."""
    read_bytes: int
    """Weights that one decode step of one request reads: no embedding table but a tied one, no
    vision, and of the experts those that the code really reads."""
    expert_bytes: int
    """Of those, what belongs to experts of which each token chooses a few; 0: none, or all."""
    experts: int
    experts_per_token: int
    attention_width: int
    """Heads times their dimension, summed over all layers; for the arithmetic of attention."""
    context: int | None
    kinds: tuple[LayerKind, ...]
    peaks: tuple[Peak, ...]
    crowds: tuple[Peak, ...] = ()
    """Where asked for: what so many threads are expected to hold at once, each with a request."""
    panel_bytes: int = 0
    """Where those were asked for: kept of its matrices for each further thread that multiplies."""
    score_heads: int = 0
    """Heads of a layer whose scores attention writes out whole; 0: it fuses them."""
    quantization: str = ""
    """How its matrices are stored, where not in `dtype`; empty: they are not quantised."""
    stored_bytes: int | None = None
    """What a checkpoint holds; more in memory where it is unpacked. None: its weights are random,
    or how they are quantised is not understood."""
    quantization_note: str = ""
    """Why it is unpacked, or what it takes to stay as it is; empty: that is so everywhere."""
    scales_bytes: int = 0
    """Of `weights_bytes`, the scales and zeros of quantised ones."""
    score_bytes: int = 0
    """Of one request: its scores, and what choosing from them takes."""
    runtime_bytes: int | None = None
    """Resident size of a process that has imported what an engine imports."""
    furthest: int | None = None
    """Where asked for: the longest prompt and output of one request that fit; None: see
    `unknown`."""
    unknown: dict[str, str] = {}
    """Figures that rest on something not understood, as `check --json` calls them, and why."""
    notes: tuple[str, ...] = ()
    """How figures were come by, where that is not as usual."""
    told_from: str = ""
    """By what it was traced before; empty: it was traced for this question."""

    @property
    def kv_bytes_per_token(self) -> int:
        """Of all layers, as if none had a window."""
        return sum(kind.count * kind.kv_bytes_per_token for kind in self.kinds)

    @property
    def layers(self) -> int:
        """Of the language model."""
        return sum(kind.count for kind in self.kinds if not kind.beside)

    @property
    def untold(self) -> str:
        """Why no peak can be told; empty: it can."""
        names = ("weights_bytes", "peak_bytes")
        return next((self.unknown[name] for name in names if name in self.unknown), "")

    @property
    def caches(self) -> tuple[tuple[int, int | None], ...]:
        """(bytes per token, window) of all layers of each kind together."""
        return tuple((kind.count * kind.kv_bytes_per_token, kind.window) for kind in self.kinds)

    def step_of(self, tokens: int) -> Peak:
        """A step of one request's so many tokens, on the line through the two `STEPS`."""
        low, high = (next(p for p in self.peaks if p.shape == shape) for shape in STEPS)
        share = (tokens - low.shape.prompt) / (high.shape.prompt - low.shape.prompt)
        return between(low, high, share, Shape(1, tokens, 1))

    def at(self, shape: Shape) -> Peak:
        """The peak of a shape: as traced, or on the straight line through two other batches.

        Peaks are convex in the batch, so a line between two of them is never too low. Raises
        LookupError where fewer than two batches of that prompt and output were traced.
        """
        return _on_line(self.peaks, shape)

    def crowd(self, shape: Shape) -> Peak | None:
        """The same of threads with a request each; None where none were traced."""
        alone = [peak for peak in self.peaks if peak.shape == shape._replace(batch=1)]
        others = [peak for peak in self.crowds if peak.shape[1:] == shape[1:]]
        return _on_line([*alone, *others], shape) if others else None


def _on_line(peaks: Sequence[Peak], shape: Shape) -> Peak:
    same = {p.shape.batch: p for p in peaks if p.shape[1:] == shape[1:]}
    if shape.batch in same:
        return same[shape.batch]
    batches = sorted(same)
    if len(batches) < 2:
        raise LookupError(f"no shapes like {shape} were traced")
    place = min(max(bisect(batches, shape.batch), 1), len(batches) - 1)
    low, high = same[batches[place - 1]], same[batches[place]]
    share = (shape.batch - low.shape.batch) / (high.shape.batch - low.shape.batch)
    return between(low, high, share, shape)


def between(low: Peak, high: Peak, share: float, shape: Shape) -> Peak:
    """The peak of `shape`, which lies on the line from `low` to `high` after so much of it."""

    def mixed(a: int, b: int) -> int:
        return max(round(a + (b - a) * share), 0)

    return Peak(
        shape,
        mixed(low.total, high.total),
        mixed(low.cache, high.cache),
        mixed(low.logits, high.logits),
        mixed(low.heap, high.heap),
        mixed(low.sampling, high.sampling),
    )


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """Bad input, told in one line."""

    error: str


Answer = Trace | Refusal

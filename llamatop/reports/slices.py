"""From two slices of a model to the whole: what a layer more took, for all the layers left out.

A straight line through two runs that differ in their number of layers only. It holds where the
layers are alike and the whole fits the same memory; it knows nothing of offloading. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from llamatop.figures.levels import LevelFigures
from llamatop.figures.stats import Distribution
from llamatop.reports.compare import paired
from llamatop.reports.runs import Run, differences

_MAY_DIFFER = {"layers", "parameters", "weights size", "llamatop"}


@dataclass(frozen=True, slots=True)
class Whole:
    """One level of the whole model, extrapolated. Seconds, tokens/s, bytes; None: not known."""

    concurrency: int
    layers: int
    ttft_s: float | None
    """The median, as `tpot_s`."""
    tpot_s: float | None
    output_tok_s: float | None
    """Of requests that follow one another: concurrency * tokens / (TTFT + TPOT * (tokens - 1))."""
    peak_bytes: float | None
    """Of the accelerator; on a CPU of the engine process."""


def whole(first: Run, second: Run) -> list[Whole]:
    """The whole model at every level that both slices ran; none where they are not two slices."""
    one, other = first.session.model, second.session.model
    if one is None or other is None or one.layers is None or other.layers is None:
        return []
    layers = one.whole_layers
    if layers is None or layers != other.whole_layers or one.layers == other.layers:
        return []
    if any(name not in _MAY_DIFFER for name, _ in differences([first, second])):
        return []
    share = (layers - one.layers) / (other.layers - one.layers)
    config = first.session.started.config if first.session.started else None
    tokens = config.gen_toks if config is not None and not config.varied else None
    return [_level(pair, share, layers, tokens) for pair in paired(first, second) if _ran(pair)]


def _ran(pair: tuple[LevelFigures, LevelFigures]) -> bool:
    return all(figures.outcome == "ok" and figures.completed for figures in pair)


def _level(
    pair: tuple[LevelFigures, LevelFigures], share: float, layers: int, tokens: int | None
) -> Whole:
    def line(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else max(a + (b - a) * share, 0.0)

    one, other = pair
    ttft = line(_median(one.ttft), _median(other.ttft))
    tpot = line(_median(one.tpot), _median(other.tpot))
    rate = None
    if ttft and tpot is not None and tokens is not None:
        rate = one.concurrency * tokens / (ttft + tpot * (tokens - 1))
    device = line(one.device_peak_bytes, other.device_peak_bytes)
    host = line(one.host_peak_bytes, other.host_peak_bytes)
    return Whole(one.concurrency, layers, ttft, tpot, rate, host if device is None else device)


def _median(values: Distribution | None) -> float | None:
    return None if values is None else values.p50

"""How far a level's figures could be off: its requests drawn again, many times.

Requests that ran together share the machine's moods, so what is drawn is the unit that varied: a
whole wave, where requests come in waves; else as many requests in the order of their start as were
in flight together. A level too short for two of them has its throughput by stretches of time, and
nothing else. What varies from one run to the next (a warm machine, a busy neighbour) is in no
single recording and not known here. A block bootstrap: Künsch, Annals of Statistics 17, 1989.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llamatop.events.clock import SECOND
from llamatop.figures.pooled import Floats, pooled_gaps
from llamatop.figures.requests import counted, first_token, tpot
from llamatop.session.requests import Level, Request

DRAWS = 1000
"""How often a level is drawn again."""

MOST_BLOCKS = 64
"""More waves than this are joined, which also covers moods that last longer than one."""

STRETCHES = 4
"""Into which a level is cut that has too few requests; each is long beside a request's steps."""

BINS = 512
"""Distinct values from which a drawn percentile is read."""

PERCENTS = (50, 90, 99)

BEYOND = 2
"""Values that must lie beyond a percentile before it can be judged."""


@dataclass(frozen=True)
class Spread:
    """Draws of one figure, as differences of logarithms from the figure itself."""

    draws: Floats
    variance: float
    """Of the figure's logarithm, corrected for few blocks."""
    freedom: int
    """Blocks less one."""


@dataclass(frozen=True)
class _Values:
    """Some values, each with the block it belongs to."""

    values: Floats
    blocks: NDArray[np.intp]


def spreads(level: Level, seed: int, *, brief: bool = False) -> dict[str, Spread]:
    """The spread of each figure by its name in the summary; throughput alone below two units.

    In `brief` of throughput and of the mean time from start to end alone.
    """
    done = [one for one in level.requests if one.state == "done" and one.times]
    done.sort(key=lambda request: (request.scheduled, request.id))
    blocks = units(done, level.concurrency)
    count = int(blocks[-1]) + 1 if done else 0
    if count < 2:
        return _by_time(level, done, seed)
    weights = _weights(count, np.random.default_rng([seed, level.id]))
    draws = _rates(done, blocks, weights)
    if brief:
        draws |= _spread_draws("e2e_s", _whole(done, blocks), weights, percents=())
    for name, values in ({} if brief else _latencies(done, blocks)).items():
        draws |= _spread_draws(name, values, weights)
    return {name: _spread(values, count) for name, values in draws.items()}


def sample_spreads(
    samples: Mapping[str, Sequence[float]], concurrency: int, seed: int
) -> dict[str, Spread]:
    """The spread of each figure that was made of such values, in the order in which they came.

    As of a level: what came together is drawn together. A rate of repetitions is their mean.
    """
    found: dict[str, Spread] = {}
    for place, (name, values) in enumerate(samples.items()):
        count = blocks_of(len(values), concurrency)
        if count < 2:
            continue
        blocks = np.arange(len(values)) * count // len(values)
        weights = _weights(count, np.random.default_rng([seed, place]))
        draws = _spread_draws(name, _Values(np.asarray(values, np.float64), blocks), weights)
        found |= {figure: _spread(drawn, count) for figure, drawn in draws.items()}
        if f"{name}.mean" in found:
            found[name] = found[f"{name}.mean"]
    return found


def units(done: Sequence[Request], concurrency: int) -> NDArray[np.intp]:
    """The independent unit that each completed request belongs to, from 0; they are in the order
    of their start."""
    if not done:
        return np.empty(0, np.intp)
    begun = np.array([one.scheduled for one in done])
    ended = np.array([one.ended or one.times[-1] for one in done])
    gaps = begun[1:] >= np.maximum.accumulate(ended)[:-1]  # nothing was in flight
    waves = np.concatenate([[0], np.cumsum(gaps)])
    if int(np.bincount(waves).max()) <= max(concurrency, 1):
        return _joined(waves)
    together = float((ended - begun).sum()) / max(int(ended.max() - begun.min()), 1)
    count = blocks_of(len(done), min(math.ceil(together), concurrency))
    return np.arange(len(done)) * max(count, 1) // len(done)


def _joined(waves: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most `MOST_BLOCKS` of them, neighbours together."""
    count = int(waves[-1]) + 1
    return waves * min(count, MOST_BLOCKS) // count


def blocks_of(requests: int, together: int) -> int:
    """How many blocks completed requests make, so many of which ran together."""
    return min(requests // max(together, 1), MOST_BLOCKS)


def _by_time(level: Level, done: Sequence[Request], seed: int) -> dict[str, Spread]:
    """Throughput alone, by stretches of the level: of all requests, also those cut off."""
    served = [one for one in level.requests if one.times and not one.summed]
    if 2 * len(done) < 3 * max(level.concurrency, 1):
        return {}  # one wave, of which nobody knows what the next would be
    times = np.concatenate([np.frombuffer(one.times, np.int64) for one in served])
    counts = np.concatenate([np.frombuffer(one.counts, np.int32) for one in served])
    begun = min(one.scheduled for one in served)
    edges = np.linspace(begun, max(int(times.max()), begun + 1), STRETCHES + 1)
    tokens, _ = np.histogram(times, edges, weights=counts)
    if float(tokens.min()) <= 0:
        return {}
    weights = _weights(STRETCHES, np.random.default_rng([seed, level.id]))
    return {"output_tok_s": _spread(_logs(weights @ tokens), STRETCHES)}


def _weights(count: int, random: np.random.Generator) -> Floats:
    """How often each block was drawn: (DRAWS, count); the first row is the level as it was."""
    drawn = random.multinomial(count, np.full(count, 1 / count), size=DRAWS)
    return np.vstack([np.ones((1, count)), drawn]).astype(np.float64)


def _spread(draws: Floats, count: int) -> Spread:
    variance = float(np.var(draws)) * count / (count - 1)
    return Spread(draws, variance, count - 1)


def _rates(done: list[Request], blocks: NDArray[np.intp], weights: Floats) -> dict[str, Floats]:
    """Throughput by Little's law: tokens and requests per second of a taken slot."""
    count = weights.shape[1]
    taken = [((one.ended or one.times[-1]) - one.scheduled) / SECOND for one in done]
    busy = weights @ np.bincount(blocks, np.maximum(taken, 1e-9), count)
    tokens = weights @ np.bincount(blocks, [one.tokens for one in done], count)
    requests = weights @ np.bincount(blocks, minlength=count).astype(np.float64)
    rates = {"request_s": requests / busy}
    if float(tokens.min()) > 0 and all(map(counted, done)):
        rates["output_tok_s"] = tokens / busy
    return {name: _logs(drawn) for name, drawn in rates.items()}


def _latencies(done: list[Request], blocks: NDArray[np.intp]) -> dict[str, _Values]:
    """The values behind each latency figure, in seconds."""
    scheduled = np.array([one.scheduled for one in done])
    begun = np.array([first_token(one) is not None for one in done])
    first = np.array([one.times[0] for one in done])
    last = np.array([one.times[-1] for one in done])
    tokens = np.array([one.tokens for one in done])
    several = np.array([tpot(one) is not None for one in done])
    paces = (last - first)[several] / SECOND / (tokens[several] - 1)
    return {
        "ttft_s": _Values((first - scheduled)[begun] / SECOND, blocks[begun]),
        "tpot_s": _Values(paces, blocks[several]),
        "itl_s": _gaps(done, blocks),
        "e2e_s": _whole(done, blocks),
    }


def _whole(done: list[Request], blocks: NDArray[np.intp]) -> _Values:
    """From start to the last token, in seconds."""
    taken = np.array([one.times[-1] - one.scheduled for one in done])
    return _Values(taken / SECOND, blocks)


def _gaps(done: list[Request], blocks: NDArray[np.intp]) -> _Values:
    gaps, sizes = pooled_gaps(done)
    return _Values(gaps, np.repeat(blocks, sizes))


def _spread_draws(
    name: str, values: _Values, weights: Floats, percents: Sequence[int] = PERCENTS
) -> dict[str, Floats]:
    """Draws of the mean and of each percentile that has values enough beyond it."""
    count, total = weights.shape[1], len(values.values)
    numbers = weights @ np.bincount(values.blocks, minlength=count).astype(np.float64)
    if total == 0 or float(numbers.min()) == 0:
        return {}
    figures = {f"{name}.mean": weights @ np.bincount(values.blocks, values.values, count) / numbers}
    judged = [percent for percent in percents if total * (100 - percent) >= 100 * BEYOND]
    figures |= _percentile_draws(name, values, weights, judged) if judged else {}
    return {name: _logs(drawn) for name, drawn in figures.items() if float(drawn.min()) > 0}


def _percentile_draws(
    name: str, values: _Values, weights: Floats, percents: list[int]
) -> dict[str, Floats]:
    """Percentiles by linear interpolation over values rounded to at most `BINS` of them."""
    levels = np.unique(np.quantile(values.values, np.linspace(0, 1, BINS), method="nearest"))
    places = np.searchsorted(levels, values.values)
    cells = values.blocks * len(levels) + np.minimum(places, len(levels) - 1)
    shape = (weights.shape[1], len(levels))
    histogram = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
    below = weights @ np.cumsum(histogram, axis=1).astype(np.float64)
    return {f"{name}.p{percent}": _read(below, levels, percent) for percent in percents}


def _read(below: Floats, levels: Floats, percent: int) -> Floats:
    """The percentile of each row: `below` counts the values up to each level."""
    place = (below[:, -1] - 1) * percent / 100
    low = np.floor(place)
    at_low = levels[_passed(below, low)]
    at_high = levels[_passed(below, np.minimum(low + 1, below[:, -1] - 1))]
    read: Floats = at_low + (at_high - at_low) * (place - low)
    return read


def _passed(below: Floats, most: Floats) -> NDArray[np.intp]:
    """How many entries of each rising row are at most `most`: all rows are halved at once."""
    rows = np.arange(len(below))
    first, last = np.zeros_like(rows), np.full_like(rows, below.shape[1])
    for _ in range(below.shape[1].bit_length()):
        middle = (first + last) // 2
        within = (first < last) & (below[rows, np.minimum(middle, below.shape[1] - 1)] <= most)
        first, last = np.where(within, middle + 1, first), np.where(within, last, middle)
    return first


def _logs(figures: Floats) -> Floats:
    """Logarithms of the draws less that of the level as it was."""
    logs = np.log(figures)
    difference: Floats = logs[1:] - logs[0]
    return difference

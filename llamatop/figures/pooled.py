"""The gaps between tokens of many requests at once, as columns; of one: `requests.gaps`."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llamatop.events.clock import SECOND
from llamatop.session.requests import Request

Floats = NDArray[np.float64]

PART = 1024
"""Requests whose times are held a second time while their gaps are made."""


def all_gaps(requests: Sequence[Request], part: int = PART) -> array[float]:
    """Inter-token latencies in seconds of all requests, a request after the other."""
    found = array("d")
    for start in range(0, len(requests), part):
        found.frombytes(pooled_gaps(requests[start : start + part])[0].tobytes())
    return found


def pooled_gaps(requests: Sequence[Request]) -> tuple[Floats, NDArray[np.intp]]:
    """Inter-token latencies in seconds (`requests.gaps`) of all; how many each request has."""
    sizes = np.array([0 if one.summed else len(one.times) for one in requests], dtype=np.intp)
    if not sizes.sum():
        return np.empty(0), np.zeros(len(sizes), np.intp)
    timed = [one for one in requests if not one.summed]
    times = np.concatenate([np.frombuffer(one.times, np.int64) for one in timed])
    counts = np.concatenate([np.frombuffer(one.counts, np.int32) for one in timed])
    within = np.ones(len(times), np.bool_)
    within[(np.cumsum(sizes) - sizes)[sizes > 0]] = False
    counts = counts[within].astype(np.intp)
    gaps: Floats = np.diff(times, prepend=0)[within] / SECOND / np.maximum(counts, 1)
    several = np.maximum(sizes - 1, 0)
    if int(counts.max(initial=1)) == 1 == int(counts.min(initial=1)):
        return gaps, several
    owners = np.repeat(np.arange(len(sizes)), several)
    numbers = np.bincount(owners, counts, len(sizes)).astype(np.intp)
    return np.repeat(gaps, counts), numbers

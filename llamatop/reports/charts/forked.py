"""Jobs shared out among copies of this process. Knows nothing of what they do.

A copy has only the thread that made it, so a job may wait for no other: it uses no polars.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

T = TypeVar("T")

MOST = 4
"""Processes that are worth their start, for some seconds of work."""

_jobs: Sequence[Callable[[], Any]] = ()
"""What a copy is there for: handed over by being copied, where the results are pickled."""


def processes() -> int:
    """How many can work at once; 1 where a process with threads cannot be copied safely."""
    return min(len(os.sched_getaffinity(0)), MOST) if sys.platform == "linux" else 1


def every(jobs: Sequence[Callable[[], T]], at_once: int) -> list[T]:
    """What each job returns, done by so many processes; raises what one raises.

    Where a copy dies, or there is no memory for one, all is done again here.
    """
    copies = min(at_once, len(jobs))
    if copies > 1:
        try:
            with (
                warnings.catch_warnings(action="ignore", category=DeprecationWarning),  # threads
                ProcessPoolExecutor(copies, get_context("fork"), _begin, (jobs,)) as pool,
            ):
                return list(pool.map(_do, range(len(jobs))))
        except (OSError, BrokenProcessPool):
            pass
    return [job() for job in jobs]


def _begin(jobs: Sequence[Callable[[], Any]]) -> None:
    global _jobs  # noqa: PLW0603
    _jobs = jobs
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process is asked, and ends them


def _do(place: int) -> Any:
    return _jobs[place]()

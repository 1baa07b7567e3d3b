"""Jobs shared out among copies of this process. Knows nothing of what they do.

A copy has only the thread that made it, so a job may wait for no other: it uses no polars.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")

MOST = 4
"""Processes that are worth their start, for some seconds of work."""


def processes() -> int:
    """How many can work at once; 1 where a process with threads cannot be copied safely."""
    return min(len(os.sched_getaffinity(0)), MOST) if sys.platform == "linux" else 1


def every(jobs: Sequence[Callable[[], T]], at_once: int) -> list[T]:
    """What each of at most 256 jobs returns, done by so many processes; raises what one raises.

    A copy's results are pickled. What it fails at or does not tell is done here again: a job may
    be done twice.
    """
    turns, given = os.pipe()
    with open(turns, "rb", buffering=0) as line:  # noqa: PTH123  (a byte a job: who reads it does it)
        os.write(given, bytes(range(len(jobs))))
        os.close(given)
        told: list[dict[int, T]] = []
        copies = _copies(jobs, line.fileno(), min(at_once, len(jobs)) - 1)
        try:
            done = {place: jobs[place]() for place in _turns(line.fileno())}
        finally:
            line.read()  # nobody begins another job
            told += map(_told, copies)
    for results in told:
        done |= results
    return [done[place] if place in done else job() for place, job in enumerate(jobs)]


class _Copy(NamedTuple):
    process: int
    answers: int
    """A pipe to read its results from, until it ends."""


def _copies(jobs: Sequence[Callable[[], T]], turns: int, wanted: int) -> list[_Copy]:
    """As many as there is memory for."""
    copies = []
    for _ in range(wanted):
        answers, end = os.pipe()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of threads that stay behind
                process = os.fork()
        except OSError:
            os.close(answers)
            os.close(end)
            break
        if process == 0:
            _work(jobs, turns, end)
        os.close(end)
        copies.append(_Copy(process, answers))
    return copies


def _work(jobs: Sequence[Callable[[], T]], turns: int, end: int) -> None:
    """The life of a copy: it returns to nobody, and is silent when it fails."""
    done = {}
    try:
        for place in _turns(turns):
            done[place] = jobs[place]()
    finally:
        try:
            with open(end, "wb") as file:
                pickle.dump(done, file)
        finally:
            os._exit(0)


def _turns(turns: int) -> Iterator[int]:
    while one := os.read(turns, 1):
        yield one[0]


def _told(copy: _Copy) -> dict[int, T]:
    """Results by the job's place; those of a copy that died are lost."""
    with open(copy.answers, "rb") as file:  # noqa: PTH123
        text = file.read()
    os.waitpid(copy.process, 0)
    with contextlib.suppress(EOFError, pickle.UnpicklingError):
        return dict(pickle.loads(text))
    return {}

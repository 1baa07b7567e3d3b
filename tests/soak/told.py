"""What a part of the soak found so far, and how it is added up over the times that it was run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

Facts = dict[str, float]
"""By name; `done` are the units. `most...` is the largest of a name, every other a sum."""

DESCRIPTORS, THREADS = 8, 4
"""Libraries keep a few of each, which they open once."""


class Part(NamedTuple):
    """One part: its units, what yields the facts of each, and what they come to."""

    units: Callable[[argparse.Namespace], int]
    run: Callable[[argparse.Namespace, Path, int], Iterator[Facts]]
    """The last argument: how many are done."""
    held: Callable[[Facts], bool]
    text: Callable[[Facts], str]


def added(so_far: Facts, more: Facts) -> Facts:
    """Both together."""
    both = dict(so_far)
    for name, value in more.items():
        before = both.get(name, 0.0)
        both[name] = max(before, value) if name.startswith("most") else before + value
    return both


class Held(NamedTuple):
    """What this process holds."""

    descriptors: int
    threads: int
    processes: int

    @classmethod
    def now(cls) -> Held:
        """Of this moment."""
        me = psutil.Process()
        return cls(me.num_fds(), me.num_threads(), len(me.children(recursive=True)))

    def kept(self) -> Facts:
        """What has been added since, and was not given back."""
        now = self.now()
        return {
            "descriptors": now.descriptors - self.descriptors,
            "threads": now.threads - self.threads,
            "processes": now.processes - self.processes,
        }


def given_back(facts: Facts) -> bool:
    """Whether nothing grew but what libraries keep."""
    return (
        facts.get("descriptors", 0) <= DESCRIPTORS
        and facts.get("threads", 0) <= THREADS
        and facts.get("processes", 0) <= 0
    )


def rest(facts: Facts) -> str:
    """What was left in the end, in words."""
    return (
        f"left in the end: {facts.get('descriptors', 0):+.0f} descriptors, "
        f"{facts.get('threads', 0):+.0f} threads, {facts.get('processes', 0):+.0f} processes"
    )

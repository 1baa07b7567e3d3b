"""Reads on in a recording that is being made, in a thread, until it is whole or its writer is gone.

Whoever follows takes what has come, a block at a time. Knows no screen and no session.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
from polars.exceptions import PanicException, PolarsError

from llamatop.errors import InputError
from llamatop.recording.bounds import sound
from llamatop.recording.checks import check_version
from llamatop.recording.growing import GROWS, being_recorded, elsewhere
from llamatop.recording.parquet import open_table
from llamatop.recording.reader import recording_of
from llamatop.recording.schema import block_of, from_blob
from llamatop.recording.tail import Tail
from llamatop.session.blocks import Block

LOOK_SECONDS = 0.1
"""How often is looked for more."""

QUIET_SECONDS = 1.0
"""After so long without anything new it is asked whether the writer lives."""

State = Literal["growing", "whole", "cut off", "gone"]
"""Being made; its Parquet file is there; its writer is gone; so is what it wrote."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d-\d{6}-")
"""How a default name begins; the rest may change when the model's name is known."""


class Follower:
    """What a journal holds and goes on to hold. `path` is the recording's, which may change."""

    def __init__(self, tail: Tail) -> None:
        """Reads what is there now. InputError where a newer version writes it."""
        self.path = recording_of(tail.path)
        self.state: State = "growing"
        self.facts: dict[str, str] = {}
        """Of the recording, once it is whole."""
        self._tail = tail
        self._latest = 0
        self._heard = time.monotonic()
        self._blocks: deque[Block] = deque(self._read())
        if tail.head is not None:
            check_version(tail.path, str(tail.head.schema))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def take(self) -> list[Block]:
        """The blocks that have come, in order; never waits."""
        return [self._blocks.popleft() for _ in range(len(self._blocks))]

    @property
    def silent(self) -> float:
        """Seconds since something came."""
        return time.monotonic() - self._heard

    @property
    def host(self) -> str:
        """The other machine on which it is made; empty: this one, or not told."""
        return elsewhere(self._tail.head)

    def close(self) -> None:
        """Follow no more."""
        self._closing.set()
        self._thread.join()
        self._tail.close()

    def _run(self) -> None:
        while self.state in ("growing", "cut off") and not self._closing.wait(LOOK_SECONDS):
            try:
                self._look()
            except OSError:  # of a file system that is away for a while
                continue
            except Exception:  # whoever follows is not left waiting for more
                self.state = "gone"

    def _look(self) -> None:
        there = self._tail.in_place  # asked first: what is removed is not written any more
        for block in self._read():
            self._heard = time.monotonic()
            self._blocks.append(block)
        if not there:
            self._find()
        elif self.silent > QUIET_SECONDS:
            self.state = "growing" if self._is_alive() else "cut off"

    def _is_alive(self) -> bool:
        return self._tail.held or (self.host != "" and self.silent < 2 * GROWS)

    def _read(self) -> Iterator[Block]:
        """What is new; what fits no event, or cannot be decoded, is left out as from any file."""
        for blob in self._tail.take():
            try:
                block, _ = block_of(from_blob(blob))
            except (PolarsError, PanicException, ValueError):
                continue
            block, _ = sound(block, self._latest)
            times = np.frombuffer(block.times, np.int64)
            self._latest = max(self._latest, int(times.max(initial=0)))
            yield block

    def _find(self) -> None:
        """The whole recording, of which the journal was."""
        known = self._tail.digest.hex()
        for path in self._names():
            with suppress(InputError):
                facts = open_table(path).facts
                if facts.get("journal") == known:
                    self.path, self.facts, self.state = path, facts, "whole"
                    return
        self.state = "gone"

    def _names(self) -> Iterator[Path]:
        """Where it may be: a default name gets its model's when that is known."""
        yield self.path
        if begin := _TIME.match(self.path.name):
            yield from self.path.parent.glob(f"{begin[0]}*.parquet")


def follow(path: str | Path) -> Follower | None:
    """A recording that is being made; None where nobody makes it now.

    Raises InputError where a newer version does.
    """
    tail = being_recorded(recording_of(path))
    return None if tail is None else Follower(tail)

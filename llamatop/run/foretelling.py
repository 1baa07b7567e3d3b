"""What is foretold of a run, asked for beside its load, and told as events when it is there.

Knows when it was asked and what became of it; nothing of engines, nor of what comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llamatop.events.clock import SECOND, Clock
from llamatop.events.kinds import Event, MemoryPredicted, MemoryUntold
from llamatop.settings.config import RunConfig

if TYPE_CHECKING:
    from llamatop.predict.child import Asker
    from llamatop.predict.memory import Foretold

PATIENCE_SECONDS = 5
"""How long a loaded model waits for what is foretold of it."""

WENT_ON = "that takes longer than the load; the first level begins without"

Prepare = Callable[[RunConfig, Callable[[], int]], "Foretold"]


class Foretelling:
    """Of one run; belongs to the thread that drains it. `prepare` is called in another thread."""

    def __init__(self, config: RunConfig, prepare: Prepare | None, clock: Clock) -> None:
        self._config = config
        self._prepare = prepare
        self._clock = clock
        self._asker: Asker | None = None
        self._found: Foretold | None = None
        self._failure = ""
        """Why it could not be asked for."""
        self._untold: list[Event] = []
        """That it is not known: told when a level begins, since a model may be refused before."""
        self._told: tuple[int, int] | None = None
        """The level whose peak was foretold last, and its concurrency."""
        self._went_on = False
        """Whether the run began without waiting any longer."""

    def start(self) -> None:
        """Ask, in a thread."""
        if self._prepare is None:
            return
        from llamatop.predict.child import Asker  # noqa: PLC0415  (not for the first paint)

        self._asker = Asker(self._ask)
        self._asker.start()

    def _ask(self) -> None:
        if self._prepare is not None:
            try:
                self._found = self._prepare(self._config, self._clock.now)
            except Exception as error:  # a run goes on without what could not be foretold
                self._failure = f"asking for it failed ({type(error).__name__}); it goes on without"

    def take_back(self) -> None:
        """Nobody waits for it any more."""
        if self._asker is not None:
            self._asker.take_back()

    def look(self, loaded_at: int | None) -> list[Event]:
        """What there is to tell of it now; `loaded_at`: when a model came that has no level."""
        told: list[Event] = []
        if self._asker is not None and not self._asker.is_alive():
            events = self._found.events if self._found is not None else ()
            told += [event for event in events if not isinstance(event, MemoryUntold)]
            self._untold = [event for event in events if isinstance(event, MemoryUntold)]
            if self._failure:
                self._untold.append(MemoryUntold(self._clock.now(), self._failure))
            self._asker = None
        if self._asker is not None and loaded_at is not None and not self._went_on:
            now = self._clock.now()
            if now - loaded_at > PATIENCE_SECONDS * SECOND:
                self._went_on = True
                told.append(MemoryUntold(now, WENT_ON))
        return told

    @property
    def asking(self) -> bool:
        """Whether another process still works it out."""
        return self._asker is not None

    @property
    def settled(self) -> bool:
        """Whether a level may begin: it was asked, or it takes long and serves later levels."""
        return self._asker is None or self._went_on

    def take_untold(self) -> list[Event]:
        """That it is not known, once."""
        told, self._untold = self._untold, []
        return told

    def level(self, level: int, concurrency: int, packed: bool) -> list[Event]:
        """The peak of a level, once; of one that a person made, when it has begun. `packed`:
        whether the weights were."""
        if self._told == (level, concurrency):
            return []
        self._told = (level, concurrency)
        peak = self._found.peak(concurrency, packed) if self._found is not None else None
        if peak is None:
            return []
        now = self._clock.now()
        return [MemoryPredicted(now, level, peak.host_bytes, peak.device_bytes, peak.parts)]

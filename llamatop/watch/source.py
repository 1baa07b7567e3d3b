"""A watch as a source of events, where nothing is driven. Knows no screen and no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from llamatop import __version__
from llamatop.events.clock import SECOND, MonotonicClock
from llamatop.events.kinds import Event, Outcome, RunEnded, RunStarted, Tick
from llamatop.hardware.host import host_facts
from llamatop.settings.config import RunConfig
from llamatop.watch.lookout import EVERY, HURRIED, LAST_LOOK, Lookout


class Watch:
    """Watches the servers of a config; a `pump.Source`."""

    def __init__(
        self, config: RunConfig, headers: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        """`headers`: what is sent to each address with every question, a key perhaps."""
        self.config = config
        self.clock = MonotonicClock()
        self._lookout = Lookout(config, self.clock, headers)
        self._own: list[Event] = []
        self._finished = False
        self._owed: Outcome | None = None
        """How it ended, as long as the last look is waited for."""
        self._ticked = -EVERY

    def start(self) -> None:
        """Begin; returns at once."""
        now, at = self.clock.now(), datetime.now(UTC).isoformat(timespec="seconds")
        facts, origin = host_facts(), self.clock.origin
        self._own.append(RunStarted(now, self.config, facts, __version__, at, origin))
        self._lookout.start()

    def drain(self) -> Sequence[Event]:
        """What has arrived; a tick a second keeps the session's time moving."""
        over = self._lookout.over
        events = [*self._take_own(), *self._lookout.drain()]
        now, most = self.clock.now(), self.config.max_time
        if not self._finished and most is not None and now >= most * SECOND:
            self._finish("ok", LAST_LOOK)
        elif self._owed is not None and over:
            self._own.append(RunEnded(now, self._owed))
            self._owed = None
        if not self._finished and now - self._ticked >= EVERY:
            self._ticked = now
            events.append(Tick(now))
        return [*events, *self._take_own()]

    @property
    def waiting(self) -> int:
        """Events that have arrived since the last drain."""
        return self._lookout.waiting

    @property
    def ended(self) -> bool:
        """Whether the last event has been drained."""
        return self._finished and self._owed is None and not self._own

    def stop(self) -> None:
        """End the watch; its last event follows."""
        self._finish("stopped", HURRIED)

    def close(self) -> None:
        """Let the threads end; they take no longer than an answer."""
        self._lookout.close()

    def resize(self, concurrency: int) -> None:
        """Nothing: the load is not ours."""

    def pause(self, paused: bool) -> None:
        """Nothing: the load is not ours."""

    def cancel(self, request: int) -> None:
        """Nothing: the load is not ours."""

    def sweep(self, levels: tuple[int, ...]) -> None:
        """Nothing: the load is not ours."""

    def _finish(self, outcome: Outcome, patience: int) -> None:
        """Ask for the last look; the last event follows it."""
        if not self._finished:
            self._lookout.finish(patience)
            self._finished, self._owed = True, outcome

    def _take_own(self) -> list[Event]:
        events, self._own = self._own, []
        return events

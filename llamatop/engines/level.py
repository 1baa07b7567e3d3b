"""One level from its start to its end, on whatever engine: warm-up, measured work, outcome.

Knows the order of things and the peaks to take; not how tokens are made or who asked.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from llamatop.engines.arrivals import arrivals
from llamatop.engines.base import Engine, EngineMemoryError, LevelError
from llamatop.engines.outbox import Outbox
from llamatop.engines.sizes import Sizes
from llamatop.engines.talks import Talks
from llamatop.engines.work import Plan, Work
from llamatop.events.clock import Clock
from llamatop.events.kinds import EndedBy, EngineWarmed, LevelEnded, LevelStarted, Outcome
from llamatop.events.wire import RunLevel
from llamatop.hardware.memory import give_back, peak_bytes, reset_peak, resident_bytes, total
from llamatop.settings.config import RunConfig

WARMUP_TOKENS = 4
"""Output tokens of a warm-up request, at most."""


class LevelRun:
    """Runs one level in the calling thread; the other methods may be called from any."""

    def __init__(
        self, engine: Engine, config: RunConfig, command: RunLevel, clock: Clock, outbox: Outbox
    ) -> None:
        self._engine = engine
        self._config = config
        self._sizes = Sizes(config, engine.given)
        self._planned = command
        self._clock = clock
        self._outbox = outbox
        self._ids = itertools.count(command.first_request)
        self._level = command.level
        self._concurrency = command.concurrency
        """Of the level that runs."""
        self._wanted = command.concurrency
        """What a person asked for last, which the next request to start will have."""
        self._paused = False
        self._stopped = False
        self._peaks_known = False
        self._here = config.engine != "server"
        """Whether the model is in this process; else the peaks here are not the model's."""
        self._pids = (None, *engine.followers)
        """Processes that hold the model; None: this one."""
        self._work: Work | None = None
        self._begun = False
        self._over = False
        self._turn = threading.Lock()
        """Held while one level ends and another begins, and while work is made for one."""

    def run(self, first: bool) -> None:
        """Run to the end; `first` also tells what the engine takes after its first warm-up."""
        with self._turn:
            self._begun = True
            self._start(self._planned.requests)
        outcome: Outcome = "ok"
        error = ""
        try:
            self._serve(self._warmup)
            if first:
                self._outbox.put(EngineWarmed(self._clock.now(), self._resident()))
            self._serve(self._measured)
        except EngineMemoryError as problem:
            outcome, error = "oom", str(problem)
        except LevelError as problem:
            outcome, error = "failed", str(problem)
        except Exception as problem:  # whatever a library raises ends this level, not the run
            outcome, error = "failed", f"{type(problem).__name__}: {problem}"
        if self._work is not None and self._work.gave_up and not error:
            outcome, error = "failed", self._work.gave_up
        if self._work is not None and error:
            self._work.stop()
            self._work.fail_rest(error)
        with self._turn:
            self._over = True
            if outcome == "ok" and self._stopped:
                outcome = "stopped"
            elif outcome == "ok" and self._work is not None and self._work.all_failed:
                outcome, error = "failed", f"every request failed: {self._work.all_failed}"
            self._end(outcome, error, self._work if outcome == "ok" else None)

    def resize(self, concurrency: int) -> None:
        """Another number of requests in flight, as a level of its own when one has started.

        So a level without a request is none. One that has not begun, or is at its warm-up, becomes
        the one that is wanted.
        """
        with self._turn:
            self._wanted = concurrency
            if not self._begun:
                self._concurrency = concurrency
            elif self._work is not None and not self._work.plan.warmup:
                same = concurrency == self._concurrency
                self._work.resize(concurrency, None if same else self._open)

    def _open(self, at: int) -> int:
        """The level that is wanted begins, and the one that runs ends (ns); its number.

        Called by the work, while it starts a request.
        """
        if self._work is not None and self._work.begun:
            self._end("ok", "", at=at, ended_by="concurrency")
            self._level += 1
        self._concurrency = self._wanted
        self._start(self._left(), at)
        return self._level

    def pause(self, paused: bool) -> None:
        """Hold admission back, or let it go on."""
        with self._turn:
            self._paused = paused
            if self._work is not None:
                self._work.pause(paused)

    def cancel(self, request: int) -> None:
        """Take one request back."""
        if self._work is not None:
            self._work.cancel(request)

    def stop(self) -> None:
        """End now."""
        with self._turn:
            self._stopped = True
            if self._work is not None:
                self._work.stop()

    def _warmup(self) -> Plan:
        return Plan(
            self._level,
            self._concurrency,
            requests=self._concurrency,
            size=lambda place: self._sizes.warmup(place, WARMUP_TOKENS),
            warmup=True,
        )

    def _measured(self) -> Plan:
        if self._wanted != self._concurrency:  # changed while it warmed up: it begins anew
            self._concurrency = self._wanted
            self._start(self._planned.requests)
        return Plan(
            self._level,
            self._concurrency,
            requests=self._planned.requests,
            size=self._sizes.at,
            max_time=self._config.max_time,
            arrivals=arrivals(self._config, self._level, self._sizes.times),
            until_ci=self._config.until_ci,
            talks=Talks(self._sizes.turns, self._sizes.turn) if self._config.talks else None,
            keep_text=self._config.text,
        )

    def _resident(self) -> int | None:
        return total(map(resident_bytes, self._pids)) if self._here else None

    def _left(self) -> int | None:
        """Measured requests that have not yet started."""
        if self._work is None or self._work.plan.warmup:
            return self._planned.requests
        return self._work.left

    def _serve(self, plan: Callable[[], Plan]) -> None:
        with self._turn:
            work = self._work = Work(plan(), self._ids, self._clock, self._outbox)
            if self._paused:
                work.pause(True)
            if self._stopped:
                work.stop()
        self._engine.serve(work)
        work.drop_rest()

    def _start(self, requests: int | None, at: int | None = None) -> None:
        if self._work is None:  # nothing runs that would have to wait
            give_back()
        known = [reset_peak(pid) for pid in self._pids]
        self._peaks_known = all(known) and self._here
        self._engine.reset_peaks()
        planned = self._planned
        self._outbox.put(
            LevelStarted(
                self._clock.now() if at is None else at,
                self._level,
                self._concurrency,
                requests,
                place=planned.place,
                places=planned.places,
                rate=planned.rate,
            )
        )

    def _end(
        self,
        outcome: Outcome,
        error: str,
        work: Work | None = None,
        *,
        at: int | None = None,
        ended_by: EndedBy = "",
    ) -> None:
        """Tell the end, and what there was enough of, where `work` came to its own end."""
        self._outbox.put(
            LevelEnded(
                self._clock.now() if at is None else at,
                self._level,
                outcome,
                host_peak_bytes=total(map(peak_bytes, self._pids)) if self._peaks_known else None,
                device_peak_bytes=self._engine.device_peak(),
                error=error,
                ended_by=work.ended_by if work else ended_by,
                enough_at=work.enough_at if work else None,
            )
        )

"""A run without a screen: pump events, tell progress on stderr, hand back the session.

Knows no engine and no file; stopping is asked for by signals.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from llamatop.errors import InputError
from llamatop.events.clock import SECOND
from llamatop.events.kinds import AlertChanged
from llamatop.events.sanitize import one_line
from llamatop.figures.levels import level_figures
from llamatop.figures.progress import completed_requests
from llamatop.figures.requests import current_rate, tpot, ttft
from llamatop.reports.level_text import ended_text, steady_text
from llamatop.reports.run_text import headline, never_reached_text
from llamatop.reports.servers import CLIENT, ROUGH, is_client_bound, ready_text, server_notes
from llamatop.reports.slow import slow_dtype
from llamatop.reports.tuned import tuned_words
from llamatop.run.live import LiveRun
from llamatop.run.pump import Pump
from llamatop.run.shelf import Shelf
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request
from llamatop.settings.servers import host_of
from llamatop.text.formatting import clock, number, size, whole

STEP_SECONDS = 0.1
"""How often events are moved."""

SHOWN_SECONDS = 0.5
"""How often progress is told to a terminal; to a file, a line a level is enough."""

_ROW = 79
"""Characters of a row that is drawn again and again: a longer one would not be taken away."""
_DOING = {"packing": "laying weights out", "quantizing": "storing weights in fewer bits"}

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

PATIENCE = 1.0
"""Seconds after the first signal from which another one ends the process."""

AT_ONCE = (
    b"\nllamatop: ended at once; what was recorded is in its journal: `llamatop replay` with the "
    b"recording's name recovers it\n"
)


class Signals:
    """Remembers the first signal that asked this run to stop; a later one ends it at once.

    A second one within `PATIENCE` does not hurry it: the recording is being finished, and an
    impatient Ctrl-C would leave its journal instead. After that it always ends the process,
    whatever the main thread waits for: the signals reach a thread of their own.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self._since = 0.0

    def __enter__(self) -> Signals:
        """Take over the stopping signals."""
        reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()
        self._wakened = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _heard) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        """Give them back."""
        signal.set_wakeup_fd(self._wakened)
        for number_, handler in self._before.items():
            signal.signal(number_, handler)
        self._writer.close()

    def _watch(self, reader: socket.socket) -> None:
        with reader:
            while heard := reader.recv(1):
                if heard[0] in SIGNALS:
                    self._catch(heard[0])

    def _catch(self, number_: int) -> None:
        if self.caught is None:
            self.caught, self._since = number_, time.monotonic()
        elif time.monotonic() - self._since > PATIENCE:
            os.write(2, AT_ONCE)
            os._exit(128 + number_)


def _heard(number_: int, frame: FrameType | None) -> None:
    """Nothing: it is told to a thread."""


def run(live: LiveRun, pump: Pump, signals: Signals, shelf: Shelf, verbose: bool = False) -> None:
    """Run to the end, or until a signal is caught. `verbose` tells of each request.

    What is over goes to the `shelf`, which has the whole session.
    """
    progress = Progress(verbose, shelf)
    try:
        live.start()
        while not live.ended:
            if signals.caught is not None:
                live.stop()
            time.sleep(STEP_SECONDS)
            pump.step()
            progress.show(pump.session, [sink.error for sink in pump.sinks])
            shelf.lighten(pump.session)
    finally:
        live.close()
        progress.clear()


class Progress:
    """One line on stderr that is redrawn, and a lasting line for what should be remembered."""

    def __init__(self, verbose: bool = False, shelf: Shelf | None = None) -> None:
        self._verbose = verbose
        self._shelf = shelf
        self._terminal = sys.stderr.isatty()
        self._told: set[object] = set()
        self._requests: set[int] = set()
        """Those of the session's that were told."""
        self._next = 0.0

    def show(self, session: Session, errors: list[str | None]) -> None:
        """Tell what is new."""
        for error in errors:
            if error and self._is_new(error):
                self._line(f"recording stopped: {error}")
        if session.serving is not None and self._is_new("serving"):
            self._line(f"serving: {one_line(session.serving.command)}")
        if session.ready is not None and self._is_new("ready"):
            self._line(ready_text(session))
        if session.model is not None and self._is_new("model"):
            self._line("\n".join([headline(session), *server_notes(session)]))
            if slow := slow_dtype(session):
                self._line(slow)
        tuned = session.tuned if self._verbose else None
        if tuned is not None and self._is_new("tuned"):
            self._line(tuned_words(tuned))
        untold = session.unforetold if session.model is not None else None
        if untold is not None and self._is_new("untold"):
            self._line(f"memory not foretold: {untold.reason}")
        if self._verbose:
            self._show_requests(session)
        for alert in _broken(session):
            if self._is_new(("limit", alert.server, alert.rule, alert.time)):
                self._line(limit_line(session, alert))
        for level in session.levels.values():
            if level.ended is not None and self._is_new(level.id):
                self._line(self._level_line(session, level))
        if self._terminal and time.monotonic() >= self._next:
            self._next = time.monotonic() + SHOWN_SECONDS
            self._write(f"\r\033[K{state_line(session)}")

    def _show_requests(self, session: Session) -> None:
        self._requests &= session.requests.keys()
        for request in session.requests.values():
            if not request.active and request.id not in self._requests:
                self._requests.add(request.id)
                self._line(request_line(request))

    def _level_line(self, session: Session, level: Level) -> str:
        """Of all its requests, those that were put away too."""
        if self._shelf is None:
            return level_line(session, level)
        try:
            whole = self._shelf.whole(session, level.id)
        except InputError as error:  # the run goes on, and its recording
            return f"concurrency {level.concurrency}: {error}"
        return level_line(whole, whole.levels[level.id])

    def clear(self) -> None:
        """Take the redrawn line away."""
        if self._terminal:
            self._write("\r\033[K")

    def _is_new(self, key: object) -> bool:
        new = key not in self._told
        self._told.add(key)
        return new

    def _line(self, text: str) -> None:
        self._write(f"\r\033[K{text}\n" if self._terminal else f"{text}\n")

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            return


def request_line(request: Request) -> str:
    """A request that has ended in one line."""
    what = "warm-up" if request.warmup else "request"
    first, each = ttft(request), tpot(request)
    parts = [f"{request.tokens} of {whole(request.max_tokens)} tokens"]
    parts += [f"TTFT {number(first)} s"] if first is not None else []
    parts += [f"TPOT {number(each)} s"] if each is not None else []
    parts += [request.error] if request.error else []
    return f"{what} {request.id}: {request.state}, {', '.join(parts)}"


def level_line(session: Session, level: Level) -> str:
    """A finished level in one line."""
    figures = level_figures(session, level)
    if figures.memory_ended_in and not figures.completed:
        return (
            f"concurrency {level.concurrency}: out of memory in {figures.memory_ended_in}, "
            f"peak {size(figures.host_peak_bytes)}"
        )
    failed = f"{figures.failed} failed, " if figures.failed else ""
    until_ci = session.started.config.until_ci if session.started else None
    steady, why = figures.steady, ended_text(level.ended_by, until_ci)
    missed = never_reached_text(session, figures)
    return (
        f"concurrency {level.concurrency}: {level.outcome}, "
        f"{figures.completed} of {figures.requests} requests, {failed}"
        f"{ROUGH if figures.estimated else ''}{number(figures.output_rate)} tok/s"
        + (f", peak {size(figures.host_peak_bytes)}" if figures.host_peak_bytes else "")
        + (f", steady {steady_text(steady)}" if until_ci is not None and steady else "")
        + (f", ended by {why}" if why else "")
        + (f"; {missed}" if missed else "")
        + (f"; {CLIENT}" if is_client_bound(figures) else "")
    )


def _broken(session: Session) -> Iterator[AlertChanged]:
    """Limits that watched servers break now."""
    for server in session.watched.values():
        yield from server.alerts.values()


def limit_line(session: Session, alert: AlertChanged) -> str:
    """A limit that a server breaks, in one line."""
    urls = session.started.config.urls if session.started is not None else ()
    where = host_of(urls[alert.server]) if alert.server < len(urls) else f"server {alert.server}"
    return f"{where}: {alert.rule}, it is {number(alert.value)}"


def state_line(session: Session) -> str:
    """What is happening now."""
    level = session.level
    if session.model is None:
        return _loading_line(session)
    if level is None or session.started is None:
        return "starting"
    config = session.started.config
    of = "" if config.until_oom or config.until_slo else f" of {len(config.concurrency)}"
    what = _progress(session, level) if level.requests else "warming up"
    rate = number(current_rate(session, 2.0))
    elapsed = clock((session.now - level.started) / SECOND)
    where = f"level {level.id + 1}{of}, concurrency {level.concurrency}"
    return f"{where}: {what}, {rate} tok/s, {elapsed}"[:_ROW]


def _progress(session: Session, level: Level) -> str:
    """Requests that have completed, and apart from them those that did not."""
    done = completed_requests(session, level)
    undone = {"failed": level.failed, "cancelled": level.cancelled}
    told = [f"{count} {how}" for how, count in undone.items() if count]
    return ", ".join([f"{done} of {level.planned or '∞'} requests", *told])


def _loading_line(session: Session) -> str:
    loading = session.loading
    elapsed = clock(session.now / SECOND)
    if session.serving is not None and session.ready is None:
        said = f": {session.printed.line}" if session.printed else ""
        return f"{elapsed}, the server loads{said}"[:_ROW]
    if loading is None or loading.stage == "imports":
        return f"loading libraries, {elapsed}"
    if loading.stage == "tuning":
        return f"measuring what is quickest here, {elapsed}"
    of = "" if loading.total is None else f" of {size(loading.total)}"
    doing = _DOING.get(loading.stage, f"loading {loading.stage}")
    return f"{doing}: {size(loading.done)}{of}, {elapsed}"

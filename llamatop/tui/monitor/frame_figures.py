"""The figures of one frame, each worked out once however many panels show it.

A memo over `windows` and `recent`, for what is too dear for ten times a second. Knows when a
figure cannot have changed; works out none itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from llamatop.events.clock import SECOND
from llamatop.figures.arrivals import asked_rate, real_rate
from llamatop.figures.progress import finished_requests
from llamatop.figures.served import is_provisional, on_servers
from llamatop.session.known import BIN
from llamatop.session.reducer import Session
from llamatop.session.requests import Level
from llamatop.tui.monitor.log import Log
from llamatop.tui.monitor.recent import (
    Latency,
    Shares,
    level_before,
    recent_latency,
    recent_shares,
    with_completions,
)
from llamatop.tui.monitor.windows import PACE, level_goodput, level_rate, peak_rate, rate_now

if TYPE_CHECKING:
    from llamatop.figures.between import FirstToken
    from llamatop.figures.binding import Bound
    from llamatop.figures.levels import LevelFigures
    from llamatop.figures.serving import Load
    from llamatop.reports.origins import Origin
    from llamatop.tui.monitor.told_histories import History

_LATE = 5
"""Seconds for which a bin may still change: events of several processes interleave."""

T = TypeVar("T")


class Figures:
    """The figures of a session, kept for as long as they cannot have changed much.

    One object serves all frames of an app: `look` turns it to the session of the next one.
    """

    def __init__(self) -> None:
        self.session = Session()
        self._levels: dict[int, LevelFigures] = {}
        self._memo: dict[str, tuple[object, object]] = {}
        self._peak: tuple[int, float | None] = (0, None)
        """(bins looked at, the best second in them)."""
        self._tokens = (0, 0)
        """(bins that change no more, the tokens in them)."""
        self._log = Log()
        self._still = False

    def look(self, session: Session, still: bool = False) -> None:
        """Turn to a session; another object than before (a seek) forgets everything.

        `still`: it does not go on (a replay is paused), so all figures are of this moment.
        """
        self._still = still
        if session is not self.session:
            self.session = session
            self._levels.clear()
            self._memo.clear()
            self._peak = (0, None)
            self._tokens = (0, 0)
            self._log = Log()

    def log(self) -> Log:
        """What happened until now."""
        self._log.read(self.session)
        return self._log

    @property
    def slo(self) -> dict[str, float]:
        """The targets in seconds, by figure."""
        return self.session.started.config.slo if self.session.started else {}

    @property
    def level_told(self) -> Level | None:
        """The level whose figures are shown: the newest; after the end, that has completions."""
        session = self.session
        if session.ended is None:
            return session.level
        return self._once("level told", session.now, lambda: with_completions(session))

    def rate(self) -> float | None:
        """Output tokens per second now."""
        return self._once("rate", self.session.now, lambda: rate_now(self.session))

    def peak(self) -> float | None:
        """The most output tokens per second: of its best second, or of a level shorter than two.

        Never less than the mean that is shown beside it.
        """
        best = self._once("peak", self.session.now // BIN, self._new_peak)
        means = [self.average(), *(self.level(level).output_rate for level in self._short_levels())]
        return max((rate for rate in (best, *means) if rate is not None), default=None)

    def _short_levels(self) -> list[Level]:
        """Levels that no whole second, or hardly one, lies in."""
        levels = self.session.levels.values()
        return [one for one in levels if one.ended and one.ended - one.started < 2 * SECOND]

    def _new_peak(self) -> float | None:
        """The best so far against the seconds since; the last few are looked at again."""
        until, best = self._peak
        newest = peak_rate(self.session, max(until - _LATE * SECOND // BIN, 0))
        best = max((p for p in (best, newest) if p is not None), default=None)
        self._peak = (self.session.now // BIN, best)
        return best

    def tokens(self) -> int:
        """Output tokens of the run so far, warm-up included."""
        settled, total = self._tokens
        bins = self.session.token_bins
        older = max(len(bins) - _LATE * SECOND // BIN, settled)
        total += sum(bins[settled:older])
        self._tokens = (older, total)
        return total + sum(bins[older:])

    def rough(self) -> bool:
        """Whether the run's tokens are a guess: nobody counted some, or has not yet."""
        session = self.session
        if session.ended is None:
            return is_provisional(session)
        levels = session.levels.values()
        return self._once(
            "rough",
            session.now,
            lambda: on_servers(session) and any(self.level(level).estimated for level in levels),
        )

    def average(self) -> float | None:
        """Output tokens per second of the newest level; exact once it has ended."""
        level = self.level_told
        if level is not None and level.ended is not None:
            return self.level(level).output_rate
        key = (level.id if level else None, self._moment(BIN))
        return self._once("average", key, lambda: level_rate(self.session, level))

    def goodput(self) -> float | None:
        """Requests per second of the newest level that kept every target; exact at its end."""
        session, level = self.session, self.level_told
        if level is not None and level.ended is not None:
            return self.level(level).goodput
        key = (level.id if level else None, self._moment())
        return self._once("goodput", key, lambda: level_goodput(level, self.slo, session.now))

    def arrivals(self) -> tuple[float | None, float | None]:
        """Requests per second asked for, and begun, of the newest level; None of a closed loop."""
        level, started = self.level_told, self.session.started
        if level is None or started is None or not started.config.open_loop:
            return None, None
        key = (level.id, self._moment())
        config = started.config
        return self._once(
            "arrivals", key, lambda: (asked_rate(config, level), real_rate(config, level.requests))
        )

    def latency(self) -> Latency:
        """Latencies of the newest level, worked out once a second while time passes."""
        level = self.level_told
        done = 0 if level is None else finished_requests(self.session, level)
        of = level.id if level else None
        return self._once(
            "latency", (of, done > 0, self._moment()), lambda: self._latency(level, done)
        )

    def latency_before(self) -> tuple[int, Latency] | None:
        """Concurrency and latencies of the level before a change by hand, once any completed."""
        before = level_before(self.session, self.level_told)
        if before is None:
            return None
        done = finished_requests(self.session, before)
        known = self._once(
            "before", (before.id, done), lambda: recent_latency(before, self.slo, self.session)
        )
        return before.concurrency, known

    def _moment(self, step: int = SECOND) -> int:
        """What is dear is worked out anew when this changes: every `step` while time passes."""
        if self.session.ended is not None:
            return -1
        return self.session.now if self._still else self.session.now // step

    def _latency(self, level: Level | None, done: int) -> Latency:
        """While nothing has completed those in flight are shown, which change with time."""
        completed = level is not None and any(r.state == "done" for r in reversed(level.requests))
        key = (level.id if level else None, done, None if completed else self.session.now)
        return self._once("completed", key, lambda: recent_latency(level, self.slo, self.session))

    def _looks(self) -> tuple[object, ...]:
        """What changes with every look at the watched servers, and with nothing else."""
        return tuple(
            (
                place,
                server.stood.time if server.stood is not None else None,
                *(replica.samples[-1].time for replica in server.replicas.values()),
                server.slot_samples[-1].time if server.slot_samples else None,
            )
            for place, server in self.session.watched.items()
        )

    def told(self) -> Load | None:
        """What the watched servers do now, all together."""
        from llamatop.figures.serving import answers, combined  # noqa: PLC0415  (not for the first paint)

        servers = [one for one in self.session.watched.values() if answers(one)]
        return self._once("told", self._looks(), lambda: combined(servers))

    def told_by(self) -> dict[int, tuple[Load | None, Bound]]:
        """What each watched server does now, by its place (None: it does not tell), and what binds
        it."""
        from llamatop.figures.binding import bound  # noqa: PLC0415  (not for the first paint)
        from llamatop.figures.serving import answers, together  # noqa: PLC0415

        session = self.session
        return self._once(
            "told by",
            self._looks(),
            lambda: {
                place: (together(one) if answers(one) else None, bound(one, session.now))
                for place, one in session.watched.items()
            },
        )

    def first_token(self) -> FirstToken | None:
        """Where the time to the first token went: of the last minute, or of a level that ended."""
        from llamatop.figures.between import recent_first_token  # noqa: PLC0415  (not for the first paint)

        session, level = self.session, self.level_told
        if level is None or session.ended is not None:
            return self.level(level).first_token if level is not None else None
        key = (level.id, self._moment())
        return self._once("first token", key, lambda: recent_first_token(session, level, PACE))

    def origins(self) -> list[Origin]:
        """Every value that each watched server tells, and where it comes from."""
        from llamatop.reports.origins import PARTED, server_origins  # noqa: PLC0415  (where it is needed)

        session, places = self.session, sorted(self.session.watched)
        key = (session.now // SECOND, self._looks())
        lists = self._once(
            "origins", key, lambda: [server_origins(session, place) for place in places]
        )
        return [one for each in lists for one in (PARTED, *each)][1:]

    def told_histories(self, step: int, count: int) -> list[History]:
        """What the watched servers told over the newest `count` steps (ns)."""
        from llamatop.tui.monitor.told_histories import histories  # noqa: PLC0415  (not for the first paint)

        session = self.session
        key = (step, count, session.now // step, self._looks())
        return self._once("told histories", key, lambda: histories(session, step, count))

    def shares(self) -> Shares:
        """How near the newest level comes to the machine, once a second while time passes."""
        level = self.level_told
        if level is None or self.session.machine is None or self.session.traced is None:
            return Shares(None, None, None)
        if level.ended is not None:
            exact = self.level(level)
            return Shares(exact.mbu, exact.mfu, exact.held_back_by)
        key = (level.id, self._moment())
        return self._once("shares", key, lambda: recent_shares(self.session, level))

    def level(self, level: Level) -> LevelFigures:
        """All figures of a level that has ended."""
        from llamatop.figures.levels import level_figures  # noqa: PLC0415  (not for the first paint)

        if level.id not in self._levels:
            self._levels[level.id] = level_figures(self.session, level)
        return self._levels[level.id]

    def _once(self, name: str, key: object, work: Callable[[], T]) -> T:
        """The kept value of that key, else what `work` gives."""
        if name in self._memo and self._memo[name][0] == key:
            return cast(T, self._memo[name][1])
        value = work()
        self._memo[name] = (key, value)
        return value

"""The figures of one frame, each worked out once however many panels show it.

Pure functions of a session, and a memo for those too dear for ten times a second. What is
bounded here (the newest requests, a window of time) is bounded so that a frame costs the same
after hours as after seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from itertools import accumulate, chain, islice
from operator import attrgetter, sub
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar, cast

import msgspec

from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event
from llamatop.figures.arrivals import asked_rate, real_rate
from llamatop.figures.progress import finished_requests
from llamatop.figures.requests import e2e, gaps, kept, queue_time, tpot, ttft
from llamatop.figures.served import (
    Client,
    client_bound,
    client_lags,
    is_estimated,
    is_provisional,
    on_servers,
    sent_late,
    ttfa,
)
from llamatop.figures.stats import Distribution, distribution
from llamatop.session.reducer import BIN, Level, Request, Session
from llamatop.tui.monitor.log import Log

if TYPE_CHECKING:
    from llamatop.figures.between import FirstToken
    from llamatop.figures.binding import Bound
    from llamatop.figures.levels import LevelFigures
    from llamatop.figures.serving import Load
    from llamatop.reports.origins import Origin
    from llamatop.tui.monitor.told_histories import History

RECENT = 512
"""Completed requests whose latencies are shown: the newest of a level."""

RECENT_GAPS = 8_000
"""Gaps between tokens that are shown: of the newest requests."""

STEPS = tuple(round(s * SECOND) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 3600))
"""Widths of a chart's samples (ns)."""

LIVE_STEP = SECOND // 2

_HELD = 3 * SECOND
"""A sample of memory counts until the next, but no longer than this."""

_PACE = 60 * SECOND

_LATE = 5
"""Seconds for which a bin may still change: events of several processes interleave."""

E = TypeVar("E", bound=Event)
T = TypeVar("T")


def tokens_between(session: Session, start: int, end: int) -> int:
    """Output tokens in the whole bins from `start` to `end` (ns)."""
    return sum(session.token_bins[max(start, 0) // BIN : max(end, 0) // BIN])


def pace_window(session: Session) -> int:
    """Nanoseconds in which about eight tokens arrive at the last minute's pace: 1 to 10 s."""
    span = min(session.now, _PACE)
    tokens = tokens_between(session, session.now - span, session.now)
    if not tokens:
        return SECOND
    wished = 8 * span / tokens
    return min(max(math.ceil(wished / SECOND), 1), 10) * SECOND


def rate_now(session: Session) -> float | None:
    """Output tokens per second over the newest window that the pace asks for; None at the start."""
    end = session.now // BIN * BIN
    start = max(end - pace_window(session), _first_bin(session))
    return tokens_between(session, start, end) * SECOND / (end - start) if end > start else None


def _first_bin(session: Session) -> int:
    """From when on tokens are known (ns): the recording may have begun in mid-run."""
    return -(-session.joined // BIN) * BIN


def rate_samples(
    session: Session, step: int, count: int, window: int | None = None
) -> list[float | None]:
    """Output tokens per second at the ends of the newest `count` whole steps, oldest first.

    Each is the mean over `window` (at least a step); None before the run or its recording
    began.
    """
    width = max(window or step, step)
    last = session.now // step
    first = _first_bin(session)
    samples: list[float | None] = []
    for place in range(last - count + 1, last + 1):
        end = place * step
        if end <= first:
            samples.append(None)
            continue
        start = max(end - width, first)
        samples.append(tokens_between(session, start, end) * SECOND / (end - start))
    return samples


def peak_rate(session: Session, since: int = 0) -> float | None:
    """The most output tokens in any second of whole bins, from bin `since` on."""
    first, end = max(since, _first_bin(session) // BIN), session.now // BIN
    bins = session.token_bins[first:end]
    bins.extend([0] * (end - first - len(bins)))
    totals = list(accumulate(bins, initial=0))
    seconds = map(sub, totals[SECOND // BIN :], totals)
    return max(map(float, seconds), default=None)


def level_rate(session: Session, level: Level | None) -> float | None:
    """Output tokens per second of a level, from its first measured request until now or its end.

    None within its first second: it would be far above the peak, which is that of a whole one.
    """
    if level is None or not level.requests:
        return None
    start = level.started if level.forgotten else level.requests[0].scheduled
    start = start if level.joined is None else level.joined
    end = session.now if level.ended is None else level.ended
    if end - start < (SECOND if level.ended is None else BIN):
        return None
    return tokens_between(session, start, end) * SECOND / (end - start)


def level_goodput(level: Level | None, slo: dict[str, float], now: int) -> float | None:
    """Requests per second that kept every target, of those remembered of a level that runs.

    None without targets, and before one has completed that could be judged.
    """
    done = [r for r in level.requests if r.state == "done"] if level is not None and slo else []
    if level is None or not done:
        return None
    start = level.requests[0].scheduled if level.joined is None else level.joined
    met, judged = kept(done, slo)
    return met * SECOND / max(now - start, BIN) if judged else None


def sampled(
    samples: Sequence[E], value: Callable[[E], float | None], now: int, step: int, count: int
) -> list[float | None]:
    """A sampled quantity at the ends of the newest `count` whole steps, oldest first."""
    last = now // step
    times = _newer(samples, (last - count) * step - _HELD)
    held = max(_HELD, step)
    result: list[float | None] = []
    for place in range(last - count + 1, last + 1):
        at = bisect_left(times, place * step + 1, key=_time) - 1
        fresh = at >= 0 and place * step - times[at].time <= held
        result.append(value(times[at]) if fresh else None)
    return result


_time = attrgetter("time")


def _newer(samples: Sequence[E], since: int) -> Sequence[E]:
    return samples[max(bisect_left(samples, since, key=_time) - 1, 0) :]


Of = Literal["done", "in flight", "unfinished"]


class Latency(msgspec.Struct, frozen=True, eq=False):
    """Latencies of the newest requests of a level, in seconds, and the values behind them."""

    values: dict[str, list[float]]
    """By figure (TTFT, TPOT, ITL, E2E, queue), in ascending order.

    Of requests to servers also TTFA, where there was reasoning, and how late the client sent and
    its loop woke (late, lag).
    """
    spread: dict[str, Distribution | None]
    requests: int
    of: Of
    """The requests that these are of: before one has completed those in flight, if any is."""
    met: float | None = None
    """Share of the completed requests that meet every target, of those that could be judged; None
    without targets."""
    rough: bool = False
    """Whether some of their tokens are a guess, and with them TPOT and ITL."""
    client_bound: bool = False
    """Whether the client was so late that it, and not the server, is measured."""


def recent_latency(
    level: Level | None, slo: dict[str, float] | None = None, session: Session | None = None
) -> Latency:
    """What the newest completed requests took, or, before there is one, those in flight.

    Where none is in flight either (the engine was lost), those that came to their first token.
    """
    requests = level.requests if level is not None else []
    done = list(islice((r for r in reversed(requests) if r.state == "done"), RECENT))
    begun = [r for r in requests[-RECENT:] if r.tokens] if not done else []
    flying = [r for r in begun if r.active]
    shown = done or flying or begun
    values = {
        "TTFT": _known(ttft(r) for r in shown),
        "TPOT": _known(tpot(r) for r in shown),
        "ITL": sorted(islice(chain.from_iterable(map(gaps, shown)), RECENT_GAPS)),
        "E2E": _known(e2e(r) for r in done),
        "queue": _known(queue_time(r) for r in shown),
    }
    served = level is not None and session is not None and on_servers(session)
    if served and level is not None and session is not None:
        values |= _of_servers(session, level, shown)
    spread = {name: distribution(numbers) for name, numbers in values.items()}
    good, judged = kept(done, slo) if slo else (0, 0)
    met = good / judged if judged else None
    of: Of = "done" if done else "in flight" if flying else "unfinished"
    rough = session is not None and any(is_estimated(session, r) for r in shown)
    client = Client(spread.get("late"), spread.get("lag"))
    bound = served and client_bound(client, spread["TTFT"])
    return Latency(values, spread, len(shown), of, met, rough, bound)


def _of_servers(session: Session, level: Level, shown: list[Request]) -> dict[str, list[float]]:
    """What the client tells of requests and of itself, in ascending order."""
    answers = _known(ttfa(r) for r in shown)
    late = _known(sent_late(r) for r in shown)
    lags = sorted(islice(client_lags(session, level.started, level.ended), RECENT_GAPS))
    return {**({"TTFA": answers} if answers else {}), "late": late, "lag": lags}


class Shares(NamedTuple):
    """Shares of 1 of the machine's bandwidth and arithmetic, and what holds the run back."""

    mbu: float | None
    mfu: float | None
    held_back_by: str | None


def recent_shares(session: Session, level: Level) -> Shares:
    """Those of the newest requests of a level that have tokens."""
    from llamatop.figures import shares  # noqa: PLC0415  (not for the first paint)

    recent = copy(level)
    recent.requests = [r for r in level.requests[-RECENT:] if r.times]
    if not recent.requests:
        return Shares(None, None, None)
    held = shares.level_held_back_by(session, recent)
    return Shares(shares.level_mbu(session, recent), shares.level_mfu(session, recent), held)


def _known(values: Iterable[float | None]) -> list[float]:
    return sorted(value for value in values if value is not None)


def level_before(session: Session, level: Level | None) -> Level | None:
    """The last level with completions before a person changed the concurrency to `level`'s."""
    if level is None:
        return None
    older = [one for one in session.levels.values() if one.id < level.id]
    for before in reversed(older):
        if before.ended_by != "concurrency":
            return None
        if any(request.state == "done" for request in before.requests):
            return before
    return None


def _with_completions(session: Session) -> Level | None:
    """The newest level in which a request completed; the newest of all where none did."""
    levels = reversed(session.levels.values())
    done = (level for level in levels if any(r.state == "done" for r in level.requests))
    return next(done, session.level)


def newest_first(session: Session, most: int) -> list[Request]:
    """Requests that have ended, the latest to arrive first, at most so many."""
    ended = (r for r in reversed(session.requests.values()) if r.ended is not None)
    return list(islice(ended, most))


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
        return self._once("level told", session.now, lambda: _with_completions(session))

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
        requests, config = level.requests, started.config
        return self._once(
            "arrivals", key, lambda: (asked_rate(config, requests), real_rate(config, requests))
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
        return self._once("first token", key, lambda: recent_first_token(session, level, _PACE))

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

"""The closed loop of one level: when a request may start, and what became of it.

Knows times, counts and slots; nothing of models, and of text only how to ask for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from llamatop.engines.base import Job
from llamatop.engines.outbox import Outbox
from llamatop.engines.sizes import Size
from llamatop.engines.talks import Talk, Talks
from llamatop.events.clock import SECOND, Clock
from llamatop.events.kinds import (
    AdmissionPaused,
    EndedBy,
    PromptReused,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    TokensEmitted,
)
from llamatop.figures.steady import Windows

FAILURES = 8
"""Failures in a row, without a token between them, after which work without an end gives up."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one stretch of work consists of."""

    level: int
    concurrency: int
    requests: int | None
    """None: until stopped."""
    size: Callable[[int], Size]
    """Of each request by its place."""
    warmup: bool = False
    max_time: float | None = None
    """Seconds after which it stops."""
    arrivals: Iterator[float] | None = None
    """Open loop: seconds from each arrival to the next; None: closed loop."""
    until_ci: float | None = None
    """Share to which the steady throughput is to be known: then no more requests start."""
    talks: Talks | None = None
    """The conversations that requests belong to; None: to none."""
    keep_text: bool = True
    """Whether text that a server sends is told; conversations read it anyway."""

    def job(self, id: int, place: int, due: int) -> Job:
        """The request at that place, which should start at `due` (ns)."""
        size = self.size(place)
        own = size.prompt_tokens - size.prefix_tokens
        return Job(
            id,
            size.prompt_tokens,
            size.max_tokens,
            self.warmup,
            size.given,
            due,
            size.prefix,
            own,
        )


class Work:
    """Hands out the jobs of a plan, so many at once, and reports what becomes of them.

    A slot's next request is scheduled at the instant at which the slot came free, however late
    the engine takes it: an engine that stalls cannot hide its queue. In an open loop requests
    are scheduled when they arrive, and wait while `concurrency` of them are in flight.
    A job ends once: whatever is told of it after its end is passed over.
    """

    def __init__(self, plan: Plan, ids: Iterator[int], clock: Clock, outbox: Outbox) -> None:
        self.plan = plan
        self._ids = ids
        self._clock = clock
        self._outbox = outbox
        self._changed = threading.Condition()
        self._level = plan.level
        self._opening: Callable[[int], int] | None = None
        """Begins the level of the next request to start (ns), and says which it is."""
        self._concurrency = plan.concurrency
        self._left = plan.requests
        self._queued = 0
        self._in_flight: dict[int, Job] = {}
        self._cancelled: set[int] = set()
        self.enough_at: int | None = None
        """When the throughput was known as well as was asked for (ns)."""
        self._windows = Windows(plan.concurrency) if plan.until_ci is not None else None
        self._cut_off = False
        start = clock.now()
        self._free = deque([start] * plan.concurrency)
        self._waiting: deque[Job] = deque()
        """Open loop: arrived and not yet started."""
        self._next_arrival = float(start)
        self._all_arrived = False
        """Open loop: no request will arrive by itself any more."""
        self._arrive_next()
        self._deadline = None if plan.max_time is None else start + int(plan.max_time * SECOND)
        self._talks = plan.talks
        self._paused = False
        self._stopping = False
        self.gave_up = ""
        """Why it ended by itself: nothing but failures."""
        self._failed = 0
        """Failures since the last token."""
        self._ended = False
        """Whether a request has ended in any way but by failing."""
        self._last_error = ""
        self._room_since = start
        """When there was room for one more in flight."""
        self._listener: Callable[[], None] | None = None

    @property
    def all_failed(self) -> str:
        """Why, where every request has failed; else empty."""
        return self._last_error if self._last_error and not self._ended else ""

    # What engines call

    @property
    def stopping(self) -> bool:
        """The level ends now."""
        if self._deadline is not None and self._clock.now() >= self._deadline:
            self._stopping = True
        return self._stopping

    @property
    def concurrency(self) -> int:
        """Requests wanted in flight."""
        return self._concurrency

    def take(self, wait: bool = True) -> Job | None:
        """The next request to start; see `base.WorkLike`."""
        with self._changed:
            while not self._may_start():
                if not wait or self._over():
                    return None
                self._clock.wait(self._changed, self._patience())
            return self._start()

    def take_wave(self) -> list[Job]:
        """A whole wave, when the last one has ended; see `base.WorkLike`."""
        with self._changed:
            while self._in_flight or not self._may_start():
                if self._over() and not self._in_flight:
                    return []
                self._clock.wait(self._changed, self._patience())
            now = self._clock.now()
            self._free = deque([now] * self._concurrency)
            jobs = []
            while self._may_start():
                jobs.append(self._start())
            return jobs

    def emit(self, job: Job, tokens: list[int]) -> bool:
        """New token ids of one job; False when it is no longer wanted."""
        if job.id in self._cancelled or self._stopping:
            return False
        self._failed = 0
        if self._talks is not None:
            self._talks.heard(job.id, tokens)
        self._outbox.tokens(self._clock.now(), [job.id] * len(tokens), tokens)
        return True

    def emit_step(self, jobs: list[Job], tokens: list[int]) -> Sequence[Job]:
        """One new token for each job, at one moment; the jobs that are no longer wanted."""
        now = self._clock.now()
        if jobs:
            self._failed = 0
        if self._talks is not None:
            for job, token in zip(jobs, tokens, strict=True):
                self._talks.heard(job.id, [token])
        if not self._cancelled:
            self._outbox.tokens(now, [job.id for job in jobs], tokens)
            return ()
        pairs = zip(jobs, tokens, strict=True)
        wanted = [(job.id, token) for job, token in pairs if job.id not in self._cancelled]
        self._outbox.tokens(now, [id for id, _ in wanted], [token for _, token in wanted])
        return [job for job in jobs if job.id in self._cancelled]

    def emit_read(self, request: int, time: int, count: int, text: str | None) -> None:
        """New tokens of a request that were read at `time` (ns); see `base.WorkLike`."""
        if request in self._cancelled or self._stopping:
            return
        self._failed = 0
        if self._talks is not None:
            self._talks.read(request, count, text)
        told = text if self.plan.keep_text else None
        self._outbox.put(TokensEmitted(time, request, count, told))

    def listen(self, changed: Callable[[], None] | None) -> None:
        """Call `changed`, from any thread, when there is something to look at anew."""
        with self._changed:
            self._listener = changed

    @property
    def over(self) -> bool:
        """Whether no more requests will start."""
        with self._changed:
            return self._over()

    @property
    def look_at(self) -> int | None:
        """When an arrival or the deadline has to be looked at (ns); None: nothing is due."""
        with self._changed:
            return self._patience()

    @property
    def taken_back(self) -> Sequence[int]:
        """Requests in flight that are no longer wanted."""
        with self._changed:
            return list(self._cancelled)

    def reused(self, job: Job, tokens: int) -> None:
        """So many tokens of its prompt were known; see `base.WorkLike`."""
        self._outbox.put(PromptReused(self._clock.now(), job.id, tokens))

    def finish(self, job: Job, reason: str = "length") -> None:
        """All tokens of the job are out (those of a cancelled one do not count)."""
        with self._changed:
            if not self._wanted(job):
                return
            now = self._clock.now()
            self._ended = True
            self._outbox.put(RequestFinished(now, job.id, reason))
            self._count(job, now)
            self._go_on(job, now)
            self._release(job, now)

    def _go_on(self, job: Job, now: int) -> None:
        """The next turn of its conversation: where it is open it comes at once."""
        talk = self._talks.finish(job, now) if self._talks is not None else None
        if talk is None or self._talks is None:
            return
        if self._closed:
            self._talks.ready.append(talk)
        elif self._left != 0:
            self._waiting.append(self._queue(now, talk))

    def fail(self, job: Job, error: BaseException | str) -> None:
        """The job ended by an error."""
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        with self._changed:
            if not self._wanted(job):
                return
            now = self._clock.now()
            self._outbox.put(RequestFailed(now, job.id, text))
            self._count_failure(text)
            self._release(job, now)

    def _count_failure(self, error: str) -> None:
        """Without an end of its own, work that only fails would fail for ever."""
        self._failed += 1
        self._last_error = error
        if self._left is None and self._failed >= max(FAILURES, 3 * self._concurrency):
            self.gave_up = f"{self._failed} requests in a row failed without a token: {error}"
            self._stopping = True

    def drop(self, job: Job) -> None:
        """The job was taken back."""
        with self._changed:
            if job.id not in self._in_flight:
                return
            now = self._clock.now()
            self._cut_off, self._ended = self._cut_off or self._stopping, True
            if job.id not in self._cancelled:
                self._outbox.put(RequestCancelled(now, job.id))
            self._release(job, now)

    # What the person who runs it may ask

    def resize(self, concurrency: int, opening: Callable[[int], int] | None) -> None:
        """From now on so many in flight; those admitted from here on belong to another level.

        `opening` begins that level, when its first request starts (ns), and says which it is;
        None: they belong to the one that runs. It is called under the lock.
        """
        with self._changed:
            now = self._clock.now()
            self._concurrency, self._opening = concurrency, opening
            self._room_since = now
            self._windows = None  # from here on a person decides
            idle = concurrency - len(self._in_flight)
            self._free = deque([now] * max(idle, 0))
            self._tell()

    def pause(self, paused: bool) -> None:
        """Hold new requests back, or let them go on; idle slots count from then."""
        with self._changed:
            now = self._clock.now()
            self._paused = paused
            if not paused:
                self._room_since = now
                self._free = deque([now] * len(self._free))
            self._outbox.put(AdmissionPaused(now, paused))
            self._tell()

    def cancel(self, request: int) -> None:
        """Take one request back: its tokens no longer count from now, or it does not start."""
        with self._changed:
            for job in [job for job in self._waiting if job.id == request]:
                self._waiting.remove(job)
                self._outbox.put(RequestCancelled(self._clock.now(), request))
                self._tell()
            if request in self._in_flight and request not in self._cancelled:
                self._cancelled.add(request)
                self._outbox.put(RequestCancelled(self._clock.now(), request))
                self._tell()

    def stop(self) -> None:
        """End now: engines drop what is in flight, waiting takers get None."""
        with self._changed:
            self._stopping = True
            self._tell()

    @property
    def begun(self) -> bool:
        """Whether there has been a request."""
        return self._queued > 0

    @property
    def left(self) -> int | None:
        """Requests not yet started; None: no end."""
        return self._left

    @property
    def ended_by(self) -> EndedBy:
        """What there was enough of, when nothing is in flight any more."""
        if self.enough_at is not None:
            return "interval"
        all_came = self._left == 0 or self._all_arrived
        return "requests" if all_came and not self._cut_off else "time"

    def fail_rest(self, error: BaseException | str) -> None:
        """The engine gave up: whatever is still in flight failed by this error."""
        for job in list(self._in_flight.values()):
            self.fail(job, error)

    def drop_rest(self) -> None:
        """The level was stopped: whatever is in flight or waiting is cancelled."""
        for job in list(self._in_flight.values()):
            self.drop(job)
        while self._waiting:
            self._cut_off = self._ended = True
            self._outbox.put(RequestCancelled(self._clock.now(), self._waiting.popleft().id))

    # Held under the lock

    def _tell(self) -> None:
        """Something has changed: wake whoever waits."""
        self._changed.notify_all()
        if self._listener is not None:
            self._listener()

    def _over(self) -> bool:
        if self.stopping:
            return True
        if self._waiting:
            return False
        last = self._all_arrived and not (self._talks is not None and self._talks.owed)
        return self._left == 0 or last

    @property
    def _more(self) -> bool:
        """Whether a request may start that is no later turn of a conversation."""
        owed = 0 if self._talks is None else self._talks.owed
        return self._left is None or self._left > owed

    def _may_start(self) -> bool:
        if self._over():
            return False
        self._arrive()
        room = len(self._in_flight) < self._concurrency
        if not room or self._paused:
            return False
        if self._closed:
            return self._more or (self._talks is not None and bool(self._talks.ready))
        return bool(self._waiting)

    @property
    def _closed(self) -> bool:
        return self.plan.arrivals is None

    def _patience(self) -> int | None:
        """When the deadline or the next arrival has to be looked at (ns)."""
        times = [] if self._deadline is None else [self._deadline]
        if not self._closed and self._more and not self._all_arrived:
            times.append(int(self._next_arrival))
        return min(times, default=None)

    def _arrive(self) -> None:
        """Open loop: queue whatever is due."""
        if self._closed:
            return
        while self._more and not self._all_arrived:
            if int(self._next_arrival) > self._clock.now():
                return
            self._waiting.append(self._queue(int(self._next_arrival)))
            self._arrive_next()

    def _arrive_next(self) -> None:
        if self.plan.arrivals is None:
            return
        gap = next(self.plan.arrivals, None)
        if gap is None:
            self._all_arrived = True
        else:
            self._next_arrival += gap * SECOND

    def _start(self) -> Job:
        now = self._clock.now()
        due = self._free.popleft() if self._closed and self._free else now
        if self._opening is not None:
            self._level, self._opening = self._opening(due), None
        if self._closed:
            job = self._next(due)
        else:
            job = self._waiting.popleft()
            if job.due < self._room_since:
                job = replace(job, due=self._room_since)
        self._outbox.put(RequestAdmitted(now, job.id, self._level))
        self._in_flight[job.id] = job
        return job

    def _next(self, free: int) -> Job:
        """Closed loop: what takes the slot that came free then, a conversation that goes on first.

        A turn is not scheduled before the last one was answered.
        """
        if self._talks is None or not self._talks.ready:
            return self._queue(free)
        talk = self._talks.ready.popleft()
        return self._queue(max(free, talk.free_at), talk)

    def _job(self, scheduled: int, talk: Talk | None) -> tuple[Job, Talk | None]:
        """The next request: a turn of that conversation, or whatever the plan has next."""
        id = next(self._ids)
        if talk is None:
            place = self._queued
            self._queued += 1
            if self._talks is None:
                return self.plan.job(id, place, scheduled), None
            talk = self._talks.begin(place, id, self._left)
        assert self._talks is not None
        return self._talks.job(talk, id, scheduled), talk

    def _queue(self, scheduled: int, talk: Talk | None = None) -> Job:
        job, talk = self._job(scheduled, talk)
        if self._windows is not None:
            self._windows.begin(scheduled)
        self._outbox.put(
            RequestQueued(
                scheduled,
                job.id,
                self._level,
                job.prompt_tokens,
                job.max_tokens,
                job.warmup,
                None if talk is None else talk.first,
                None if talk is None else len(talk.history) + 1,
            )
        )
        if self._left is not None:
            self._left -= 1
        return job

    def _count(self, job: Job, now: int) -> None:
        """Let no more start when the throughput is known well enough; what runs goes on."""
        windows, share = self._windows, self.plan.until_ci
        if windows is None or share is None or self.enough_at is not None:
            return
        if windows.complete(now, job.max_tokens) and windows.known_to(share):
            self.enough_at, self._left = now, 0

    def _wanted(self, job: Job) -> bool:
        """Whether its end is to be told; of one that was cancelled it has been."""
        if job.id in self._cancelled:
            self.drop(job)
        return job.id in self._in_flight

    def _release(self, job: Job, now: int) -> None:
        if len(self._in_flight) >= self._concurrency:
            self._room_since = now
        del self._in_flight[job.id]
        if self._talks is not None:
            self._talks.forget(job)
        self._cancelled.discard(job.id)
        if len(self._in_flight) + len(self._free) < self._concurrency:
            self._free.append(now)
        self._tell()

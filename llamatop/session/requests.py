"""What is known of one request, of the level that it belongs to, and of a server's load.

Raw times (ns) and counts. A request takes what is told of it; knows no other request, and no run.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from typing import Literal

from llamatop.events.kinds import (
    EndedBy,
    LevelEnded,
    Outcome,
    RequestReached,
    RequestSent,
    Stage,
    TokensBy,
    TokensCounted,
)

KEPT_TEXT = 4096
"""Characters of a request's text that are kept: the newest."""

State = Literal["queued", "prefill", "decode", "done", "failed", "cancelled"]


@dataclass(slots=True)
class Served:
    """What is known of a request that went to a server; times in ns."""

    server: int
    due: int
    """When it could have been sent."""
    sent: int
    """When it was sent first."""
    resent: bool = False
    reached: dict[Stage, int] = field(default_factory=dict)
    by: TokensBy | None = None
    """How its tokens were counted; None: its stream has not ended."""
    counted: bool = False
    """Whether the server said how many tokens it generated."""
    prompt: int | None = None
    """Tokens of its prompt, as the server counts."""
    cached: int | None = None
    reasoning: int | None = None
    prefill: float | None = None
    """Seconds that the server computed its prompt, as that says."""

    def take(self, event: RequestSent | RequestReached | TokensCounted) -> None:
        """What the client tells of it once it was sent."""
        match event:
            case RequestSent():
                self.resent = self.resent or event.again
            case RequestReached():
                self.reached.setdefault(event.stage, event.time)
            case TokensCounted():
                self.by, self.counted = event.by, event.count is not None
                self.prompt, self.cached = event.prompt, event.cached
                self.reasoning, self.prefill = event.reasoning, event.prefill

    def copy(self) -> Served:
        """What goes on by itself."""
        return replace(self, reached=self.reached.copy())


@dataclass(slots=True)
class Load:
    """What a server has got from the client: requests, warm-up only among those in flight."""

    flying: int = 0
    done: int = 0
    failed: int = 0

    def count(self, request: Request) -> None:
        """One of the requests that it had has ended."""
        self.flying -= 1
        if not request.warmup:
            self.done += request.state == "done"
            self.failed += request.state == "failed"


@dataclass(slots=True)
class Request:
    """One request's raw times (ns) and counts."""

    id: int
    level: int
    prompt_tokens: int | None
    max_tokens: int | None
    warmup: bool
    scheduled: int
    admitted: int | None = None
    ended: int | None = None
    state: State = "queued"
    error: str = ""
    tokens: int = 0
    """Output tokens so far."""
    times: array[int] = field(default_factory=lambda: array("q"))
    """When each emission arrived."""
    counts: array[int] = field(default_factory=lambda: array("i"))
    """Tokens of each emission; a total that a server tells at the end is spread over them."""
    served: Served | None = None
    """None: it was served in process."""
    reused: int | None = None
    """Tokens of its prompt that the engine had computed before; None: nobody told."""
    conversation: int | None = None
    """The request with which its conversation began."""
    turn: int | None = None
    """Which of that conversation it is, from 1."""
    summed: bool = False
    """Whether the last of `times` is of tokens whose own times are not known, the last of `counts`
    is 0 where their number is not known either."""
    text: str = field(default="", compare=False, repr=False)

    @property
    def active(self) -> bool:
        """Whether it is still waiting or running."""
        return self.ended is None

    @property
    def since(self) -> int:
        """When the last that is known of it was (ns): what is told of it later is no earlier."""
        if self.times:
            return self.times[-1]
        return self.scheduled if self.admitted is None else self.admitted

    @property
    def short(self) -> bool:
        """Whether it ended well with fewer tokens than asked, as a server counted them."""
        served = self.served
        counted = served is not None and served.counted and served.by != "estimate"
        asked = self.max_tokens
        return counted and self.state == "done" and asked is not None and self.tokens < asked

    def emit_all(self, times: array[int], counts: array[int], text: str | None) -> bool:
        """So many emissions (ns, ascending, at least a token each); False: they are too early."""
        if times[0] < self.since:
            return False
        self.state = "decode"
        self.tokens += sum(counts)
        self.times += times
        self.counts += counts
        if text:
            self.text = (self.text + text)[-KEPT_TEXT:]
        return True

    def emit_rest(self, time: int, count: int) -> bool:
        """Tokens whose own times are not known; False: they cannot be."""
        if count < 0 or self.summed or time < self.since:
            return False
        self.state, self.summed = "decode", True
        self.tokens += count
        self.times.append(time)
        self.counts.append(count)
        return True

    def recount(self, total: int, chunks: bool) -> list[tuple[int, int]]:
        """Spread a total over emissions that were counted provisionally, and how many tokens more
        each then has, with its time. Those left with none were none, but for `chunks`."""
        if total == self.tokens:
            return []
        parts = _shared(self.counts, total)
        triples = zip(self.times, self.counts, parts, strict=True)
        more = [(time, part - count) for time, count, part in triples]
        pairs = zip(self.times, parts, strict=True)
        kept = [(time, part) for time, part in pairs if part or chunks]
        self.times = array("q", (time for time, _ in kept))
        self.counts = array("i", (part for _, part in kept))
        self.tokens = total
        return more

    def end(self, time: int, state: State, error: str) -> None:
        """It is over; what it keeps takes no more room than it needs."""
        self.state, self.error = state, error
        self.ended = max(time, self.since)
        self.times, self.counts = self.times[:], self.counts[:]

    def copy(self) -> Request:
        """A request that goes on by itself."""
        served = None if self.served is None else self.served.copy()
        return replace(self, times=self.times[:], counts=self.counts[:], served=served)


@dataclass(slots=True)
class Level:
    """One stretch of the run at one concurrency."""

    id: int
    concurrency: int
    planned: int | None
    """Measured requests asked for; None: until stopped."""
    started: int
    ended: int | None = None
    outcome: Outcome | None = None
    error: str = ""
    host_peak_bytes: int | None = None
    device_peak_bytes: int | None = None
    ended_by: EndedBy = ""
    enough_at: int | None = None
    """When its throughput was known as well as was asked for."""
    requests: list[Request] = field(default_factory=list)
    """Its measured requests, in the order of arrival."""
    forgotten: int = 0
    """Measured requests that are not in `requests`: see `Session.keep` and `Session.joined`."""
    failed: int = 0
    cancelled: int = 0
    """Measured requests that ended so, those that are forgotten too; since `joined`."""
    joined: int | None = None
    """When the recording joined it; None: it knows the whole level."""
    place: int = 0
    """Which level of the plan that ran then, from 1; 0: not known."""
    places: int = 0
    """How many levels that plan had."""
    rate: float | None = None
    """Arrivals a second, where each level had its own."""

    def end(self, event: LevelEnded) -> None:
        """How it ended."""
        self.ended, self.ended_by = event.time, event.ended_by
        self.outcome, self.error = event.outcome, event.error
        self.host_peak_bytes = event.host_peak_bytes
        self.device_peak_bytes = event.device_peak_bytes
        self.enough_at = event.enough_at

    def count(self, request: Request) -> None:
        """One of its measured requests has ended."""
        self.failed += request.state == "failed"
        self.cancelled += request.state == "cancelled"


def _shared(counts: array[int], total: int) -> list[int]:
    """A total shared in the proportions of `counts`; the first one and the last get a token."""
    before = sum(counts)
    head = int(total < before)  # fewer tokens than emissions: the first came with the first
    skipped = counts[0] if head else 0
    rest, parts, so_far, done = before - skipped, [], -skipped, 0
    for count in counts:
        so_far += count
        reached = head + (total - head) * so_far // rest if rest else total
        parts.append(reached - done)
        done = reached
    return parts

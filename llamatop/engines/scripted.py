"""A deterministic engine without a model: for tests, screenshots and stress, and labelled so.

It serves real work through the real closed loop; only the tokens and their times are made up.
It is never chosen by `auto`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from llamatop.engines.base import GivenSize, Job, WorkLike
from llamatop.engines.level import LevelRun
from llamatop.engines.outbox import Outbox
from llamatop.engines.weightless import Weightless
from llamatop.events.clock import SECOND, Clock, ManualClock
from llamatop.events.kinds import (
    Event,
    HostFacts,
    HostSampled,
    LevelEnded,
    ModelLoaded,
    RequestQueued,
    RunEnded,
    RunStarted,
)
from llamatop.events.wire import RunLevel
from llamatop.settings.config import RunConfig
from llamatop.settings.messages import Message
from llamatop.settings.prompt_file import read_prompts

_TEXT = """Memory bandwidth sets the pace of decoding: every new token reads every weight once,
however small the question. A batch shares that reading, so eight requests cost little more than
one, until their caches fill what memory is left. Prefill is another matter. It reads the weights
once for the whole prompt and keeps the arithmetic units busy, which is why a long prompt delays
the first token and then everybody else's next one. Watch the gaps between tokens, and the queue
that forms when a step is late; the mean hides both. """


@dataclass(frozen=True, slots=True)
class Script:
    """How the made-up engine behaves. Times in seconds."""

    step: float = 0.025
    """From one token of a request to its next."""
    prefill_per_token: float = 0.0005
    jitter: float = 0.2
    """Share by which a step varies."""
    fail_every: int | None = None
    """Every so many requests one fails half way."""


class ScriptedEngine(Weightless):
    """Emits one token for every running request each step, as a batching engine does."""

    def __init__(self, config: RunConfig, clock: Clock, script: Script | None = None) -> None:
        self.detokenizer = ScriptedText()
        self.given = _given(config)
        self._clock = clock
        self._script = script or Script()
        self._random = random.Random(config.seed)
        self.facts = ModelLoaded(
            clock.now(),
            engine="scripted",
            engine_reason="",
            device="none",
            device_name="scripted",
            dtype="none",
            weights="scripted",
            parameters=None,
            weights_bytes=None,
        )

    def serve(self, work: WorkLike) -> None:
        """Serve until the work ends."""
        running: list[_Running] = []
        due = self._clock.now()
        while True:
            while (job := work.take(wait=not running)) is not None:
                running.append(self._admit(job))
            if not running:
                return
            due = max(due, self._clock.now()) + self._step()
            self._sleep(work, due, running)
            if work.stopping:
                for one in running:
                    work.drop(one.job)
                return
            self._advance(work, running)
            running = [one for one in running if not one.over]

    def _sleep(self, work: WorkLike, due: int, running: list[_Running]) -> None:
        """Until the next step; what arrives meanwhile is taken when it does."""
        while (arrival := work.look_at) is not None and self._clock.now() < arrival < due:
            self._clock.sleep_until(arrival)
            while (job := work.take(wait=False)) is not None:
                running.append(self._admit(job))
        self._clock.sleep_until(due)

    def _admit(self, job: Job) -> _Running:
        prefill = job.prompt_tokens * self._script.prefill_per_token
        return _Running(job, self._clock.now() + int(prefill * SECOND))

    def _step(self) -> int:
        jitter = self._script.jitter
        return int(self._script.step * self._random.uniform(1 - jitter, 1 + jitter) * SECOND)

    def _advance(self, work: WorkLike, running: list[_Running]) -> None:
        now = self._clock.now()
        ready = [one for one in running if one.ready <= now]
        back = work.emit_step([one.job for one in ready], [one.next() for one in ready])
        for one in ready:
            if one.job in back:
                one.over = True
                work.drop(one.job)
            elif self._fails(one):
                one.over = True
                work.fail(one.job, "scripted failure")
            elif one.emitted == one.job.max_tokens:
                one.over = True
                work.finish(one.job)

    def _fails(self, one: _Running) -> bool:
        every = self._script.fail_every
        unlucky = every is not None and not one.job.warmup and one.job.id % every == every - 1
        return unlucky and one.emitted > one.job.max_tokens // 2


@dataclass(slots=True)
class _Running:
    """A request between its prefill and its last token."""

    job: Job
    ready: int
    emitted: int = 0
    over: bool = False

    def next(self) -> int:
        self.emitted += 1
        return self.job.id * 7 + self.emitted - 1


def _given(config: RunConfig) -> list[GivenSize]:
    """The sizes of the prompts of a file, a word a token."""
    prompts = read_prompts(config.prompts) if config.prompts is not None else []
    return [
        GivenSize(
            one.prompt_tokens or _words(one.turns[0]) or len(one.text.split()) or 1,
            one.output_tokens,
            one.at,
            tuple(_words(turn) for turn in one.turns[1:]),
        )
        if config.talks
        else GivenSize(one.prompt_tokens or len(one.text.split()) or 1, one.output_tokens, one.at)
        for one in prompts
    ]


def _words(messages: Sequence[Message]) -> int:
    return sum(len(message.text.split()) for message in messages)


class ScriptedText:
    """Words in place of tokens."""

    def __init__(self) -> None:
        self._words = _TEXT.split()

    def feed(self, request: int, tokens: list[int]) -> str:
        """A word for each id."""
        return "".join(f"{self._words[token % len(self._words)]} " for token in tokens)

    def end(self, request: int) -> None:
        """Nothing is kept."""


def script(config: RunConfig, behaviour: Script | None = None) -> list[Event]:
    """All events of a whole run on a manual clock: the same for the same config, at once."""
    return [event for part in script_parts(config, behaviour) for event in part]


def script_parts(config: RunConfig, behaviour: Script | None = None) -> Iterator[list[Event]]:
    """The events of `script`, level by level, for runs that are too long to be held whole."""
    clock, outbox = ManualClock(), Outbox()
    engine = ScriptedEngine(config, clock, behaviour)
    outbox.detokenizer = engine.detokenizer if config.text else None
    outbox.put(_started(config))
    outbox.put(engine.facts)
    samples = _Samples()
    first = 0
    for level, concurrency in enumerate(config.concurrency):
        requests = config.requests_at(concurrency)
        place, places = level + 1, len(config.concurrency)
        command = RunLevel(level, concurrency, requests, first, place, places)
        LevelRun(engine, config, command, clock, outbox).run(first=level == 0)
        events = _settled(outbox.drain())
        queued = (e.request for e in events if isinstance(e, RequestQueued))
        first = 1 + max(queued, default=first - 1)
        yield samples.among(events)
    yield samples.among([RunEnded(clock.now(), "ok")])


def _started(config: RunConfig) -> RunStarted:
    host = HostFacts("scripted", "scripted", 2, 24_000_000_000, "3")
    return RunStarted(0, config, host, version="0", started_at="2026-01-01T00:00:00Z")


def _settled(events: list[Event]) -> list[Event]:
    """Without what this process really measured, so that every machine makes the same events."""
    return [
        msgspec.structs.replace(e, host_peak_bytes=900_000_000, device_peak_bytes=None)
        if isinstance(e, LevelEnded)
        else e
        for e in events
        if type(e).__name__ != "EngineWarmed"
    ]


class _Samples:
    """A made-up sample of the machine twice a second."""

    def __init__(self) -> None:
        self._due = 0

    def among(self, events: list[Event]) -> list[Event]:
        """The next events with the samples that fall among them."""
        result: list[Event] = []
        for event in events:
            while self._due <= event.time:
                result.append(_sample(self._due))
                self._due += SECOND // 2
            result.append(event)
        return result


def _sample(time: int) -> HostSampled:
    wave = (time // (SECOND // 2)) % 8
    return HostSampled(
        time,
        used_bytes=3_000_000_000 + wave * 50_000_000,
        available_bytes=21_000_000_000 - wave * 50_000_000,
        total_bytes=24_000_000_000,
        cpu_percent=(60.0 + 4 * wave, 90.0 - 3 * wave),
        engine_bytes=800_000_000 + wave * 12_000_000,
        engine_cpu_percent=150.0,
        monitor_cpu_percent=2.0,
    )

"""The engine that is somewhere else: drives running servers through the closed or open loop.

One event loop in the engine's worker thread takes jobs, sends them, and reads their answers; it
is woken from other threads when a person changes something. Imports no torch.
"""

from __future__ import annotations

import asyncio
import functools
import os
import secrets as random_bytes
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from llamatop.engines.base import GivenSize, Job, LevelError, Progress, WorkLike
from llamatop.engines.prompts import Prompts
from llamatop.engines.server import lag
from llamatop.engines.server.asking import Asker
from llamatop.engines.server.client import Client, client_of
from llamatop.engines.server.crew import Crew, processes_for
from llamatop.engines.server.http import new_session
from llamatop.engines.server.loops import new_loop
from llamatop.engines.server.meeting import HELLO, Met, meet, prompt_tokens
from llamatop.engines.server.orders import Ended, Order
from llamatop.engines.server.places import Place, Places
from llamatop.engines.server.prompts import (
    MeasuredText,
    Prompter,
    Source,
    TokenizedText,
    corpus,
    given_of,
    given_sizes,
    load_tokenizer,
)
from llamatop.engines.server.secrets import Secrets
from llamatop.engines.weightless import Weightless
from llamatop.errors import InputError
from llamatop.events.clock import SECOND, Clock, MonotonicClock
from llamatop.events.kinds import Event, ModelLoaded
from llamatop.settings.config import RunConfig
from llamatop.settings.servers import host_of, is_here

LOST_SECONDS = 30.0
"""How long a level waits while no server answers before it has failed."""

SWITCH_SECONDS = 0.001
"""How long another thread of this process may keep the loop from reading."""

CALIBRATION_CHARACTERS = (100, 1000)
"""Of two texts that the server counts, where nobody else does."""

T = TypeVar("T")


class ServerEngine(Weightless):
    """Sends the jobs of a level to the servers of a config; an `Engine`."""

    detokenizer = None
    """Servers send text."""

    def __init__(
        self, config: RunConfig, clock: Clock, progress: Progress, tell: Callable[[Event], None]
    ) -> None:
        """Gets to know every server. Raises InputError where one cannot serve."""
        self._config = config
        self._clock = clock
        self._tell = tell
        self._salt = random_bytes.token_hex(4)
        self._loop = new_loop()
        self._work: WorkLike | None = None
        self._jobs: dict[int, Job] = {}
        self._stays: dict[int, int] = {}
        """Which server has the newest turn of each conversation, by its request."""
        self._wake = asyncio.Event()
        secrets = Secrets(config.api_key_env, config.headers, os.environ)
        self._tokenizer = load_tokenizer(config.tokenizer) if config.tokenizer else None
        prompts = given_of(config)
        self.given: Sequence[GivenSize] = given_sizes(prompts, self._tokenizer, config.talks)
        loading = _Loading(progress)
        try:
            self._places = self._run(self._meet_all(secrets, prompts, loading))
        except InputError as refusal:  # which repeats what a server said
            raise InputError(secrets.scrub(str(refusal))) from None
        self._client = self._sending(secrets)
        for place in self._places.all:
            if place.met.name == "llama.cpp":
                self._client.never_reuse(place.number)
            tell(place.known(clock.now()))
        sys.setswitchinterval(SWITCH_SECONDS)
        self.facts = _facts(clock.now(), self._places.all)

    def serve(self, work: WorkLike) -> None:
        """Serve until the work ends."""
        self._run(self._serve(work))

    def close(self) -> None:
        """Close what is open."""
        self._run(self._close())
        self._loop.close()

    async def _close(self) -> None:
        await self._client.close()
        for place in self._places.all:
            await place.asker.close()

    # A Sink

    def emit(self, request: int, time: int, count: int, text: str | None) -> None:
        """New tokens."""
        if self._work is not None:
            self._work.emit_read(request, time, count, text)

    def tell(self, event: Event) -> None:
        """Whatever else is learned of a request."""
        self._tell(event)

    # The loop

    def _run(self, task: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(task)

    async def _serve(self, work: WorkLike) -> None:
        loop, self._work, self._wake = self._loop, work, asyncio.Event()
        wake = self._wake.set
        self._places.changed = wake
        work.listen(functools.partial(_wake, loop, wake))
        sampling = loop.create_task(lag.sample(0, self._clock.now, self._tell))
        self._client.begin()
        try:
            self._places.look_again()
            await self._places.idle(lambda: work.stopping)
            await self._until_over(work)
        finally:
            work.listen(None)
            self._places.stop_looking()
            self._client.rest()
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)
            self._work = None

    async def _until_over(self, work: WorkLike) -> None:
        alone_since: int | None = None
        while True:
            self._wake.clear()
            for request in work.taken_back:
                self._client.cancel(request)
            if work.stopping:
                for request in self._jobs:
                    self._client.cancel(request)
            self._fill()
            if not self._jobs and work.over:
                return
            now = self._clock.now()
            alone_since = None if self._places.any_up else alone_since or now
            lost = alone_since is not None and now - alone_since > LOST_SECONDS * SECOND
            if lost and not self._jobs:
                raise LevelError(f"server lost: {self._places.said}")
            await self._until(work.look_at, alone_since)

    async def _until(self, due: int | None, alone_since: int | None) -> None:
        """Wait for a wake, or for the time (ns) when something is due."""
        if alone_since is not None:
            patience = alone_since + int((LOST_SECONDS + 0.1) * SECOND)
            due = patience if due is None else min(due, patience)
        timer = None
        if due is not None:
            delay = max(due - self._clock.now(), 0) / SECOND
            timer = self._loop.call_later(delay, self._wake.set)
        await self._wake.wait()
        if timer is not None:
            timer.cancel()

    def _fill(self) -> None:
        """Send whatever may start now."""
        work = self._work
        while work is not None and self._places.any_up:
            job = work.take(wait=False)
            place = self._place(job) if job is not None else None
            if job is None or place is None:
                return
            self._jobs[job.id] = job
            self._send(job, place)

    def _place(self, job: Job) -> Place | None:
        """Where a request goes: a conversation stays on its server while that is up."""
        last = job.history[-1].job.id if job.history else None
        stays = None if last is None else self._stays.pop(last, None)
        if stays is None or not self._places.all[stays].up:
            place = self._places.next()
        else:
            place = self._places.all[stays]
        if place is not None and self._config.talks:
            self._stays[job.id] = place.number
        return place

    def _send(self, job: Job, place: Place) -> None:
        manner, due = place.met.manner, max(job.due, place.found_at)
        salt = f"{self._salt}-{job.id}"
        context = place.met.context
        fits = context is None or job.prompt_tokens + job.max_tokens <= context
        body = manner.encode(place.prompter.of(job), job.max_tokens, salt, fits)
        if self._work is not None:
            place.prompter.expect(job, self._work.concurrency)
        self._client.send(Order(job.id, place.number, due, body, manner.by))

    def _end(self, ended: Ended) -> None:
        job, work = self._jobs.pop(ended.request), self._work
        if work is None:
            return
        match ended.how:
            case "finished":
                work.finish(job, ended.words)
            case "failed":
                work.fail(job, ended.words)
            case "dropped":
                self._places.all[ended.server].dropped = True
                work.drop(job)
        if ended.trouble:
            self._places.suspect(ended.server, ended.words)
        self._fill()
        self._wake.set()

    # Before the first level

    def _sending(self, secrets: Secrets) -> Client | Crew:
        """Who sends: this process, or several more."""
        config, clock = self._config, self._clock
        size = processes_for(config, os.cpu_count() or 1)
        if size > 1 and isinstance(clock, MonotonicClock):
            return Crew(config, clock.origin, size, loop=self._loop, sink=self, ended=self._end)
        return client_of(config, secrets, clock.now, self, self._end)

    async def _meet_all(
        self, secrets: Secrets, prompts: list[Any], loading: Callable[[], None]
    ) -> Places:
        made_up = not prompts or any(one.prompt_tokens is not None for one in prompts)
        text = corpus() if made_up else ""
        ids: list[int] = []
        if self._tokenizer is not None and text:
            ids = list(self._tokenizer.encode(text, add_special_tokens=False).ids)
        places = []
        for number, url in enumerate(self._config.urls):
            session = new_session(self._clock.now, secrets.headers, False)
            asker = Asker(session, url, self._config.timeout)
            met = await meet(asker, self._config, text, ids, loading)
            if secrets.headers and url.startswith("http:") and not is_here(url):
                met.notes.append("The key goes there over plain http, for all on the way to read.")
            source = await self._source(asker, met, bool(text))
            talks = self._config.talks
            prompter = Prompter(source, prompts, self._config.endpoint, talks)
            places.append(Place(number, met, asker, prompter))
        return Places(places, self._clock.now, self._tell)

    async def _source(self, asker: Asker, met: Met, made_up: bool) -> Source:
        """Where made-up prompts for that server come from."""
        seed = self._config.seed
        if met.pool:
            return Prompts(met.pool, [], seed)
        if self._tokenizer is not None:
            text = TokenizedText(self._tokenizer, seed)
            text.added = max((met.hello_tokens or 0) - text.count(HELLO), 0)
            return text
        measured = MeasuredText(seed)
        if made_up:
            await self._measure(asker, met, measured)
        return measured

    async def _measure(self, asker: Asker, met: Met, text: MeasuredText) -> None:
        """Learn from two texts how many tokens the server makes of a word."""
        counts = []
        for number, characters in enumerate(CALIBRATION_CHARACTERS, 1):
            sample = text.text(-number, characters)
            tokens = await prompt_tokens(asker, self._config, met, sample)
            counts.append((sample, tokens or 0))
        text.learn(counts[0], counts[1])
        met.notes.append(
            "Prompts are text whose length is near what was asked for, and told as it counts them; "
            "with --tokenizer it is exact."
        )


def _wake(loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(wake)


class _Loading:
    """Tells that a server is loading."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self) -> None:
        self._progress("weights", 0, None)


def _facts(now: int, places: Sequence[Place]) -> ModelLoaded:
    first = places[0].met
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    contexts = [place.met.context for place in places if place.met.context is not None]
    versions = {place.met.name: place.met.version for place in places}
    return ModelLoaded(
        now,
        engine="server",
        engine_reason="",
        device="server",
        device_name=f"{first.name} at {host_of(first.url)}{more}",
        dtype="unknown",
        weights="trained",
        parameters=None,
        weights_bytes=None,
        context=min(contexts, default=None),
        versions={name: version for name, version in versions.items() if version is not None},
    )

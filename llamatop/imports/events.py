"""A told run as the events of a recording: rare ones as objects, emissions as columns.

Times become nanoseconds since the run began: since the first request should have been sent. Knows
no tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from llamatop import __version__
from llamatop.errors import InputError
from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    Event,
    HostFacts,
    LevelEnded,
    LevelReported,
    LevelStarted,
    ModelLoaded,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    RequestSent,
    RunEnded,
    RunImported,
    RunStarted,
    TokensCounted,
    TokensSummed,
)
from llamatop.events.sanitize import one_line
from llamatop.imports.told import LONGEST, MOST_TOKENS, Run, Stretch, Told
from llamatop.recording.whole import Emitted
from llamatop.settings.config import RunConfig

_NOBODY = HostFacts(system="", cpu="", cores=None, memory_bytes=None, python="")


_PATH = re.compile(
    r"""(?<![\w:/.])(?:/(?!v\d|api/|health)|~/|[A-Za-z]:\\)(?:[^\s'"<>|:,;()/\\]+[/\\])+([^\s'"<>|:,;()/\\]+)"""
)
"""A place on the machine of whoever measured; the routes of a server's API are none."""


def without_paths(text: str) -> str:
    """The same with the last part alone of each path that it names."""
    return _PATH.sub(r"…/\1", text)


def events_of(run: Run, keep_text: bool = False) -> tuple[list[Event], Emitted]:
    """Every event of the run. Raises InputError where its times cannot be those of a run."""
    told = [one for level in run.levels for one in level.requests]
    if not told:
        raise InputError(f"{run.file}: holds no request")
    origin = min(_begin(one) for one in told)
    end = max(one.ended for one in told)
    if end - origin > LONGEST:
        days = (end - origin) / SECOND / 86400
        raise InputError(f"{run.file}: its times lie {days:,.0f} days apart: not those of one run")
    rare: list[Event] = list(_head(run))
    numbered: list[tuple[int, Told]] = []
    for place, level in enumerate(run.levels):
        rare += _level(place, level, origin, numbered, run)
    rare.append(RunEnded(end - origin, "ok"))
    try:
        return rare, _emitted(numbered, origin, keep_text)
    except (OverflowError, ValueError):
        raise InputError(f"{run.file}: the times of a request's chunks go backwards") from None


def _begin(one: Told) -> int:
    return one.sent if one.scheduled is None else min(one.scheduled, one.sent)


def _head(run: Run) -> Iterator[Event]:
    levels = tuple(_concurrency(level) for level in run.levels)
    model = one_line(run.model or "") or "unknown model"
    config = RunConfig(model=model, engine="server", concurrency=levels, rate=run.rate, text=False)
    yield RunStarted(0, config, _NOBODY, __version__, run.started_at)
    yield RunImported(
        time=0, tool=run.tool, title=run.title, version=run.version, file=one_line(run.file),
        clock=run.clock, notes=tuple(map(one_line, run.notes)),
    )  # fmt: skip
    yield ModelLoaded(
        time=0, engine=run.title, engine_reason="", device="none", device_name="", dtype="none",
        weights="", parameters=None, weights_bytes=None,
    )  # fmt: skip


def _concurrency(level: Stretch) -> int:
    """What the tool was asked for; else the most that were in flight together."""
    if level.concurrency is not None:
        return max(level.concurrency, 1)
    changes = sorted(
        chain.from_iterable(((one.sent, 1), (one.ended, -1)) for one in level.requests)
    )
    flying = most = 0
    for _, change in changes:
        flying += change
        most = max(most, flying)
    return max(most, 1)


def _level(
    place: int, level: Stretch, origin: int, numbered: list[tuple[int, Told]], run: Run
) -> Iterator[Event]:
    if not level.requests:
        return
    requests = sorted(level.requests, key=_begin)
    started = _begin(requests[0]) - origin
    ended = max(one.ended for one in requests) - origin
    measured = sum(not one.warmup for one in requests)
    yield LevelStarted(
        started, place, _concurrency(level), measured, place=place + 1, places=len(run.levels)
    )
    if level.figures:
        yield LevelReported(time=started, level=place, figures=level.figures)
    for one in requests:
        _check(one, run.file)
        number = len(numbered)
        numbered.append((number, one))
        yield from _request(number, place, one, origin)
    yield LevelEnded(ended, place, "ok")


def _check(one: Told, file: str) -> None:
    """Nothing can come before what it follows."""
    last = one.sent
    if len(one.chunks):
        first, last = int(one.chunks[0]), int(one.chunks[-1])
        last = last if one.sent <= first <= last else one.ended + 1
    if not last <= (last if one.rest_at is None else one.rest_at) <= one.ended:
        raise InputError(f"{file}: a request's times go backwards; they are not those of a run")
    if one.rest is not None and not 0 <= one.rest <= MOST_TOKENS:
        raise InputError(f"{file}: a request of {one.rest} tokens is none")


def _request(number: int, level: int, one: Told, origin: int) -> Iterator[Event]:
    scheduled, sent = _begin(one) - origin, one.sent - origin
    yield RequestQueued(scheduled, number, level, one.prompt, one.asked, one.warmup)
    yield RequestAdmitted(sent, number, level)
    end, chunks = one.ended - origin, len(one.chunks)
    if one.rest_at is not None:
        yield TokensSummed(one.rest_at - origin, number, one.rest)
    elif chunks and one.tokens is not None and (one.tokens != chunks or _short(one)):
        yield RequestSent(sent, number, 0, scheduled)
        yield TokensCounted(
            time=end, request=number, by=one.by, count=one.tokens or None, prompt=one.prompt,
            cached=one.cached,
        )  # fmt: skip
    if one.end == "failed":
        yield RequestFailed(end, number, without_paths(one_line(one.error)) or "failed")
    elif one.end == "cancelled":
        yield RequestCancelled(end, number)
    else:
        yield RequestFinished(end, number, "stop" if _short(one) else "length")


def _short(one: Told) -> bool:
    """Whether it has fewer tokens than asked."""
    return one.tokens is not None and one.asked is not None and one.tokens < one.asked


def _emitted(numbered: list[tuple[int, Told]], origin: int, keep_text: bool) -> Emitted:
    """Every chunk as an emission of one token: how many it has is told at the end, if at all."""
    sizes = np.fromiter((len(one.chunks) for _, one in numbered), np.int64, len(numbered))
    chunks = [np.asarray(one.chunks, np.int64) for _, one in numbered if len(one.chunks)]
    times = np.concatenate(chunks) - origin if chunks else np.empty(0, np.int64)
    requests: NDArray[np.int32] = np.repeat(np.arange(len(numbered), dtype=np.int32), sizes)
    if bool(np.any((np.diff(times) < 0) & (np.diff(requests) == 0))):
        raise ValueError("chunks that go backwards")
    return Emitted(times, requests, _texts(numbered) if keep_text else None)


def _texts(numbered: list[tuple[int, Told]]) -> list[str | None] | None:
    """The text of each chunk; one text for all goes with the last."""
    texts: list[str | None] = []
    for _, one in numbered:
        chunks = len(one.chunks)
        if len(one.texts) == chunks:
            texts += one.texts
        elif chunks:
            texts += [None] * (chunks - 1)
            texts.append("".join(one.texts) or None)
    return texts if any(texts) else None

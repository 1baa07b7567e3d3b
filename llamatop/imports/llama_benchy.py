"""llama-benchy's `--emit-progress`: a line an event, times of day in seconds, failed ones too.

A level is what shares concurrency, prompt, context and length. Warm-up runs are not in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from llamatop.errors import InputError
from llamatop.imports.reading import lines
from llamatop.imports.told import Run, Stretch, Told, count, seconds, utc

Load = tuple[int | None, int | None, int | None, int | None]
"""Concurrency, prompt, context and response size."""


class _Line(msgspec.Struct, frozen=True):
    type: str
    ts: float
    request_id: int | None = None
    llama_benchy_version: str | None = None
    model: str | None = None
    prompt_size: int | None = None
    response_size: int | None = None
    context_size: int | None = None
    concurrency: int | None = None
    ttft_s: float | None = None
    count: int | None = None
    snippet: str | None = None
    total_tokens: float | None = None
    prompt_tokens: float | None = None
    error: str | None = None


class _Begun:
    """A request whose end has not come."""

    def __init__(self, line: _Line) -> None:
        self.start = line
        self.first: float | None = None
        self.times: list[float] = []
        self.texts: list[str] = []

    def told(self, end: _Line, keep_text: bool) -> Told:
        """The whole request."""
        sent = seconds(self.start.ts, "request_start")
        chunks = [seconds(time, "tokens") for time in self.times]
        if chunks and self.first is not None:
            chunks[0] = min(chunks[0], max(sent + seconds(self.first, "ttft_s"), sent))
        failed = bool(end.error)
        return Told(
            sent,
            max(seconds(end.ts, "request_end"), chunks[-1] if chunks else sent),
            chunks=chunks,
            tokens=None if failed else count(end.total_tokens),
            prompt=None if failed else count(end.prompt_tokens),
            asked=self.start.response_size,
            end="failed" if failed else "done",
            error=end.error or "",
            texts=self.texts if keep_text else (),
        )


def read(path: Path, data: bytes, keep_text: bool = False) -> Run:
    """The run; InputError where the file is not what it seems."""
    levels: dict[Load, Stretch] = {}
    begun: dict[int, _Begun] = {}
    version = model = None
    ended = 0.0
    complete = False
    for line in lines(data, _Line, path):
        version, model = version or line.llama_benchy_version, model or line.model
        ended = max(ended, line.ts)
        complete |= line.type == "bench_complete"
        for load, told in _follow(line, begun, keep_text):
            levels.setdefault(load, Stretch([], load[0])).requests.append(told)
    for one in begun.values():  # the file ends before they do
        cut = _Line("request_end", ended, error="the file ends before this request")
        levels.setdefault(_load(one.start), Stretch([], one.start.concurrency)).requests.append(
            one.told(cut, keep_text)
        )
    requests = [one for level in levels.values() for one in level.requests]
    if not requests:
        raise InputError(f"{path.name}: holds no request")
    first = min(one.sent for one in requests)
    return Run(
        "llama-benchy", "llama-benchy", path.name,
        "times are the time of day, as floating seconds, taken about 0.1 ms after the arrival",
        list(levels.values()), version, model,
        utc(first),
        notes=_notes(requests, complete, len(levels)),
    )  # fmt: skip


def _follow(line: _Line, begun: dict[int, _Begun], keep_text: bool) -> Iterator[tuple[Load, Told]]:
    """One line; a request comes out when it has ended."""
    if line.request_id is None:
        return
    if line.type == "request_start":
        begun[line.request_id] = _Begun(line)
        return
    one = begun.get(line.request_id)
    if one is None:
        return
    if line.type == "request_first_token":
        one.first = line.ttft_s
    elif line.type == "tokens":
        one.times.append(line.ts)
        one.texts.append(line.snippet or "")
    elif line.type == "request_end":
        del begun[line.request_id]
        yield _load(one.start), one.told(line, keep_text)


def _load(start: _Line) -> Load:
    return start.concurrency, start.prompt_size, start.context_size, start.response_size


def _notes(requests: list[Told], complete: bool, levels: int) -> list[str]:
    notes = ["warm-up runs are not in the file"]
    if not complete:
        notes.append("the file ends before the benchmark does")
    done = [one for one in requests if one.end == "done"]
    short = sum(one.tokens is not None and one.tokens < (one.asked or 0) for one in done)
    if short:
        notes.append(
            f"{short} of {len(done)} successes have fewer tokens than asked: llama-benchy counts "
            "an error event in a stream as success"
        )
    if any(one.tokens not in (None, len(one.chunks)) for one in done):
        notes.append("chunks and tokens differ in number: tokens are spread evenly over chunks")
    if levels > 1:
        notes.append("a level is what shares concurrency, prompt, context and length")
    return notes

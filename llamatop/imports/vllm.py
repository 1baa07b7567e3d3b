"""`vllm bench serve --save-result --save-detailed`: one JSON object, arrays in order of issue.

Its clock is `time.perf_counter` (monotonic, seconds); the only date is local and without a zone.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from llamatop.errors import InputError
from llamatop.events.clock import SECOND
from llamatop.imports.headlines import spread
from llamatop.imports.reading import decoded
from llamatop.imports.told import Run, Stretch, Told, count

Ints = NDArray[np.int64]


class _File(msgspec.Struct, frozen=True):
    start_times: list[float]
    ttfts: list[float]
    itls: list[list[float]]
    latencies: list[float]
    input_lens: list[float]
    output_lens: list[float]
    errors: list[str]
    queue_times: list[float] | None = None
    generated_texts: msgspec.Raw = msgspec.Raw()
    date: str = ""
    endpoint_type: str = ""
    model_id: str | None = None
    max_concurrency: int | None = None
    request_rate: float | str | None = None
    completed: float | None = None
    failed: float | None = None
    duration: float | None = None
    total_output_tokens: float | None = None
    output_throughput: float | None = None
    request_throughput: float | None = None


def read(path: Path, data: bytes, keep_text: bool = False) -> Run:
    """The run; InputError where the file is not what it seems."""
    found = decoded(data, _File, path)
    asked = len(found.start_times)
    queue = found.queue_times or [0.0] * asked
    lists = (found.ttfts, found.itls, found.latencies, found.input_lens, found.output_lens)
    if any(len(one) != asked for one in (*lists, found.errors, queue)):
        raise InputError(f"{path.name}: its lists differ in length; the file is not whole")
    texts = decoded(found.generated_texts, list[str], path) if keep_text else []
    requests = _requests(found, queue, texts)
    level = Stretch(requests, found.max_concurrency, _figures(found, data, path))
    return Run(
        "vllm", "vllm bench serve", path.name,
        "times are the client's monotonic clock, without a date"
        + (f" (its file says {found.date}, local, after the run)" if found.date else ""),
        [level], None, found.model_id,
        rate=found.request_rate if isinstance(found.request_rate, float) else None,
        notes=_notes(found, requests),
    )  # fmt: skip


def _requests(found: _File, queue: list[float], texts: list[str]) -> list[Told]:
    """Every time is a difference of whole ns, so rounding each part finds them again."""
    starts, waits = _whole(found.start_times), _whole(queue)
    firsts, ends = starts + _whole(found.ttfts), starts + _whole(found.latencies)
    chunks, begins = _chunks(found, firsts)
    requests = []
    for place, (start, first, end, wait) in enumerate(
        zip(starts.tolist(), firsts.tolist(), ends.tolist(), waits.tolist(), strict=True)
    ):
        error = found.errors[place]
        own = chunks[begins[place] : begins[place + 1]]
        some = first > start or len(own) > 1
        requests.append(
            Told(
                start,
                max(end, int(own[-1])) if some else max(end, start),
                start - wait,
                own if some else (),
                tokens=(None if error else count(found.output_lens[place])) or None,
                prompt=count(found.input_lens[place]),
                end="failed" if error else "done",
                error=_reason(error) if error else "",
                texts=[texts[place]] if place < len(texts) else (),
            )
        )
    return requests


def _chunks(found: _File, firsts: Ints) -> tuple[Ints, list[int]]:
    """When each chunk came, request after request, and where each request's begin."""
    sizes = np.fromiter(map(len, found.itls), np.int64, len(found.itls))
    gaps = _whole(list(chain.from_iterable(found.itls)))
    begins = np.concatenate([[0], np.cumsum(sizes + 1)])
    times = np.empty(int(begins[-1]), np.int64)
    first = np.zeros(len(times), np.bool_)
    first[begins[:-1]] = True
    passed = np.cumsum(gaps)
    before = np.concatenate([[0], passed])[begins[:-1] - np.arange(len(sizes))]
    times[first] = firsts
    times[~first] = passed + np.repeat(firsts - before, sizes)
    return times, begins.tolist()


def _whole(values: list[float]) -> Ints:
    """Seconds as whole ns."""
    found = np.array(values, np.float64)
    if not bool(np.all(np.abs(found) < 1e9)):
        raise InputError("a time in it is none: too large, or no number")
    whole = np.trunc(found).astype(np.int64)  # by itself: a product as large would be rounded
    parts: Ints = whole * SECOND + np.rint((found - whole) * SECOND).astype(np.int64)
    return parts


def _reason(error: str) -> str:
    """An HTTP reason as it is; of a traceback, which holds paths, what was raised in the end."""
    return error.strip().rpartition("\n")[2].strip()


def _figures(found: _File, data: bytes, path: Path) -> dict[str, float]:
    """What it printed: milliseconds in its file, seconds here."""
    printed = decoded(data, _Printed, path)
    told: dict[str, float | None] = {
        "completed": found.completed,
        "failed": found.failed,
        "output_tokens": found.total_output_tokens,
        "duration_s": found.duration,
        "output_tok_s": found.output_throughput,
        "request_s": found.request_throughput,
    }
    for name in ("ttft", "tpot", "itl", "e2el"):
        ours = "e2e" if name == "e2el" else name
        for theirs, part in (("mean", "mean"), ("median", "p50"), ("p90", "p90"), ("p99", "p99")):
            value = getattr(printed, f"{theirs}_{name}_ms")
            told[f"{ours}_s.{part}"] = None if value is None else value / 1000
    return spread(told)


_Printed = msgspec.defstruct(
    "_Printed",
    [
        (f"{part}_{name}_ms", float | None, None)
        for name in ("ttft", "tpot", "itl", "e2el")
        for part in ("mean", "median", "p90", "p99")
    ],
)


def _notes(found: _File, requests: list[Told]) -> list[str]:
    notes = []
    done = [one for one in requests if one.end == "done"]
    if "chat" in found.endpoint_type:
        notes.append(
            "TTFT is the first event of a chat stream: a chunk that names the role, no token"
        )
    lengths = [one.tokens for one in done if one.tokens]
    if lengths and min(lengths) < max(lengths):
        notes.append(
            f"outputs have {min(lengths)} to {max(lengths)} tokens, and what each asked for is "
            "not in the file: this tool counts an error event in a stream as success, so "
            "that short ones may be failures"
        )
    empty = sum(one.tokens is None for one in done)
    if empty:
        notes.append(
            f"{empty} successes have no tokens by this tool's count: it loses whatever follows an "
            "SSE comment (`: keepalive`); each counts as one token here"
        )
    if any(one.end == "failed" for one in requests):
        notes.append("when a failed request ended is not in the file: its last chunk stands for it")
    if any(one.tokens not in (None, len(one.chunks)) for one in done):
        notes.append("chunks and tokens differ in number: tokens are spread evenly over chunks")
    return notes

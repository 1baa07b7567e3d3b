"""Which tool a file is of, by what is in it; a folder of a run by what lies in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from llamatop.errors import InputError
from llamatop.imports import (
    aiperf,
    benchy_table,
    genai,
    guidellm,
    inference_perf,
    llama_bench,
    llama_benchy,
    loadgen,
    loadgen_table,
    optimum,
    vllm,
)
from llamatop.imports.reading import read as read_bytes
from llamatop.imports.told import Run
from llamatop.recording.files import shown
from llamatop.recording.tables import Table

KNOWN = (
    "vllm bench serve (--save-detailed), AIPerf, guidellm, inference-perf, llama-benchy, LoadGen, "
    "genai-bench, llama-bench, optimum-benchmark"
)

HEAD = 1 << 16
"""Bytes in which a tool shows itself where the file is no JSON as a whole."""

_ENOUGH = 1000
"""Files of a folder that are looked at."""

_TIMELINES: dict[str, Callable[[Path, bytes, bool], Run]] = {
    "vllm": vllm.read,
    "aiperf": lambda path, _, keep: aiperf.read(path, keep),
    "guidellm": guidellm.read,
    "inference-perf": inference_perf.read,
    "benchy": llama_benchy.read,
    "loadgen": loadgen.read,
}
_TABLES: dict[str, Callable[[Path, bytes], Table]] = {
    "genai": lambda path, _: genai.read(path, [path]),
    "llama-bench": llama_bench.read,
    "optimum": optimum.read,
    "benchy-table": benchy_table.read,
    "loadgen-table": loadgen_table.read,
}


def read(path: Path, keep_text: bool = False) -> list[tuple[str, Run | Table]]:
    """Every run and table of a file or a folder, each with a name for its file here.

    Raises InputError, one line, where there is none, or one is not whole.
    """
    if path.is_dir():
        return list(_folder(path, keep_text))
    data = read_bytes(path)
    return [(_stem(path), _one(path, data, kind_of(path, data), keep_text))]


def _stem(path: Path) -> str:
    name = path.name
    for ending in (".json", ".jsonl", ".txt", ".progress"):
        name = name.removesuffix(ending)
    return name or path.name


def _one(path: Path, data: bytes, kind: str, keep_text: bool) -> Run | Table:
    if kind in _TIMELINES:
        return _TIMELINES[kind](path, data, keep_text)
    return _TABLES[kind](path, data)


def _folder(folder: Path, keep_text: bool) -> Iterator[tuple[str, Run | Table]]:
    """What a run's folder holds, each thing once, however many files tell of it."""
    found = list(_known(folder))
    kinds = {kind for _, kind in found}
    runs = [path for path, kind in found if kind == "genai"]
    for path, kind in found:
        beside = kind == "loadgen-table" and "loadgen" in kinds
        again = kind == "aiperf" and path != next(p for p, k in found if k == "aiperf")
        if beside or again or kind == "genai":
            continue
        single = sum(k == kind for _, k in found) == 1 or kind == "aiperf"
        name = folder.resolve().name if single else f"{folder.resolve().name}-{_stem(path)}"
        yield name, _one(path, read_bytes(path), kind, keep_text)
    if runs:
        yield folder.resolve().name, genai.read(folder.resolve(), runs)
    if not found:
        raise InputError(f"{shown(folder)}: holds no result file of {KNOWN}")


def _known(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files of a folder, and of AIPerf's `raw_records` in it, that a tool wrote."""
    try:
        files = sorted(folder.iterdir())[:_ENOUGH]
        files += sorted((folder / "raw_records").glob("*.jsonl"))[:_ENOUGH]
    except OSError as error:
        raise InputError(f"{shown(folder)}: cannot be read: {error.strerror}") from None
    for file in files:
        if file.suffix in (".json", ".jsonl", ".txt") and file.is_file() and file.stat().st_size:
            try:
                data = read_bytes(file)
                kind = kind_of(file, data)
            except InputError:
                continue
            yield file, kind


def kind_of(path: Path, data: bytes) -> str:
    """The kind of a file; InputError names those that are known where it is none of them."""
    head = data[:HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")
    kind = _of_text(head) or _of_json(data, head)
    if kind is None:
        raise InputError(f"{shown(path)}: {_why(data, head)}")
    return kind


def _of_text(head: bytes) -> str | None:
    if head.startswith(b'{"traceEvents"') and b"GenerateLoadableSets" in head:
        return "loadgen"
    if b"MLPerf Results Summary" in head:
        return "loadgen-table"
    return None


def _why(data: bytes, head: bytes) -> str:
    """Why no tool knows it."""
    if head.startswith(b":::MLLOG"):
        return "LoadGen's detail log has no figures of requests; import its trace or its summary"
    if _keys(data) >= {"model_id", "request_throughput"}:
        return "written by vllm bench without --save-detailed: it has no request's times"
    if head[:1] in (b"{", b"["):
        cut = not data.rstrip().endswith((b"}", b"]"))
        return f"a JSON file that is {'cut off' if cut else 'of none of these'}: {KNOWN}"
    return f"not a result file of {KNOWN}"


def _of_json(data: bytes, head: bytes) -> str | None:
    """By the keys of the whole object, of the first of a list, or of the first line."""
    if head[:1] == b"[":
        return _by_keys(_first_of_list(data))
    if head[:1] != b"{":
        return None
    line, more, _ = data.partition(b"\n")
    return _by_keys(_keys(line)) or (_by_keys(_keys(data)) if more else None)


def _keys(data: bytes) -> set[str]:
    """The keys of an object; none where it is none."""
    try:
        return set(msgspec.json.decode(data, type=dict[str, msgspec.Raw]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return set()


def _first_of_list(data: bytes) -> set[str]:
    try:
        some = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return set()
    return _keys(bytes(some[0])) if some else set()


_SIGNS: tuple[tuple[set[str], str], ...] = (
    ({"start_times", "ttfts", "itls", "latencies"}, "vllm"),
    ({"metadata", "metrics"}, "aiperf"),
    ({"metadata", "start_perf_ns", "responses"}, "aiperf"),
    ({"benchmarks", "metadata", "config"}, "guidellm"),
    ({"start_time", "end_time", "request", "info"}, "inference-perf"),
    ({"type", "ts", "llama_benchy_version"}, "benchy"),
    ({"aggregated_metrics", "individual_request_metrics"}, "genai"),
    ({"build_commit", "n_prompt", "n_gen", "avg_ts"}, "llama-bench"),
    ({"report", "config"}, "optimum"),
    ({"load_model", "prefill", "decode"}, "optimum"),
    ({"benchmarks", "latency_mode", "model"}, "benchy-table"),
)


def _by_keys(keys: set[str]) -> str | None:
    return next((kind for signs, kind in _SIGNS if signs <= keys), None)

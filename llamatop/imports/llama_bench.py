"""llama-bench (`-o json`, `-o jsonl`): a row a test, with its repetitions; no requests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from llamatop.errors import InputError
from llamatop.imports.headlines import spread
from llamatop.imports.reading import decoded, lines
from llamatop.recording.tables import Row, Table


class _Test(msgspec.Struct, frozen=True):
    n_prompt: int
    n_gen: int
    avg_ts: float
    samples_ns: list[float] = []
    n_depth: int = 0
    build_number: int = 0
    model_filename: str = ""
    n_threads: int | None = None
    n_gpu_layers: int | None = None
    n_batch: int | None = None
    n_ubatch: int | None = None
    type_k: str | None = None
    type_v: str | None = None
    flash_attn: bool | int | str | None = None


_OPTIONS = {
    "model_filename": "-m", "n_threads": "-t", "n_gpu_layers": "-ngl", "n_batch": "-b",
    "n_ubatch": "-ub", "type_k": "-ctk", "type_v": "-ctv", "flash_attn": "-fa",
}  # fmt: skip
"""By its name in the file, the option of which one call tries several values."""


def read(path: Path, data: bytes) -> Table:
    """A row a test, those that only generate first."""
    if data.lstrip()[:1] == b"[":
        tests = decoded(data, list[_Test], path)
    else:
        tests = list(lines(data, _Test, path))
    if not tests:
        raise InputError(f"{path.name}: holds no test")
    tried = [name for name in _OPTIONS if len({getattr(test, name) for test in tests}) > 1]
    rows = sorted(
        (_row(test, tried) for test in tests), key=lambda row: "output_tok_s" not in row.figures
    )
    notes = [
        "generation alone is its output throughput: no prompt is in that time",
        *(
            ["the prefill of a depth is in none of its times"]
            if any(t.n_depth for t in tests)
            else []
        ),
    ]
    build = tests[0].build_number
    model = "" if "model_filename" in tried else Path(tests[0].model_filename).name
    return Table(
        tool="llama-bench", file=path.name, rows=rows, notes=notes,
        version=f"b{build}" if build else None, model=model or None,
    )  # fmt: skip


def _row(test: _Test, tried: Sequence[str]) -> Row:
    """Rates are made anew from the ns of each repetition: its own have six digits.

    `tried`: what differs from test to test, and stands in the row's name.
    """
    tokens = test.n_prompt + test.n_gen
    rates = [tokens / ns * 1e9 for ns in test.samples_ns if ns > 0]
    kind = "prompt_tok_s" if not test.n_gen else "total_tok_s" if test.n_prompt else "output_tok_s"
    told: dict[str, float | None] = {kind: test.avg_ts}
    samples = {kind: rates}
    if kind == "output_tok_s" and test.n_gen > 0:
        each = [ns / test.n_gen / 1e9 for ns in test.samples_ns]
        if each:
            told["tpot_s.mean"] = sum(each) / len(each)
            samples["tpot_s"] = each
    parts = [f"pp{test.n_prompt}"] * bool(test.n_prompt) + [f"tg{test.n_gen}"] * bool(test.n_gen)
    depth = f" at depth {test.n_depth}" if test.n_depth else ""
    options = "".join(f", {_OPTIONS[name]} {_told(test, name)}" for name in tried)
    return Row(
        name="+".join(parts) + depth + options, concurrency=1, figures=spread(told), samples=samples
    )


def _told(test: _Test, name: str) -> str:
    value = str(getattr(test, name))
    return Path(value).name if name == "model_filename" else value

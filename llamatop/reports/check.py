"""What `check` says of a model, for a person to read: within 80 columns. Computes nothing."""

from __future__ import annotations

from llamatop.events.sanitize import one_line
from llamatop.hardware.processor import FASTER, SLOW_BFLOAT16, cpu_has_bfloat16
from llamatop.predict.checking import Check, LevelCheck
from llamatop.predict.fit import Verdict
from llamatop.reports.bar import Pen, bars, legend
from llamatop.text.formatting import count, duration, number, size

WIDTH = 80
INDENT = 15
"""Columns before a bar: as wide as the first column of the table above it."""
COLOURS: dict[Verdict, int] = {"fits": 32, "tight": 33, "does not fit": 31}
"""As a terminal numbers them."""


def check_text(one: Check, pen: Pen | None = None) -> str:
    """One model: what it is, a line and a bar for each level, the most that fits."""
    pen = pen or Pen()
    parts = [
        "\n".join(_model(one, pen)),
        "\n".join(_levels(one, pen)),
        "\n".join(_bars(one, pen)),
        "\n".join([*_most(one), *_slow(one), *_advice(one)]),
    ]
    return "\n\n".join(parts)


def _model(one: Check, pen: Pen) -> list[str]:
    trace, place = one.trace, one.place
    active = trace.active_parameters
    stored = " ".join(filter(None, (trace.quantization, trace.dtype)))
    of_which = "" if active == trace.parameters else f", {count(active)} of them for each token"
    weights = f"{size(trace.weights_bytes)} in {stored}"
    cache = f"{size(trace.kv_bytes_per_token)} of cache for each token"
    parameters = f"{count(trace.parameters)} parameters{of_which}"
    name = one_line(one.config.model)
    return [
        f"{pen.paint(name, 1)}: {pen.paint(one.verdict, COLOURS[one.verdict])}",
        *_joined([parameters, weights, cache]),
        *_joined(
            [
                f"{place.name or place.device}, {size(place.available_bytes)} available",
                f"engine {one.engine}",
                f"{one.config.prompt_toks} tokens in, {one.config.gen_toks} out",
            ]
        ),
        *([f"  {trace.quantization_note}"] if trace.quantization_note else []),
    ]


def _joined(facts: list[str]) -> list[str]:
    """Facts on as few lines as hold them."""
    lines: list[str] = []
    for fact in facts:
        if lines and len(lines[-1]) + len(fact) + 2 <= WIDTH:
            lines[-1] += f"; {fact}"
        else:
            lines.append(f"  {fact}")
    return lines


def _levels(one: Check, pen: Pen) -> list[str]:
    head = f"  {'concurrency':>11}  {'peak memory':>11}  {'':<12}  {'decode at most':>16}  "
    return [f"{head}{'prefill at least':>16}", *(_level(level, pen) for level in one.levels)]


def _level(level: LevelCheck, pen: Pen) -> str:
    rate = f"{number(level.decode_tok_s)} tok/s"
    return (
        f"  {level.concurrency:>11}  {size(level.prediction.peak_bytes):>11}  "
        f"{pen.paint(f'{level.verdict:<12}', COLOURS[level.verdict])}  {rate:>16}  "
        f"{duration(level.prefill_s):>16}"
    )


def _bars(one: Check, pen: Pen) -> list[str]:
    """A bar for each level, and the parts of the largest."""
    peaks = [level.prediction.parts for level in one.levels]
    drawn = bars(peaks, one.place.available_bytes, WIDTH - INDENT, pen)
    lines = [
        f"  {level.concurrency:>11}  {bar}" for level, bar in zip(one.levels, drawn, strict=True)
    ]
    largest = max(one.levels, key=lambda level: level.concurrency)
    named = legend(largest.prediction.parts, WIDTH - INDENT, pen)
    title = f"at {largest.concurrency}" if len(one.levels) > 1 else ""
    return [
        *lines,
        "",
        *(f"  {title if n == 0 else '':>11}  {line}" for n, line in enumerate(named)),
    ]


def _most(one: Check) -> list[str]:
    sure, at_best = one.max_concurrency, one.max_concurrency_at_best
    if not at_best:
        return ["  not one request fits"]
    if not sure:
        return [f"  at most {at_best:,} at once, if the estimate holds"]
    more = f", {at_best:,} if the estimate holds" if at_best > sure else ""
    return [f"  at most {sure:,} requests at once{more}; or {one.max_context:,} tokens of context"]


def _slow(one: Check) -> list[str]:
    """Nobody asked for bfloat16, and the processor here does not compute it itself."""
    chosen = one.config.dtype == "auto" and one.trace.dtype == "bfloat16"
    if (
        not (chosen and one.may_fit)
        or one.place.device != "cpu"
        or not one.place.here
        or cpu_has_bfloat16() is not False
    ):
        return []
    return [f"  {SLOW_BFLOAT16};", f"  --dtype {FASTER} and takes twice the memory"]


def _advice(one: Check) -> list[str]:
    return ["  what would fit:", *(f"    {way}" for way in one.would_fit)] if one.would_fit else []

"""What `check` says of a model, for a person to read: within 80 columns. Computes nothing."""

from __future__ import annotations

from textwrap import wrap

from llamatop.events.sanitize import one_line
from llamatop.hardware.processor import FASTER, SLOW_BFLOAT16, cpu_has_bfloat16
from llamatop.predict.checking import Check, LevelCheck, Told
from llamatop.reports.bar import Pen, bars, legend
from llamatop.text.formatting import count, duration, number, percent, plural, size

WIDTH = 80
INDENT = 15
"""Columns before a bar: as wide as the first column of the table above it."""
COLOURS: dict[Told, int] = {"fits": 32, "tight": 33, "does not fit": 31, "unknown": 33}
"""As a terminal numbers them."""

_NAMES = {
    "parameters": "parameters",
    "weights_bytes": "weights",
    "stored_bytes": "weights",
    "kv_bytes_per_token": "cache",
    "peak_bytes": "peak memory",
    "max_concurrency": "most requests",
    "max_concurrency_at_best": "most requests",
    "max_context": "longest context",
    "decode_floor_tok_s": "decode and prefill",
    "prefill_floor_s": "decode and prefill",
}
"""Of figures that may not be known."""


def check_text(one: Check, pen: Pen | None = None) -> str:
    """One model: what it is, the most that fits, a line and a bar for each level."""
    pen = pen or Pen()
    parts = [
        "\n".join(_model(one, pen)),
        "\n".join(_levels(one, pen)),
        "\n".join(_bars(one, pen)),
        "\n".join([*_slow(one), *_advice(one), *_unknown(one)]),
    ]
    return "\n\n".join(filter(None, parts))


def _model(one: Check, pen: Pen) -> list[str]:
    trace, place = one.trace, one.place
    active = trace.active_parameters
    stored = " ".join(filter(None, (trace.quantization, trace.dtype)))
    of_which = "" if active == trace.parameters else f", {count(active)} of them for each token"
    weights = f"weights of {size(trace.weights_bytes)} in {stored}"
    if trace.weights_bytes is not None:
        weights = weights.removeprefix("weights of ")
    told = "kv_bytes_per_token" not in trace.unknown
    cache = f"{size(trace.kv_bytes_per_token if told else None)} of cache for each token"
    parameters = f"{count(trace.parameters)} parameters{of_which}"
    name = one_line(one.config.model)
    return [
        f"{pen.paint(name, 1)}: {pen.paint(_headline(one), COLOURS[one.verdict])}",
        *_lacking(one),
        *_most(one),
        *_joined([parameters, weights, cache]),
        *_joined(
            [
                f"{place.name or place.device}, {size(place.available_bytes)} available",
                f"engine {one.engine}" + (", weights packed" if one.packed else ""),
                f"{one.config.prompt_toks} tokens in, {one.config.gen_toks} out",
            ]
        ),
        *(f"  {note}" for note in (trace.quantization_note, *trace.notes) if note),
    ]


def _lacking(one: Check) -> list[str]:
    lines = [f"but its files are not whole: {one_line(what)}" for what in one.lacking]
    return [f"  {part}" for line in lines for part in wrap(line, WIDTH - 2)]


def _headline(one: Check) -> str:
    """The verdict of the largest level that was asked for; where a smaller has a better, both."""
    levels = sorted(one.levels, key=lambda level: level.concurrency)
    better = [level for level in levels if level.verdict != one.verdict]
    if not better or one.verdict == "unknown":
        return one.verdict
    best = better[0].verdict
    most = max(level.concurrency for level in levels if level.verdict == best)
    after = next(level for level in levels if level.concurrency > most)
    return f"{best} up to {most:,}, {after.verdict} at {after.concurrency:,}"


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
    return [
        f"{head}{'prefill at least':>16}",
        *(_level(level, pen) for level in one.levels),
        *_bounds(one),
    ]


def _bounds(one: Check) -> list[str]:
    """What the bounds of decode and prefill rest on."""
    if all(level.decode_tok_s is None for level in one.levels):
        return []
    name = one.place.name or one.place.device
    if one.place.roofs is not None:
        return [f"  bounds by the bandwidth and arithmetic published of {name}"]
    return [f"  bounds by the bandwidth and arithmetic that llamatop roofline measured on {name}"]


def _level(level: LevelCheck, pen: Pen) -> str:
    peak = level.prediction.peak_bytes if level.prediction else None
    rate = f"{number(level.decode_tok_s)} tok/s"
    return (
        f"  {level.concurrency:>11}  {size(peak):>11}  "
        f"{pen.paint(f'{level.verdict:<12}', COLOURS[level.verdict])}  {rate:>16}  "
        f"{duration(level.prefill_s):>16}"
    )


def _bars(one: Check, pen: Pen) -> list[str]:
    """A bar for each level, and the parts of the largest."""
    known = [(level, level.prediction.parts) for level in one.levels if level.prediction]
    if not known:
        return []
    peaks = [parts for _, parts in known]
    drawn = bars(peaks, one.place.available_bytes, WIDTH - INDENT, pen)
    lines = [
        f"  {level.concurrency:>11}  {bar}" for (level, _), bar in zip(known, drawn, strict=True)
    ]
    largest, parts = max(known, key=lambda one: one[0].concurrency)
    named = legend(parts, WIDTH - INDENT, pen)
    title = f"at {largest.concurrency}" if len(one.levels) > 1 else ""
    return [
        *lines,
        "",
        *(f"  {title if n == 0 else '':>11}  {line}" for n, line in enumerate(named)),
    ]


def _most(one: Check) -> list[str]:
    sure, at_best = one.max_concurrency, one.max_concurrency_at_best
    if sure is None or at_best is None:
        return []
    context = "" if not one.max_context else f", or one of {one.max_context:,} tokens"
    lengths = f"{one.config.prompt_toks:,} + {one.config.gen_toks:,} tokens"
    if not at_best:
        return [f"  not one request of {lengths} fits{context}"]
    known = f" ({at_best:,} if the estimate holds)" if at_best > sure else ""
    told = f"at most {plural(sure, 'request')} of {lengths} at once{known}{context}"
    if not sure:
        told = f"no request of {lengths} for sure{known}{context}"
    low = f"{percent(one.band)} too low, in all but what libraries and driver take"
    why = f"the lower count has room for a prediction that is {low}"
    lines = [told, why] if known else [told]
    return [f"  {part}" for line in lines for part in wrap(line, WIDTH - 2)]


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


def _unknown(one: Check) -> list[str]:
    """Each reason once, with the figures that are not known for it."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in one.unknown.items():
        by_reason.setdefault(one_line(reason), []).append(name)
    lines = [f"{_NAMES[names[0]]}: {reason}" for reason, names in by_reason.items()]
    return [f"  {part}" for line in lines for part in wrap(line, WIDTH - 2)]

"""The latency panel: percentiles at fixed places, and how the values are spread."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from llamatop.figures.stats import Distribution
from llamatop.text.formatting import percent
from llamatop.tui.drawing.charts import columns, histogram, shares
from llamatop.tui.drawing.lines import Line, Span, fit, line_width
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.recent import RECENT, Latency
from llamatop.tui.monitor.views.history import level_name, shaded
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.values import TIMES, latency_unit, roughly, span
from llamatop.tui.monitor.views.values import latency as shown

_PAIRS = (("TTFT", "TPOT"), ("ITL", "E2E"))

ROWS = ("TTFT", "TTFA", "TPOT", "ITL", "E2E", "queue", "late", "lag")
"""Every figure that there may be, in the order of its rows."""

_OF_TOKENS = ("TPOT", "ITL")
"""Figures that rest on how many tokens there were."""

_OF_CLIENT = ("late", "lag")
"""What the client says of itself."""

_CELL, _NARROW = 9, 6
"""Cells of a number; where a column more would find no room."""

_TABLE = 10 + 3 * _CELL
"""Cells that the numbers take."""

_SHOWN = ("p50", "p90", "p99")

Targets = tuple[tuple[str, float], ...]
"""A figure's name and its target in seconds."""

Before = tuple[int, Latency]
"""Concurrency and latencies of the level before a change by hand."""

_LOW = 0.75
"""Height of the bars within a row: rows below one another must not touch."""

_HISTOGRAM = 4
"""Rows without which the histogram of a figure takes the place of the others' rows."""

_ROOM_FOR_WORDS = 46
"""Cells in which the upper border has room for whole words."""

_ENOUGH = 5
"""Values from which their spread is worth drawing."""

_SMALLEST = 1e-6
"""Seconds below which a histogram does not tell values apart."""


def latency(frame: Frame, width: int, height: int) -> Content:
    """What stands inside the panel."""
    targets = tuple((name.upper(), s) for name, s in frame.figures.slo.items())
    choices = frame.choices
    known = frame.figures.latency()
    before = frame.figures.latency_before()
    content = _content(known, before, targets, choices.figure, (width, height))
    if known.requests and (which := level_name(frame)):
        content = replace(content, corner=[*content.corner, [(which, "dim")]])
    hints = [*(_HINTS if choices.focus == "latency" else ()), *content.hints]
    return replace(content, hints=hints) if hints else content


_HINTS: tuple[tuple[Span, ...], ...] = ((("↑↓", "key"), (" figure", "dim")),)


def turned(frame: Frame, steps: int) -> None:
    """Choose the figure so many rows further down; above the first there is none."""
    choices, last = frame.choices, len(rows_of(frame.figures.latency())) - 1
    at = -1 if choices.figure is None else choices.figure
    at = min(max(at + steps, -1), last)
    choices.figure = None if at < 0 else at


def rows_of(known: Latency) -> list[str]:
    """The figures that this run has."""
    return [name for name in ROWS if name in known.values]


@lru_cache(maxsize=4)
def _content(
    known: Latency,
    before: Before | None,
    targets: Targets,
    figure: int | None,
    room: tuple[int, int],
) -> Content:
    """Made once for each second's latencies, not for each frame."""
    width, height = room
    rows = rows_of(known)
    name = rows[min(figure, len(rows) - 1)] if figure is not None else None
    alone = name is not None and height - len(rows) - 1 < _HISTOGRAM
    lines = [_heading(width, before)]
    lines += [
        _row(row, known, before, width, target=dict(targets).get(row), chosen=row == name)
        for row in rows
        if row == name or not alone
    ][: max(height - 1, 0)]
    left = height - len(lines)
    if name is not None:
        lines += histogram_lines(name, known.values[name], width, left)
    elif left >= 14 and width >= 60:
        lines += [(), *_four(known, width, left - 1)]
    elif left >= 3:
        gap: list[Line] = [()] if left >= 4 else []
        lines += [*gap, *histogram_lines("ITL", known.values["ITL"], width, left - len(gap))]
    unseen = 1 + len(rows) > height or alone
    return Content(lines, corner=_basis(known, width), hints=_client(known) if unseen else ())


def _client(known: Latency) -> list[list[Span]]:
    """In the lower border, where its rows find no room: how late the client is."""
    told: list[Span] = []
    for name in _OF_CLIENT:
        if spread := known.spread.get(name):
            role = "bad" if known.client_bound else "text"
            told += [(f"{' ' if told else 'client '}{name} ", "dim"), (span(spread.p99), role)]
    return [[*told, (" p99", "dim")]] if told else []


def _four(known: Latency, width: int, height: int) -> list[Line]:
    """A histogram for each of the four, two beside each other."""
    half, upper = width // 2, height // 2
    lines: list[Line] = []
    for (first, second), rows in zip(_PAIRS, (upper, height - upper), strict=True):
        sides = [
            [*histogram_lines(name, known.values[name], half - 1, rows - 1), *[()] * rows][:rows]
            for name in (first, second)
        ]
        lines += [(*fit(a, half), *fit(b, width - half)) for a, b in zip(*sides, strict=True)]
    return lines


def _cell(width: int, before: Before | None) -> int:
    """Cells of a number: fewer where those of the level before stand beside them."""
    return _NARROW if before is not None and width < _TABLE + _CELL + 2 else _CELL


def _heading(width: int, before: Before | None) -> Line:
    cell = _cell(width, before)
    head: list[Span] = [("      ", "text"), *((f"{name:>{cell}}", "dim") for name in _SHOWN)]
    if before is not None:
        head.append((f"   {f'{TIMES}{before[0]} p50':>{cell + 3}}", "key"))
    return tuple(head)


def _basis(known: Latency, width: int) -> list[list[Span]]:
    """How many requests these are, and before it the share that meets the targets."""
    if not known.requests:
        return []
    word = f"newest {known.of}" if known.requests == RECENT else known.of
    basis: list[list[Span]] = [[(f"{known.requests:,}", "text"), (f" {word}", "dim")]]
    if known.met is None:
        return basis
    role = "text" if known.met == 1 else "warn"
    words = " meet the targets" if width >= _ROOM_FOR_WORDS else " met"
    return [[(percent(known.met), role), (words, "dim")], *basis]


def _row(
    name: str,
    known: Latency,
    before: Before | None,
    width: int,
    *,
    target: float | None,
    chosen: bool,
) -> Line:
    spread = known.spread.get(name)
    unit = latency_unit(spread.p99 if spread else None)
    numbers = (spread.p50, spread.p90, spread.p99) if spread else (None, None, None)
    line: list[Span] = [(f"{'▸' if chosen else ' '}{name:<5}", "key" if chosen else "dim")]
    rough, cell = known.rough and name in _OF_TOKENS, _cell(width, before)
    bad = "bad" if known.client_bound and name in _OF_CLIENT else None
    line += [
        (f"{roughly(shown(value, unit), rough):>{cell}}", bad or _role(value, target))
        for value in numbers
    ]
    line.append((f" {unit if spread else '':<2}", "dim"))
    if before is not None:
        line.append(_of_before(name, before[1], cell))
    room = width - line_width(line) - 2
    if spread and spread.count >= _ENOUGH and room >= 5:
        line.append(("  ", "text"))
        line.append((_inline(known.values[name], spread, min(room, 20)), "work.5"))
    return tuple(line)


def _of_before(name: str, before: Latency, cell: int) -> Span:
    """The median of the level before, in its own unit."""
    spread = before.spread.get(name)
    unit = latency_unit(spread.p50 if spread else None)
    rough = before.rough and name in _OF_TOKENS
    told = roughly(shown(spread.p50 if spread else None, unit), rough)
    return f"{told:>{cell}} {unit if spread else '':<2}", "key"


def _role(value: float | None, target: float | None) -> str:
    """A value beyond its target is a warning."""
    if value is None:
        return "dim"
    return "warn" if target is not None and value > target else "text"


def _inline(values: Sequence[float], spread: Distribution, width: int) -> str:
    """The distribution of a row in one line of bars, smallest values at the left."""
    if spread.high - spread.low < _SMALLEST:
        return ""
    counts = histogram(values, width, max(spread.low, _SMALLEST), spread.high)
    return columns([share * _LOW for share in shares(counts)])[0]


def histogram_lines(name: str, values: Sequence[float], width: int, height: int) -> list[Line]:
    """Upright bars over an axis with the ends' values: the gaps between tokens."""
    low, high = max(min(values, default=0), _SMALLEST), max(values, default=0)
    bars = max(width - 2, 1)
    if high - low < _SMALLEST or height < 3:
        return []
    counts = histogram(values, bars, low, high)
    rows = columns(shares(counts), height - 1)
    first, last = span(low), span(high)
    title = f"{name}, {len(values):,} values" if name else f"{len(values):,} gaps"
    blank = max(bars - len(first) - len(last), 0)
    middle = title.center(blank) if len(title) + 2 <= blank else " " * blank
    lines: list[Line] = [((" ", "text"), *line) for line in shaded(rows, "work")]
    return [*lines, ((f" {first}{middle}{last}", "dim"),)]

"""The memory panel of the start screen: what the chosen model would take, and what there is."""

from __future__ import annotations

from textwrap import wrap

from llamatop.events.sanitize import one_line
from llamatop.reports.fit import Fit
from llamatop.reports.models import Choice
from llamatop.text.formatting import count, percent, size
from llamatop.tui.drawing.charts import bar
from llamatop.tui.drawing.lines import Line, Span, clip, fit, left
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.values import TIMES
from llamatop.tui.start.form import SERVER
from llamatop.tui.start.listing import SIGNS
from llamatop.tui.start.rows import GROUPS
from llamatop.tui.start.state import Start

LABEL = 13
"""Cells before an amount."""

LEVELS = (1, 4, 16, 64, 256, 1024)
"""Requests at once for which the need is told, as many as there is room for."""


def memory(start: Start, width: int, height: int) -> Content:
    """What the chosen model would take, and what there is."""
    choice = start.selected
    if not isinstance(choice, Choice):
        return Content()
    if choice.source == SERVER:
        return Content([_who(choice, width), *_on_server(width)][:height])
    found = start.fit(choice)
    lines: list[Line] = [_who(choice, width), ((f" {_kind(choice)}", "dim"),), ()]
    if start.faulty:
        return Content([*lines, ((" a setting is not valid: nothing is known", "dim"),)])
    if found is None:
        return Content([*lines, ((" looking at this machine…", "dim"),)])
    lines += _needs(start, choice, found, width)
    if found.needed is not None:
        lines += _other_levels(start, choice, height - len(lines))
    return Content(lines[:height], corner=[verdict(start, found)])


def verdict(start: Start, found: Fit) -> list[Span]:
    """Whether it fits, and of lengths that are drawn that the longest are meant."""
    sign, role = SIGNS[found.verdict]
    drawn = start.config.prompt_lengths or start.config.gen_lengths
    for_the = " at the longest" if drawn and found.needed is not None else ""
    return [(f"{sign} ", role), (f"{found.verdict}{for_the}", "text")]


def _on_server(width: int) -> list[Line]:
    told = "the model is the server's: nothing is loaded here, and what it takes is not known"
    return [(), *(((" " + part, "dim"),) for part in wrap(told, max(width - 2, 8)))]


def _who(choice: Choice, width: int) -> Line:
    return ((" " + clip(one_line(choice.model), width - 2), "text.bold"),)


def _kind(choice: Choice) -> str:
    if choice.source == "typed":
        return "from the Hugging Face Hub, or a folder"
    kind = GROUPS.get(choice.source, choice.source).partition(",")[0].removesuffix("s")
    told = f"{count(choice.parameters)} parameters" if choice.parameters else ""
    return ", ".join(part for part in (told, kind) if part)


def _needs(start: Start, choice: Choice, found: Fit, width: int) -> list[Line]:
    """The parts of the estimate, their sum, and the share of what is there."""
    if found.verdict == "cannot load":
        told = choice.problem(start.form.weights_for(choice.source))
        return [((" " + part, "bad"),) for part in wrap(told, max(width - 2, 8))]
    if found.verdict == "too short" and choice.context is not None:
        asked = start.config.prompt_toks + start.config.gen_toks
        found_room = (f"{asked:>9,}", "bad"), (f"  of {choice.context:,} tokens", "dim")
        return [((left(" asked for", LABEL), "dim"), *found_room), *_there(found, width)]
    if found.needed is None:
        return [((" its size is known when it is loaded", "dim"),), *_there(found, width)]
    notes = {"KV cache": _kv_note(start)}
    lines = [_amount(name, of, notes.get(name, ""), width) for name, of in found.parts]
    total: Line = fit(
        (
            (left(" needs about" if found.estimated else " needs", LABEL), "dim"),
            (f"{size(found.needed):>9}", "memory.bold"),
        ),
        width,
    )
    return [*lines, total, *_there(found, width)]


def _kv_note(start: Start) -> str:
    config = start.config
    tokens = config.prompt_toks + config.gen_toks
    return f"{max(config.concurrency):,} {TIMES} {tokens:,} tokens"


def _amount(name: str, of: int, note: str, width: int) -> Line:
    spans: list[Span] = [(left(f" {name}", LABEL), "dim"), (f"{size(of):>9}", "text")]
    return fit((*spans, (f"  {note}", "dim")), width)


def _there(found: Fit, width: int) -> list[Line]:
    """What is to be had, and the share of it that is needed."""
    if found.available is None:
        return [((" the device does not tell its memory", "dim"),)]
    total = f"of {size(found.total)}" if found.total is not None else ""
    lines = [_amount("available", found.available, total, width), ()]
    if found.needed is not None and found.available:
        share = found.needed / found.available
        done, rest = bar(min(share, 1.0), max(width - 9, 1))
        role = {"tight": "warn", "does not fit": "bad"}.get(found.verdict, "memory")
        told = percent(share) if share < 9.995 else f"{share:,.0f} {TIMES}"
        lines.append(((" ", "text"), (done, role), (rest, "faint"), (f"{told:>7}", "text")))
    return lines


def _other_levels(start: Start, choice: Choice, room: int) -> list[Line]:
    """What it would be with more or fewer requests at once, in the rows that are left."""
    if room < 4:
        return []
    lines: list[Line] = [(), ((f" {'in flight':>11}{'KV cache':>11}{'needs':>11}", "dim"),)]
    for level in LEVELS[: room - 2]:
        found = start.fit(choice, level)
        if found is not None and found.needed is not None:
            sign, role = SIGNS[found.verdict]
            cache = dict(found.parts).get("KV cache")
            told = f" {level:>11,}{size(cache):>11}{size(found.needed):>11}"
            lines.append(((told, "text"), (f"  {sign}", role)))
    return lines

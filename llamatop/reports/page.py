"""One page of HTML with a run's charts and tables. It asks no network and runs no script.

The charts are drawn once; their colours are variables of the page, so they follow the reader's
light or dark setting. Every text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from html import escape

from llamatop import __version__
from llamatop.figures.levels import LevelFigures
from llamatop.reports.charts.files import charts
from llamatop.reports.charts.forked import every
from llamatop.reports.charts.paper import Sheet
from llamatop.reports.charts.theme import DARK, LIGHT, Theme
from llamatop.reports.charts.wrap import printable
from llamatop.reports.compare import Comparison
from llamatop.reports.model_table import MODEL_HEAD, model_cells, model_table
from llamatop.reports.runs import Run, labels
from llamatop.reports.servers import ROUGH
from llamatop.reports.text import difference_cells
from llamatop.text.formatting import UNKNOWN, duration, number, size

_STYLE = """
:root { color-scheme: light dark; %(light)s }
@media (prefers-color-scheme: dark) { :root { %(dark)s } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  max-width: 70rem; margin: 0 auto; padding: 1.5rem; }
h1, h2 { line-height: 1.2; overflow-wrap: anywhere; } figure { margin: 1.5rem 0; }
figure, .wide { overflow-x: auto; } svg { width: 100%%; min-width: 36rem; height: auto; }
table { border-collapse: collapse; font-size: .875rem; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--grid);
  white-space: nowrap; } td { font-variant-numeric: tabular-nums; }
td.text { white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
footer, .muted { color: var(--muted); }
@media print { figure { break-inside: avoid; } }
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(runs: Sequence[Run], comparisons: Sequence[Comparison] = (), at_once: int = 1) -> str:
    """The whole page as text, its charts drawn by so many processes."""
    title = " · ".join(dict.fromkeys(printable(run.model) for run in runs))
    figures, left_out = _charts(runs, at_once)
    parts = [
        f"<h1>{escape(title)}</h1>",
        _setup(runs),
        *(f"<h2>{escape(run.name)}</h2>{_levels(run)}" for run in runs),
        _models(runs) if len(runs) > 1 else "",
        *(_comparison(one) for one in comparisons),
        *figures,
        f'<p class="muted">Not drawn: {escape("; ".join(left_out))}.</p>' if left_out else "",
        f"<footer>llamatop {escape(__version__)}</footer>",
    ]
    style = _STYLE % {"light": _variables(LIGHT), "dark": _variables(DARK)}
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _colors(theme: Theme) -> dict[str, str]:
    named = {
        "paper": theme.paper, "ink": theme.ink, "muted": theme.muted, "grid": theme.grid,
        "alarm": theme.alarm,
    }  # fmt: skip
    return named | {f"s{place}": color for place, color in enumerate(theme.series)}


def _variables(theme: Theme) -> str:
    return " ".join(f"--{name}: {color};" for name, color in _colors(theme).items())


def _charts(runs: Sequence[Run], at_once: int) -> tuple[list[str], list[str]]:
    """The charts, and those left out with the reason."""
    jobs = [partial(_figure, draw, name) for name, draw in charts(runs, LIGHT).items()]
    made = every(jobs, at_once)
    return [figure for figure, _ in made if figure], [reason for _, reason in made if reason]


def _figure(draw: Callable[[], Sheet | str], name: str) -> tuple[str, str]:
    """A chart, or the reason why there is none."""
    sheet = draw()
    if isinstance(sheet, str):
        return "", f"{name} ({sheet})"
    return f"<figure>{_inline(sheet, name)}</figure>", ""


def _inline(sheet: Sheet, name: str) -> str:
    """A chart as an element of the page: its names made unique, its colours variables."""
    text = sheet.svg()
    text = text[text.index("<svg") :]
    for variable, color in _colors(LIGHT).items():
        text = text.replace(color, f"var(--{variable})")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(sheet.title)}" ', 1)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; every cell is escaped."""
    cells = "".join(f"<th>{escape(printable(name))}</th>" for name in head)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{_kind(c)}">{escape(printable(c))}</td>' for c in row)
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{cells}</tr>{body}</table></div>'


def _kind(cell: str) -> str:
    return "text" if len(cell) > 24 else "short"


def _setup(runs: Sequence[Run]) -> str:
    names = list(dict.fromkeys(name for run in runs for name in run.setup))
    rows = [[name, *(run.setup.get(name, UNKNOWN) for run in runs)] for name in names]
    head = ["set-up", *(labels(runs) if len(runs) > 1 else [runs[0].name])]
    return f"<details><summary>Set-up</summary>{table(head, rows)}</details>"


LEVEL_HEAD = [
    "concurrency", "outcome", "completed", "tok/s", "requests/s", "TTFT p50", "TTFT p99",
    "TPOT p50", "TPOT p99", "E2E p50", "E2E p99", "peak memory", "predicted",
]  # fmt: skip


def _levels(run: Run) -> str:
    on_device = any(figures.device_peak_bytes is not None for figures in run.figures)
    return table(LEVEL_HEAD, [level_cells(figures, on_device) for figures in run.figures])


def level_cells(figures: LevelFigures, on_device: bool) -> list[str]:
    """A level as texts, in the order of `LEVEL_HEAD`; memory of the accelerator, or the process."""
    latencies = [
        duration(getattr(spread, part) if spread else None)
        for spread in (figures.ttft, figures.tpot, figures.e2e)
        for part in ("p50", "p99")
    ]
    error = f": {figures.error}" if figures.error else ""
    peak = figures.device_peak_bytes if on_device else figures.host_peak_bytes
    guess = figures.predicted_device_bytes if on_device else figures.predicted_host_bytes
    return [
        str(figures.concurrency),
        f"{figures.outcome or 'cut off'}{error}",
        f"{figures.completed} of {figures.requests}",
        ROUGH * figures.estimated + number(figures.output_rate),
        number(figures.request_rate),
        *latencies,
        size(peak),
        size(guess),
    ]


def _models(runs: Sequence[Run]) -> str:
    return "<h2>Models</h2>" + table(MODEL_HEAD, [model_cells(row) for row in model_table(runs)])


def _comparison(one: Comparison) -> str:
    head = ["figure", "baseline", "other", "change", "between", "verdict"]
    careful = "".join(f"<li>{escape(printable(text))}</li>" for text in one.warnings)
    careful = f"<p>Careful:</p><ul>{careful}</ul>" if careful else ""
    return (
        f"<h2>{escape(one.other)} against {escape(one.baseline)}</h2>"
        f"<p><b>{escape(one.verdict)}</b></p>{careful}"
        + table(head, [difference_cells(difference) for difference in one.overall])
    )

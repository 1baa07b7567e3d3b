"""Which charts there are, and their files: named for what they show, written whole or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llamatop.errors import InputError
from llamatop.reports.charts import levels, memory
from llamatop.reports.charts.curve import curve
from llamatop.reports.charts.forked import every
from llamatop.reports.charts.histogram import histogram
from llamatop.reports.charts.levels import NewSheet
from llamatop.reports.charts.paper import WIDTH, Sheet
from llamatop.reports.charts.png import png
from llamatop.reports.charts.theme import THEMES, Theme
from llamatop.reports.charts.timeline import timeline
from llamatop.reports.runs import Run, differences, facts

CHARTS: dict[str, Callable[[Sequence[Run], NewSheet], Sheet | str]] = {
    "memory-vs-concurrency": memory.memory,
    "throughput-vs-concurrency": levels.throughput,
    "goodput-vs-concurrency": levels.goodput,
    "latency-vs-concurrency": levels.latency,
    "latency-vs-throughput": curve,
    "run-over-time": timeline,
    "itl-histogram": histogram,
    "memory-predicted-vs-measured": memory.predicted,
    "mbu-vs-concurrency": levels.mbu,
}
"""Each draws a sheet, or tells why there is nothing to draw."""

Size = tuple[int, int]
SLIDE: Size = (1600, 1000)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the charts: files, and names of those left out with the reason."""

    files: list[Path]
    left_out: list[tuple[str, str]]


def write(
    runs: Sequence[Run],
    folder: Path,
    themes: Sequence[str] = ("light",),
    kinds: Sequence[str] = ("png", "svg"),
    size: Size = SLIDE,
    *,
    at_once: int = 1,
) -> Written:
    """Draw every chart into a folder, by so many processes.

    Raises InputError where it cannot be written to.
    """

    try:
        folder.mkdir(parents=True, exist_ok=True)
        jobs = [
            partial(_files, draw, kinds, size[0], folder / f"{name}{_ending(theme)}")
            for theme in themes
            for name, draw in charts(runs, THEMES[theme], size).items()
        ]
        made = every(jobs, at_once)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to: {error.strerror}") from None
    names = [*CHARTS] * len(themes)
    left_out = [(name, one) for name, one in zip(names, made, strict=True) if isinstance(one, str)]
    files = [path for one in made if not isinstance(one, str) for path in one]
    return Written(files, list(dict.fromkeys(left_out)))


def charts(
    runs: Sequence[Run], theme: Theme, size: Size = SLIDE
) -> dict[str, Callable[[], Sheet | str]]:
    """What draws each chart, by its name, or tells why it cannot be drawn."""
    told = caption(runs)
    for run in runs:
        _ = run.figures  # found once, whoever draws

    def new(title: str, subtitle: str) -> Sheet:
        return Sheet(theme, WIDTH * size[1] / size[0], title, subtitle, told)

    return {name: partial(draw, runs, new) for name, draw in CHARTS.items()}


def caption(runs: Sequence[Run]) -> list[str]:
    """The facts that all runs share; what differs is in the legend."""
    differing = {value for _, values in differences(runs) for value in values if value}
    told = facts(runs[0])
    if len(runs) == 1:
        return told
    shared = [fact for fact in told if all(fact in facts(run) for run in runs[1:])]
    return [f"{len(runs)} recordings", *(fact for fact in shared if fact not in differing)]


def _ending(theme: str) -> str:
    return "" if theme == "light" else f"-{theme}"


def _files(
    draw: Callable[[], Sheet | str], kinds: Sequence[str], width: int, path: Path
) -> list[Path] | str:
    """The files of one chart, or why there are none."""
    sheet = draw()
    if isinstance(sheet, str):
        return sheet
    return [
        _save(path.with_name(f"{path.name}.{kind}"), _made(sheet, kind, width)) for kind in kinds
    ]


def _made(sheet: Sheet, kind: str, width: int) -> bytes:
    if kind == "svg":
        return sheet.svg().encode()
    return png(sheet.pixels(width), width / WIDTH, {"Software": "llamatop"})


def _save(path: Path, made: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(made)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path

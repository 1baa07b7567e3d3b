"""Which charts there are, and their files: named for what they show, written whole or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llamatop.errors import InputError
from llamatop.reports.charts import levels, memory
from llamatop.reports.charts.curve import curve
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
) -> Written:
    """Draw every chart into a folder. Raises InputError where it cannot be written to."""
    files: list[Future[Path]] = []
    left_out: list[tuple[str, str]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(1) as aside:  # encodes and writes while the next chart is drawn
            for theme in themes:
                for name, sheet in drawn(runs, THEMES[theme], size):
                    if isinstance(sheet, str):
                        left_out.append((name, sheet))
                        continue
                    for kind in kinds:
                        made = _png(sheet, size[0]) if kind == "png" else _svg(sheet)
                        if files:
                            files[-1].result()
                        files.append(aside.submit(_save, folder / _file(name, theme, kind), made))
        return Written([file.result() for file in files], list(dict.fromkeys(left_out)))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to: {error.strerror}") from None


def drawn(
    runs: Sequence[Run], theme: Theme, size: Size = SLIDE
) -> Iterator[tuple[str, Sheet | str]]:
    """Every chart by its name, drawn, or why it is not."""
    told = caption(runs)

    def new(title: str, subtitle: str) -> Sheet:
        return Sheet(theme, WIDTH * size[1] / size[0], title, subtitle, told)

    for name, draw in CHARTS.items():
        yield name, draw(runs, new)


def caption(runs: Sequence[Run]) -> list[str]:
    """The facts that all runs share; what differs is in the legend."""
    differing = {value for _, values in differences(runs) for value in values if value}
    told = facts(runs[0])
    if len(runs) == 1:
        return told
    shared = [fact for fact in told if all(fact in facts(run) for run in runs[1:])]
    return [f"{len(runs)} recordings", *(fact for fact in shared if fact not in differing)]


def _png(sheet: Sheet, width: int) -> Callable[[], bytes]:
    """The chart drawn in pixels; what is left to do needs no matplotlib."""
    return partial(png, sheet.pixels(width), width / WIDTH, {"Software": "llamatop"})


def _svg(sheet: Sheet) -> Callable[[], bytes]:
    return sheet.svg().encode


def _file(name: str, theme: str, kind: str) -> str:
    return f"{name}{'' if theme == 'light' else f'-{theme}'}.{kind}"


def _save(path: Path, made: Callable[[], bytes]) -> Path:
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(made())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path

"""The sheet every chart is drawn on: its colours, its title, legend and caption, and its file.

Everything has its fixed place (8 units wide, as high as the size asks), so nothing can overlap:
title and legend above the axes, the run's facts below. Knows matplotlib, not what is drawn.
Texts come from models and machines: none is read as mathematics.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from llamatop.reports.charts.fonts import FONT, families, inches
from llamatop.reports.charts.legend import Entry, Legend, legend
from llamatop.reports.charts.theme import Theme
from llamatop.reports.charts.wrap import wrapped

WIDTH = 8.0
"""Inches; the size in pixels only sets the resolution, so slide and page look the same."""

_NAME = 10.0
"""Points of the letters of an axis' name."""

_SETTINGS: dict[str, Any] = {
    "text.parse_math": False,
    "text.usetex": False,
    "font.size": _NAME,
    "text.hinting": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "llamatop",
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "path.simplify_threshold": 0.5,
}

MARKERS = "osD^vPXp"
_HIGH = 0.25
"""Share of the sheet's height that its legend may take."""

FEW = 4
"""Series that are told apart though they lie on one another: each is finer than those before."""

DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))


@dataclass(frozen=True, slots=True)
class Style:
    """How one series is drawn: colour, line and marker all differ."""

    color: str
    line: Any
    marker: str
    above: int = 0
    """Series that may lie upon it, and beside which it must still be seen."""

    def look(self, size: float = 6.0) -> dict[str, Any]:
        """What matplotlib draws it with, its markers of `size` points where none lies upon it."""
        return {
            "color": self.color, "linestyle": self.line, "marker": self.marker,
            "linewidth": 1.8 + 0.9 * self.above, "markersize": size * (1 + 0.4 * self.above),
            "markeredgewidth": 1.2,
        }  # fmt: skip


@dataclass
class Sheet:
    """One chart in the making."""

    theme: Theme
    height: float
    """Inches."""
    title: str
    subtitle: str
    caption: Sequence[str]
    entries: list[Entry] = field(default_factory=list)
    """Of the legend, as they were asked for."""

    def __post_init__(self) -> None:  # noqa: D105
        matplotlib.rcParams.update(_SETTINGS)  # type: ignore[arg-type]
        matplotlib.rcParams["font.family"] = families()
        self.figure = Figure(figsize=(WIDTH, self.height), facecolor=self.theme.paper)
        FigureCanvasAgg(self.figure)
        self._framed = False
        self._lines = wrapped(self.caption, lambda text: inches(text, 7.5), WIDTH - 0.6)

    def style(self, place: int, of: int = 1) -> Style:
        """The look of the series with this number; a few that share axes are drawn nested."""
        colors = self.theme.series
        again = place // len(colors)
        return Style(
            colors[place % len(colors)],
            DASHES[(place + again) % len(DASHES)],
            MARKERS[(place + again) % len(MARKERS)],
            max(of - 1 - place, 0) if of <= FEW else 0,
        )

    def legend(self, label: str, *, series: bool = False, **line: Any) -> None:
        """Add an entry; entries stand in columns above the axes.

        Of `series` those that find no room are only counted.
        """
        self.entries.append(Entry(Line2D([], [], **line), label, series))

    def axes(
        self, rows: int = 1, columns: int = 1, gap: float = 0.55, above: float = 0.0
    ) -> list[Axes]:
        """Axes in a grid between legend and caption; call it when the legend is complete.

        `gap` is between rows, `above` over the first one; inches.
        """
        bottom = self._foot()
        top = bottom + self.room() - above
        left, right, between = 0.88, 0.22, 0.72
        width = (WIDTH - left - right - between * (columns - 1)) / columns
        height = (top - bottom - gap * (rows - 1)) / rows
        return [
            self._one(
                left + column * (width + between),
                bottom + (rows - 1 - row) * (height + gap),
                width,
                height,
            )
            for row in range(rows)
            for column in range(columns)
        ]

    def room(self) -> float:
        """Inches between legend and caption; ask when the legend is complete."""
        return self.height - 0.96 - self._legend.height - self._foot()

    def _foot(self) -> float:
        return 0.30 + 0.155 * len(self._lines) + 0.42

    def _one(self, left: float, bottom: float, width: float, height: float) -> Axes:
        box = (left / WIDTH, bottom / self.height, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(box, facecolor=self.theme.paper)
        for name, spine in axes.spines.items():
            spine.set_visible(name in ("left", "bottom"))
            spine.set_color(self.theme.muted)
        axes.set_title("", y=1)  # it has its place, as the labels have: no room is looked for
        axes.xaxis.set_label_coords(0.5, -0.30 / height)
        axes.yaxis.set_label_coords(-0.60 / width, 0.5)
        axes.grid(True, color=self.theme.grid, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=self.theme.muted, labelcolor=self.theme.ink, labelsize=9.5)
        axes.tick_params(which="minor", color=self.theme.muted)
        axes.xaxis.label.set_color(self.theme.ink)
        axes.yaxis.label.set_color(self.theme.ink)
        return axes

    @cached_property
    def _legend(self) -> Legend:
        return legend(self.entries, WIDTH - 0.3, _HIGH * self.height)

    def pixels(self, width: int) -> NDArray[np.uint8]:
        """The chart drawn so wide, of shape (height, width, 4): red, green, blue, opaque."""
        self._frame()
        self.figure.set_dpi(width / WIDTH)
        renderer = _renderer(width, round(self.height * width / WIDTH))
        renderer.clear()  # type: ignore[no-untyped-call]
        with _any_letters():
            self.figure.draw(renderer)
        return np.array(renderer.buffer_rgba(), np.uint8)  # type: ignore[no-untyped-call]

    def svg(self) -> str:
        """The chart as the text of an SVG."""
        self._frame()
        buffer = io.BytesIO()
        about = {"Date": None, "Creator": "llamatop", "Title": self.title}
        with _any_letters():
            self.figure.savefig(buffer, format="svg", facecolor=self.theme.paper, metadata=about)
        return buffer.getvalue().decode().replace(f"'{FONT}'", f"'{FONT}', Verdana, sans-serif")

    def _frame(self) -> None:
        """Title, legend and caption, once."""
        if self._framed:
            return
        self._framed = True
        self._text(0.30, self.height - 0.42, self.title, self.theme.ink, size=14, weight="bold")
        self._text(0.30, self.height - 0.66, self.subtitle, self.theme.muted, size=9.5)
        for place, line in enumerate(reversed(self._lines)):
            self._text(0.30, 0.16 + 0.155 * place, line, self.theme.muted, size=7.5)
        if self.entries:
            self._draw_legend()
        self._fit_names()

    def _text(
        self, x: float, y: float, text: str, color: str, *, size: float, weight: str = "normal"
    ) -> None:
        self.figure.text(
            x / WIDTH, y / self.height, text, color=color, fontsize=size, fontweight=weight
        )

    def _draw_legend(self) -> None:
        self.figure.legend(
            [entry.handle for entry in self._legend.entries],
            [entry.label for entry in self._legend.entries],
            loc="upper left",
            bbox_to_anchor=(0.25 / WIDTH, 1 - 0.72 / self.height),
            ncols=self._legend.columns,
            frameon=False,
            fontsize=self._legend.size,
            labelcolor=self.theme.ink,
            handlelength=3.0,
            borderaxespad=0.0,
            columnspacing=1.6,
            labelspacing=0.35,
        )

    def _fit_names(self) -> None:
        """The names of low axes in smaller letters, so that they end below the legend."""
        for axes in self.figure.axes:
            name, room = axes.yaxis.label, axes.get_position().height * self.height + 0.3
            wide = inches(name.get_text(), _NAME)
            if wide > room:
                name.set_fontsize(_NAME * room / wide)


@contextmanager
def _any_letters() -> Iterator[None]:
    """No word about letters that no font here has: they are drawn as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


@lru_cache(1)
def _renderer(width: int, height: int) -> RendererAgg:
    """What charts of one size are drawn with; it remembers how wide the texts are."""
    return RendererAgg(width, height, width / WIDTH)  # type: ignore[no-untyped-call]

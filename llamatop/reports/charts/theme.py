"""The colours of a chart, light and dark. Knows no matplotlib."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours; the series differ in lightness too, so that they survive greyscale."""

    name: str
    paper: str
    ink: str
    muted: str
    grid: str
    alarm: str
    series: tuple[str, ...]


LIGHT = Theme(
    "light", "#ffffff", "#16202c", "#566474", "#dfe4ea", "#b3261e",
    ("#0b3d91", "#f2690d", "#0a6b58", "#9a4fd0", "#3f4854", "#c99a00", "#c2255c", "#3d9be9"),
)  # fmt: skip
DARK = Theme(
    "dark", "#12161d", "#eef2f6", "#a3b0be", "#2b333d", "#ff7b72",
    ("#7cc4ff", "#e8762c", "#a5f0d3", "#a66fe0", "#c3ccd6", "#ffe066", "#ff8fb3", "#4a8fe0"),
)  # fmt: skip
THEMES = {theme.name: theme for theme in (LIGHT, DARK)}

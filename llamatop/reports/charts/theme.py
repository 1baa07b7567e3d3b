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
    ("#0b3d91", "#d9480f", "#128a73", "#8a3ab9", "#4b5563", "#b88a00", "#c2255c", "#3d9be9"),
)  # fmt: skip
DARK = Theme(
    "dark", "#12161d", "#eef2f6", "#a3b0be", "#2b333d", "#ff7b72",
    ("#7cc4ff", "#ff9e4a", "#5fd6b2", "#d49bff", "#c3ccd6", "#ffe066", "#ff8fb3", "#4a8fe0"),
)  # fmt: skip
THEMES = {theme.name: theme for theme in (LIGHT, DARK)}

"""From a theme to the styles in which roles are painted. Knows nothing of what is shown.

`work` is the model's work, `memory` is memory; each also has shades for charts, `work.0` (low)
to `work.7` (high). `warn` and `bad` are for what is wrong and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.color import Color
from textual.theme import Theme

SHADES = 8
"""Shades of each chart colour, from the floor of a chart to its top."""

_FLOOR = 0.34
"""How much of a chart's colour its lowest row has; the rest is background."""

_DIM, _FAINT, _LINE, _FOCUS, _CURSOR = 0.36, 0.62, 0.74, 0.4, 0.86
"""How much background is in each, where a theme does not name the colour itself."""


def colours(theme: Theme) -> dict[str, Color]:
    """The colours that roles are made of, by name; what a theme leaves out is derived."""
    system = theme.to_color_system().generate()
    ground, ink = Color.parse(system["background"]), Color.parse(system["foreground"])
    named = theme.variables
    return {
        "background": ground,
        "text": ink,
        "work": Color.parse(system["primary"]),
        "memory": Color.parse(system["secondary"]),
        "key": Color.parse(system["accent"]),
        "good": Color.parse(system["success"]),
        "warn": Color.parse(system["warning"]),
        "bad": Color.parse(system["error"]),
        "dim": _named(named, "dim", ink.blend(ground, _DIM)),
        "faint": _named(named, "faint", ink.blend(ground, _FAINT)),
        "line": _named(named, "line", ink.blend(ground, _LINE)),
        "focus": _named(named, "focus", Color.parse(system["accent"]).blend(ground, _FOCUS)),
        "cursor": _named(named, "cursor", ink.blend(ground, _CURSOR)),
    }


def _named(variables: Mapping[str, str], name: str, otherwise: Color) -> Color:
    return Color.parse(variables[name]) if name in variables else otherwise


class Palette:
    """Styles by role, on the plain ground and on the row under the cursor."""

    def __init__(self, theme: Theme) -> None:
        named = colours(theme)
        self.plain = _styles(named, named["background"])
        self.cursor = _styles(named, named["cursor"])


def _styles(named: Mapping[str, Color], ground: Color) -> dict[str, Style]:
    """One style for each role on one ground."""
    on = ground.rich_color
    styles = {
        role: Style(color=colour.rich_color, bgcolor=on)
        for role, colour in named.items()
        if role not in ("background", "cursor")
    }
    for role in ("text", "work", "memory", "key", "good", "warn", "bad"):
        styles[f"{role}.bold"] = styles[role] + Style(bold=True)
    for role in ("work", "memory"):
        for shade in range(SHADES):
            share = _FLOOR + (1 - _FLOOR) * shade / (SHADES - 1)
            colour = named["background"].blend(named[role], share)
            shaded = colour.rich_color
            styles[f"{role}.{shade}"] = Style(color=shaded, bgcolor=on)
            styles[f"{role}.{shade}.full"] = Style(color=shaded, bgcolor=shaded)
    for role in ("work", "good", "warn", "bad", "memory", "key"):
        styles[f"{role}.badge"] = Style(
            color=named["background"].rich_color, bgcolor=named[role].rich_color, bold=True
        )
    return styles

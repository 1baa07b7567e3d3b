"""Themes from TOML files: the shipped ones and the person's own. Knows no widgets.

A file's keys are the fields of Textual's `Theme`. What is wrong with one is told in one line
that names the file and the key; the others still load.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

from llamatop.errors import InputError
from llamatop.events.sanitize import one_line

DEFAULT = "llamatop-dark"

SHIPPED = ("llamatop-dark", "llamatop-light", "high-contrast", "colour-blind-safe", "mono")
"""In the order in which `t` goes through them."""

_LARGEST = 65_536
_PACKAGE = Path(__file__).parents[2]
_ROLES = ("primary", "secondary", "accent", "success", "warning", "error")
_COLOURS = frozenset([*_ROLES, "foreground", "background", "surface", "panel", "boost"])
_FIELDS = {field.name for field in dataclasses.fields(Theme)}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")


class ThemeError(Exception):
    """What is wrong with a theme file, in one line."""


def folders() -> list[Path]:
    """Where themes are: in the package or the repository, then the person's own."""
    from platformdirs import user_config_path  # noqa: PLC0415  (only when themes are wanted)

    shipped = _PACKAGE / "themes"
    if not shipped.is_dir():
        shipped = _PACKAGE.parent / "themes"
    return [shipped, user_config_path("llamatop") / "themes"]


def load_themes(places: Iterable[Path]) -> tuple[dict[str, Theme], list[str]]:
    """Themes by name, shipped ones first, and a line for each file that is none."""
    themes: dict[str, Theme] = {}
    problems: list[str] = []
    for place in places:
        for path in sorted(place.glob("*.toml")):
            try:
                theme = load_theme(path)
            except ThemeError as problem:
                problems.append(str(problem))
            else:
                themes[theme.name] = theme
    return dict(sorted(themes.items(), key=lambda item: _order(item[0]))), problems


def choose(wanted: str | None, known: Sequence[str], problems: Sequence[str] = ()) -> str:
    """The theme to use. Raises InputError where the wanted one is not known, with `problems`."""
    if wanted is not None and wanted not in known:
        raise InputError(
            f"--theme {one_line(wanted)[:40]}: there are {', '.join([*known, *problems])}"
        )
    return wanted or (DEFAULT if DEFAULT in known else known[0])


def _order(name: str) -> tuple[int, str]:
    return (SHIPPED.index(name) if name in SHIPPED else len(SHIPPED), name)


def load_theme(path: Path) -> Theme:
    """The theme in a file; raises ThemeError."""
    where = one_line(path.name)
    try:
        if path.exists() and not path.is_file():  # of a pipe reading would never end
            raise ThemeError("not a file")
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise ThemeError(f"theme {where}: larger than {_LARGEST // 1024} kB")
        return parse_theme(tomllib.loads(raw.decode()), path.stem)
    except ThemeError as problem:
        text = str(problem)
        raise ThemeError(text if text.startswith("theme ") else f"theme {where}: {text}") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise ThemeError(f"theme {where}: {one_line(str(problem))[:200]}") from None


def parse_theme(table: Mapping[str, Any], name: str) -> Theme:
    """A theme from a table of its fields; raises ThemeError that names the key."""
    fields = {"name": name, **table}
    for key, value in fields.items():
        _check(key, value)
    if "primary" not in fields:
        raise ThemeError("primary: missing")
    return Theme(**fields)


def _check(key: str, value: object) -> None:
    shown = one_line(key)[:40]
    if key not in _FIELDS or key == "ansi":
        raise ThemeError(f"{shown}: no such key")
    if key in _COLOURS:
        _check_colour(shown, value)
    elif key == "variables":
        _check_variables(value)
    elif key == "name":
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise ThemeError("name: letters, digits, dots and dashes, at most 40")
    elif key == "dark":
        if not isinstance(value, bool):
            raise ThemeError("dark: must be true or false")
    elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ThemeError(f"{shown}: must be a number from 0 to 1")


def _check_variables(value: object) -> None:
    if not isinstance(value, dict):
        raise ThemeError("variables: must be a table of colours")
    for name, colour in value.items():
        _check_colour(f"variables.{one_line(name)[:40]}", colour)


def _check_colour(key: str, value: object) -> None:
    """A colour of its own: no alpha, nothing automatic."""
    try:
        good = isinstance(value, str) and Color.parse(value).a == 1 and not value.startswith("auto")
        good = good and not Color.parse(str(value)).ansi
    except ColorParseError:
        good = False
    if not good:
        raise ThemeError(f'{key}: {one_line(repr(value))[:40]} is no colour, write "#rrggbb"')

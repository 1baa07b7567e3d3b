import os
from pathlib import Path

import pytest
from textual.color import Color

from llamatop.errors import InputError
from llamatop.tui.drawing.palette import Palette, colours
from llamatop.tui.drawing.themes import (
    SHIPPED,
    ThemeError,
    folders,
    load_theme,
    load_themes,
    parse_theme,
)
from tests.tui.conftest import live_app

AA = 4.5
TEXTS = ("text", "dim", "work", "memory", "key", "good", "warn", "bad")


def luminance(colour: Color) -> float:
    """Relative luminance, WCAG 2."""
    parts = [part / 255 for part in colour.rgb]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Color, other: Color) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture
def shipped():
    themes, problems = load_themes(folders()[:1])
    assert problems == []
    return themes


def test_the_shipped_themes_come_in_their_order(shipped):
    assert tuple(shipped) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_every_text_of_a_shipped_theme_can_be_read(shipped, name):
    named = colours(shipped[name])
    least = 7.0 if name == "high-contrast" else AA
    for role in TEXTS:
        for ground in ("background", "cursor"):
            reached = contrast(named[role], named[ground])
            assert reached >= (least if ground == "background" else AA), (role, ground, reached)


@pytest.mark.parametrize("name", SHIPPED)
def test_texts_in_the_palette_stand_on_the_theme_s_ground(shipped, name):
    ground = Color.parse(shipped[name].background)
    style = Palette(shipped[name]).plain["text"]
    assert style.bgcolor is not None
    assert Color.from_rich_color(style.bgcolor) == ground


def test_a_theme_of_two_colours_is_enough():
    named = colours(parse_theme({"primary": "#00aa88", "background": "#000000"}, "small"))
    assert contrast(named["dim"], named["background"]) >= AA


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('primary = "reddish"', "primary: 'reddish' is no colour"),
        ('primary = "#ff0000"\ncolour = "#ff0000"', "colour: no such key"),
        ("primary = 5", "primary: 5 is no colour"),
        ('primary = "auto 80%"', "primary:"),
        ('primary = "#ff000080"', "primary:"),
        ('primary = "#fff"\ndark = "yes"', "dark: must be true or false"),
        ('primary = "#fff"\nluminosity_spread = 7', "luminosity_spread: must be a number"),
        ('primary = "#fff"\nname = "[bold]x"', "name: letters"),
        ('primary = "#fff"\n[variables]\ndim = "x"', "variables.dim: 'x' is no colour"),
        ('primary = "#fff"\nvariables = 3', "variables: must be a table"),
        ('foreground = "#fff"', "primary: missing"),
        ("primary =", "Invalid value"),
        ("\x00", "Invalid"),
        ("#" * 70_000, "larger than 64 kB"),
    ],
)
def test_a_bad_theme_is_told_in_one_line_that_names_the_key(tmp_path, text, told):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ThemeError) as caught:
        load_theme(path)
    assert str(caught.value).startswith("theme mine.toml: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pipe_among_the_themes_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "good.toml").write_text('primary = "#ff0000"')
    themes, problems = load_themes([tmp_path])
    assert [*themes] == ["good"]
    assert problems == ["theme pipe.toml: not a file"]


def write_theme(folder: Path, text: str) -> None:
    place = folder / "llamatop" / "themes"
    place.mkdir(parents=True)
    (place / "mine.toml").write_text(text)


async def test_a_person_s_own_theme_can_be_chosen(own_config):
    write_theme(own_config, 'primary = "#ff8800"')
    app = live_app([], theme="mine")
    async with app.run_test():
        assert app.theme == "mine"
        assert app.problems == []


async def test_a_bad_theme_leaves_the_default_unless_it_is_wanted(own_config):
    write_theme(own_config, 'primary = "reddish"')
    app = live_app([])
    async with app.run_test():
        assert app.theme == "llamatop-dark"
    assert app.problems[0].startswith("theme mine.toml: primary")
    with pytest.raises(InputError, match=r"^--theme mine: .*theme mine\.toml: primary"):
        live_app([], theme="mine")

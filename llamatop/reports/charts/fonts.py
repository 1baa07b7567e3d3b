"""The letters of a chart and how wide they are."""

from __future__ import annotations

import warnings
from functools import cache

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties, fontManager

FONT = "DejaVu Sans"
"""Comes with matplotlib; an SVG names others of about its width too."""

WIDE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei",
    "PingFang SC", "Hiragino Sans", "Microsoft YaHei",
)  # fmt: skip
"""For names that `FONT` has no letters for, where one of them is installed."""


@cache
def families() -> list[str]:
    """The fonts to take letters from, the first that has one."""
    there = {font.name for font in fontManager.ttflist}
    return [FONT, *(name for name in WIDE_FONTS if name in there)]


@cache
def inches(text: str, size: float) -> float:
    """How wide a text is at a size in points."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        font = FontProperties(family=families(), size=size)
        width, *_ = _renderer().get_text_width_height_descent(text, font, ismath=False)  # type: ignore[no-untyped-call]
        return float(width) / 72


@cache
def _renderer() -> RendererAgg:
    return RendererAgg(8, 8, 72)  # type: ignore[no-untyped-call]

"""The events panel: what a person should be told of, the newest at the bottom."""

from __future__ import annotations

import textwrap
from functools import lru_cache
from itertools import chain

from llamatop.events.clock import SECOND
from llamatop.text.formatting import clock
from llamatop.tui.drawing.lines import Line, Span, clip, shortened
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.log import Story
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.told import told

_TIME = 10
"""Cells for the time and the sign."""


def events(frame: Frame, width: int, height: int) -> Content:
    """What stands inside the panel."""
    log = frame.figures.log()
    if height < 1 or not log.stories:
        return Content()
    bottom = _bottom(frame, width, height)
    newer = len(log.stories) - 1 - bottom
    lines = _upwards(frame, bottom, width, height)
    hints: list[list[Span]] = [[(f"{newer:,} newer", "key")]] if newer else []
    return Content(lines, corner=_older(frame, log.dropped), hints=hints)


def _older(frame: Frame, dropped: int) -> list[list[Span]]:
    """What is remembered no more, where a person looks at all of it."""
    gone = dropped + frame.figures.log().untold
    if frame.choices.maximised != "events" or not gone:
        return []
    return [[(f"{gone:,} older are in the recording", "dim")]]


def scrolled(frame: Frame, stories: int, width: int, height: int) -> int | None:
    """What `Choices.told_until` becomes when a person scrolls by so many stories."""
    log = frame.figures.log()
    newest = len(log.stories) - 1
    lowest = _first_screen(frame, width, height)
    bottom = max(min(_bottom(frame, width, height) + stories, newest), lowest)
    return None if bottom >= newest else bottom + log.dropped


def _bottom(frame: Frame, width: int, height: int) -> int:
    """Place of the last story shown."""
    log, until = frame.figures.log(), frame.choices.told_until
    newest = len(log.stories) - 1
    if until is None or until - log.dropped >= newest:
        return newest
    return max(until - log.dropped, _first_screen(frame, width, height))


def _first_screen(frame: Frame, width: int, height: int) -> int:
    """Place of the story with which the oldest ones fill the panel."""
    stories, filled = frame.figures.log().stories, 0
    for place, story in enumerate(stories):
        filled += len(_lines(frame, story, width))
        if filled >= height:
            return place
    return len(stories) - 1


def _upwards(frame: Frame, bottom: int, width: int, height: int) -> list[Line]:
    """The rows that end with a story."""
    stories, blocks, filled = frame.figures.log().stories, [], 0
    for place in range(bottom, -1, -1):
        blocks.append(_lines(frame, stories[place], width))
        filled += len(blocks[-1])
        if filled >= height:
            break
    return list(chain.from_iterable(reversed(blocks)))[-height:]


def _lines(frame: Frame, story: Story, width: int) -> list[Line]:
    """A story in one row; in as many as it needs where the panel stands alone."""
    sign, role, text = told(frame, story)
    room = max(width - _TIME, 0)
    rows = [shortened(text, room)]
    if frame.choices.maximised == "events" and room > 8:
        rows = _wrapped(text, room)
    words = "text" if role != "dim" else "dim"
    head = f"{clock(story.time / SECOND):>7} "
    first: Line = ((head, "dim"), (f"{sign} ", role), (rows[0], words))
    return [first, *(((" " * _TIME, "dim"), (row, words)) for row in rows[1:])]


@lru_cache(maxsize=256)
def _wrapped(text: str, width: int) -> list[str]:
    """Whole words where they fit."""
    return [clip(row, width) for row in textwrap.wrap(text, width)] or [""]

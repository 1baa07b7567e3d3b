"""A place on the screen."""

from typing import NamedTuple


class Box(NamedTuple):
    """A place on the screen in cells."""

    x: int
    y: int
    width: int
    height: int

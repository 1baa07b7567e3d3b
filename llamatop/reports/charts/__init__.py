"""Charts of recordings as files. Knows matplotlib; the screen's charts are not these.

Loads matplotlib without what no chart here needs and which takes a third of its start: the
reference texts that it writes for every artist, and its axes of three dimensions.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

import matplotlib.artist as _artist

_SPACE = "mpl_toolkits.mplot3d"


def _load() -> None:
    """Import what writes and registers those, and leave everything else as it was."""
    written, stands_in = _artist.kwdoc, _SPACE not in sys.modules
    if stands_in:
        absent = ModuleType(_SPACE)
        absent.__dict__["Axes3D"] = None
        sys.modules[_SPACE] = absent
    _artist.kwdoc = lambda artist: ""
    try:
        import_module("matplotlib.figure")
    finally:
        _artist.kwdoc = written
        if stands_in:
            del sys.modules[_SPACE]


_load()

"""A recording in other tools' definitions, and where they differ from llamatop's.

`figures` recomputes every level as a tool would, `explain` tells the differences of this very run
in words, `as_json` both. Pure functions of a session; knows no file.
"""

from llamatop.figures.dialects.arithmetic import Spread
from llamatop.figures.dialects.readings import DIALECTS, TITLES, Reading, figures
from llamatop.figures.dialects.words import as_json, explain

__all__ = ["DIALECTS", "TITLES", "Reading", "Spread", "as_json", "explain", "figures"]

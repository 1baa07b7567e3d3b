"""What one drawing of the screen is made from: the session, its figures, the person's choices.

The choices are the only state of the screen that is not in the session.
"""

from __future__ import annotations

import msgspec

from llamatop.session.reducer import Session
from llamatop.tui.monitor.frame_figures import Figures

ORDERS = ("newest", "id", "state", "progress", "tok/s", "TTFT", "queue")
"""What the request table can be sorted by."""


class Choices(msgspec.Struct):
    """What the person has chosen to see."""

    order: str = "newest"
    reverse: bool = False
    query: str = ""
    """Requests whose id, state, text or error holds this are shown."""
    span: int | None = None
    """Index of the chart's step in `windows.STEPS`; None: what suits."""
    maximised: str | None = None
    focus: str = "requests"
    """The panel that the keys for moving act on."""
    figure: int | None = None
    """Place among `latency.rows_of` of the figure whose values are drawn; None: what suits."""
    charted: int | None = None
    """Place in `memory.charted_of` of the memory whose history is drawn; None: what suits."""
    origins: int | None = None
    """The first row shown of where the servers' values come from; None: their view."""
    told_until: int | None = None
    """Place in the log of the last story shown; None: the newest, whichever it is."""


class Playback(msgspec.Struct, frozen=True):
    """Where a replay stands. Times in ns of the recorded run."""

    playing: bool
    speed: float
    position: int
    length: int
    marks: tuple[tuple[int, str], ...] = ()
    """(time, kind; see `marks`), in order of time."""
    start: int = 0
    """When the recording begins."""
    bookmarks: tuple[int, ...] = ()
    note: str = ""
    """What stands here: which of the slowest gaps."""
    failed: str = ""
    """Why the run failed, as long as that is still to come."""
    answer: str = ""
    """Where the memory that the run looked for ended, as long as that is still to come."""
    following: str = ""
    """Of one that is being made: `now`, `behind` it, `cut off` or `gone`; empty: it is whole."""


class Keeping(msgspec.Struct, frozen=True):
    """Whether the run is being recorded, and where."""

    name: str
    error: str | None = None


class Frame(msgspec.Struct, frozen=True):
    """All that one drawing shows."""

    session: Session
    figures: Figures
    choices: Choices = msgspec.field(default_factory=Choices)
    playback: Playback | None = None
    """None: the run is live."""
    keeping: Keeping | None = None
    """None: nothing is recorded."""
    cost: str = ""
    """What the screen itself takes."""
    leaving: bool = False
    wanted: int | None = None
    """The concurrency that was asked for and does not run yet."""


def nothing_runs(cost: str = "") -> Frame:
    """The frame of no run: what the drawn parts need to draw at all."""
    return Frame(Session(), Figures(), cost=cost)

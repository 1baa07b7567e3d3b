"""The marks of events that are all known."""

from collections.abc import Iterable

from llamatop.events.kinds import Event
from llamatop.tui.monitor.marks import Mark, Marks


def marks_of(events: Iterable[Event]) -> tuple[Mark, ...]:
    """As one look finds them."""
    marks = Marks()
    marks.look(events)
    return marks.told

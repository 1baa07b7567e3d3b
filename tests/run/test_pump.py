"""Events moved from a source to the session, and how late they came."""

from collections.abc import Sequence

from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event, RequestAdmitted, RequestQueued, Tick
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session


class Once:
    """A source that has these events and no more."""

    ended = False

    def __init__(self, *events: Event) -> None:
        self._events = list(events)

    def drain(self) -> Sequence[Event]:
        events, self._events = self._events, []
        return events


def late(*events: Event) -> int:
    pump = Pump(Once(*events), Session())
    pump.step()
    return pump.late


def test_late_is_what_the_first_event_took() -> None:
    assert late(RequestAdmitted(2 * SECOND, 0, 0), Tick(5 * SECOND)) == 3 * SECOND
    assert late(Tick(5 * SECOND)) == 0


def test_a_request_that_was_due_long_ago_is_told_of_in_time() -> None:
    queued = RequestQueued(SECOND, 0, 0, 8, 8, False)
    admitted = RequestAdmitted(60 * SECOND, 0, 0)
    assert late(queued, admitted, Tick(61 * SECOND)) == SECOND
    assert late(queued, Tick(61 * SECOND)) == 0, "nobody knows when it was sent"

"""Whatever comes, in whatever order: no exception, and no figure that is negative or no number."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import msgspec
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from llamatop.events.kinds import Event
from llamatop.events.sanitize import clean_event
from llamatop.figures.requests import tpot, ttft
from llamatop.recording.bounds import fits
from llamatop.reports.run_text import table
from llamatop.reports.summary import all_figures, summary
from llamatop.session.reducer import Session
from tests.examples import share
from tests.recording import runs
from tests.served import TWO, served, served_events

TOLD = [
    *runs.run(requests=4, tokens=3),
    *served_events(served(urls=TWO, requests=4, gen_toks=3), short_every=2, lost=True),
]
"""What real runs tell, of a model here and of servers."""

SIGNED = ("change", "slope", "drift", "temperature")
"""Words in the names of figures that may be below zero."""


def folded(events: list[Event]) -> Session:
    session = Session()
    for event in events:
        session.apply(clean_event(event))
    return session


def numbers(value: object, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number in it, with where it stands."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield name, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from numbers(one, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for one in value:
            yield from numbers(one, name)
    elif is_dataclass(value):
        for field in fields(value):
            yield from numbers(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, msgspec.Struct):
        for field, one in msgspec.structs.asdict(value).items():
            yield from numbers(one, f"{name}.{field}")


def check(session: Session) -> None:
    told = summary(session, None)
    json.dumps(told, allow_nan=False)
    assert table(session)
    found = [*numbers(told), *numbers(all_figures(session))]
    for request in session.requests.values():
        found += [("ttft", ttft(request) or 0), ("tpot", tpot(request) or 0)]
    for name, value in found:
        assert math.isfinite(value), name
        assert value >= 0 or any(word in name for word in SIGNED), (name, value)


@share(10)
@given(st.permutations(TOLD), st.integers(0, len(TOLD)))
def test_what_runs_tell_in_any_order(events: list[Event], count: int) -> None:
    check(folded(events[:count]))


@share(10)
@given(st.lists(st.integers(0, len(TOLD) - 1), max_size=120))
def test_what_runs_tell_with_gaps_and_twice(places: list[int]) -> None:
    check(folded([TOLD[place] for place in sorted(places)]))


@share(10, HealthCheck.too_slow, HealthCheck.filter_too_much)
@given(st.lists(runs.any_event.filter(fits), max_size=12))
def test_any_events_whose_numbers_can_be(events: list[Event]) -> None:
    check(folded([*TOLD[:8], *events]))

"""What a run without a screen puts away comes back as it was, and what it holds does not grow."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamatop.engines.scripted import Script, script
from llamatop.errors import InputError
from llamatop.events.kinds import (
    Event,
    LevelStarted,
)
from llamatop.events.sanitize import clean_event
from llamatop.reports.summary import all_figures, summary
from llamatop.run import shelf as shelf_module
from llamatop.run.shelf import MOST_EVENTS, MOST_REQUESTS, Shelf
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from tests.session.test_blocks import EVENTS, SERVED, TANGLED, one_by_one


def lightened(events: Iterable[Event], shelf: Shelf, every: int = 1) -> Session:
    """Folded as a run without a screen does."""
    session = Session()
    for place, event in enumerate(events):
        session.apply(clean_event(event))
        if place % every == 0:
            shelf.lighten(session)
    return session


def begun_once(events: Iterable[Event]) -> list[Event]:
    """No level begins twice, as in every run."""
    first: dict[int, Event] = {}
    return [
        event
        for event in events
        if not isinstance(event, LevelStarted) or first.setdefault(event.level, event) is event
    ]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of few."""
    monkeypatch.setattr(shelf_module, "MOST_REQUESTS", 2)
    monkeypatch.setattr(shelf_module, "MOST_EVENTS", 4)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=st.lists(TANGLED, max_size=60), every=st.integers(1, 9))
def test_whatever_comes_comes_back(
    small: None, tmp_path_factory: pytest.TempPathFactory, events: list[Event], every: int
) -> None:
    events = begun_once(events)
    with Shelf(tmp_path_factory.getbasetemp()) as shelf:
        session = lightened(events, shelf, every)
        assert shelf.whole(session) == one_by_one(events)


@pytest.mark.parametrize("events", [EVENTS, SERVED], ids=["here", "on servers"])
def test_every_figure_is_that_of_a_session_that_holds_all(
    small: None, tmp_path: Path, events: list[Event]
) -> None:
    held = one_by_one(events)
    with Shelf(tmp_path) as shelf:
        session = lightened(events, shelf)
        assert len(session.requests) < len(held.requests) / 2
        whole = shelf.whole(session)
        assert list(whole.requests.items()) == list(held.requests.items())
        assert whole == held
        assert summary(whole, None) == summary(held, None)
        for level, figures in zip(held.levels, all_figures(held), strict=True):
            assert (
                all_figures(shelf.whole(session, level))[list(held.levels).index(level)] == figures
            )
    assert not list(tmp_path.iterdir())


def lists(session: Session) -> int:
    """All that a session holds many of."""
    samples = [session.host, session.client, session.notable]
    samples += [*session.devices.values(), *session.allocated.values()]
    requests = session.requests.values()
    return sum(map(len, samples)) + sum(1 + len(one.times) for one in requests)


@pytest.mark.parametrize("requests", [1_000, 8_000])
def test_what_is_held_does_not_grow_with_the_run(tmp_path: Path, requests: int) -> None:
    """Never more than a block of requests and of each kind of sample, and what is in flight."""
    config = RunConfig(engine="scripted", concurrency=(16,), requests=requests, gen_toks=4)
    session, most = Session(), 0
    events = script(config, Script(fail_every=3))
    with Shelf(tmp_path) as shelf:
        for place, event in enumerate(events):
            session.apply(event)
            if place % 50 == 0:
                shelf.lighten(session)
                most = max(most, lists(session))
        whole = shelf.whole(session)
    in_flight = 100
    bound = (MOST_REQUESTS + in_flight) * (1 + config.gen_toks) + 3 * MOST_EVENTS
    assert most <= bound
    assert whole == one_by_one(events)
    assert lists(whole) > 3 * requests


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 500, 1_000])
def test_a_full_disk_costs_no_figure(small: None, tmp_path: Path, room: int) -> None:
    with Shelf(tmp_path) as shelf:
        with full_disk(room):
            session = lightened(SERVED, shelf)
        assert session.requests
        assert shelf.whole(session) == one_by_one(SERVED)


def test_no_place_for_the_file_costs_no_figure(small: None, tmp_path: Path) -> None:
    with Shelf(tmp_path / "none") as shelf:
        session = lightened(EVENTS, shelf)
        assert session == shelf.whole(session) == one_by_one(EVENTS)


def test_what_cannot_be_read_back_is_one_line(small: None, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    with shelf:
        session = lightened(EVENTS, shelf)
    with pytest.raises(InputError, match=r"cannot be read back .*; `llamatop show`"):
        shelf.whole(session)

"""Events as columns are the same events, and fold to the same session."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import SECOND, ManualClock
from llamatop.events.kinds import (
    ClientSampled,
    EngineLost,
    Event,
    HostFacts,
    LevelEnded,
    LevelStarted,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    RequestReached,
    RequestSent,
    RunStarted,
    ServerFound,
    ServerLost,
    Tick,
    TokensCounted,
    TokensEmitted,
)
from llamatop.events.sanitize import clean_event
from llamatop.recording.schema import block_of, table_of
from llamatop.run import replay as replay_module
from llamatop.run.replay import Replay, fold
from llamatop.session.blocks import Block, Blocks
from llamatop.session.reducer import LAST_BIN, Session
from llamatop.settings.config import RunConfig
from tests.served import TWO, served, served_events

SERVED = served_events(
    served(urls=TWO, requests=10, gen_toks=9), short_every=3, resend_every=4, lost=True
)
EVENTS = script(RunConfig(engine="scripted", concurrency=(2, 3)), Script(fail_every=4))


def blocks_of(events: Sequence[Event], size: int) -> Blocks:
    """The events in blocks of so many."""
    parts = [events[start : start + size] for start in range(0, len(events), size)]
    return Blocks(block_of(table_of(part, keep_text=True))[0] for part in parts)


def one_by_one(events: Sequence[Event]) -> Session:
    session = Session()
    for event in events:
        session.apply(clean_event(event))
    return session


def texts(session: Session) -> list[str]:
    return [request.text for request in session.requests.values()]


TIMES = st.one_of(
    st.integers(0, 3 * SECOND), st.integers(-SECOND, 0), st.just((LAST_BIN + 5) * SECOND)
)
IDS = st.integers(-1, 3)
TEXT = st.one_of(st.none(), st.text("aé\x1b\n", max_size=3))

TANGLED: st.SearchStrategy[Event] = st.one_of(
    st.builds(TokensEmitted, TIMES, IDS, st.integers(-1, 4), TEXT),
    st.builds(TokensEmitted, TIMES, IDS, st.integers(1, 2)),
    st.builds(RequestQueued, TIMES, IDS, st.integers(0, 1), st.just(8), st.just(9), st.booleans()),
    st.builds(RequestAdmitted, TIMES, IDS, st.integers(0, 1)),
    st.builds(RequestFinished, TIMES, IDS, st.just("length")),
    st.builds(RequestFailed, TIMES, IDS, st.just("why")),
    st.builds(RequestCancelled, TIMES, IDS),
    st.builds(Tick, TIMES),
    st.builds(RequestSent, TIMES, IDS, st.integers(0, 1), TIMES, st.booleans()),
    st.builds(RequestReached, TIMES, IDS, st.sampled_from(["connected", "event", "answer", "end"])),
    st.builds(
        TokensCounted, time=TIMES, request=IDS, by=st.sampled_from(["usage", "estimate"]),
        count=st.none() | st.integers(-1, 12), prompt=st.none() | st.integers(1, 9),
        cached=st.none() | st.integers(0, 3), reasoning=st.none() | st.integers(0, 3),
    ),
    st.builds(ServerLost, TIMES, st.integers(0, 1), st.just("refused\x1b")),
    st.builds(ServerFound, TIMES, st.integers(0, 1)),
    st.builds(ClientSampled, TIMES, st.just(0), st.tuples(TIMES, TIMES)),
    st.builds(LevelStarted, TIMES, st.integers(0, 1), st.just(2), st.none()),
    st.builds(LevelEnded, TIMES, st.integers(0, 1), st.just("ok")),
    st.builds(EngineLost, TIMES, st.just(-9), st.just("killed")),
    st.builds(
        RunStarted, TIMES, st.just(RunConfig()), st.just(HostFacts("a", "b", 1, None, "c")),
        st.just("0"), st.just(""), joined=st.integers(0, 2 * SECOND),
    ),
)  # fmt: skip
"""Events of few requests, in orders that no run would make."""


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TANGLED, max_size=60), st.integers(1, 30), st.data())
def test_columns_fold_as_their_events_do(
    events: list[Event], size: int, data: st.DataObject
) -> None:
    blocks = blocks_of(events, size)
    assert blocks == events
    whole = one_by_one(events)
    assert fold(blocks) == whole
    assert texts(fold(blocks)) == texts(whole)
    cut = data.draw(st.integers(0, len(events)))
    in_two = Session()
    blocks.fold_into(in_two, 0, cut)
    assert in_two == one_by_one(events[:cut])
    blocks.fold_into(in_two, cut)
    assert in_two == whole
    assert (list(in_two.requests), list(in_two.active)) == (
        list(whole.requests),
        list(whole.active),
    )


@pytest.mark.parametrize("events", [EVENTS, SERVED], ids=["in process", "on servers"])
@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_a_run_in_columns(size: int, events: list[Event]) -> None:
    blocks = blocks_of(events, size)
    assert fold(blocks) == fold(events)
    assert [*blocks.rare] == [e for e in events if not isinstance(e, TokensEmitted | Tick)]
    assert [*blocks.times] == [event.time for event in events]


@pytest.mark.parametrize("size", [1, 7, 300])
def test_slices_are_those_of_a_list(size: int) -> None:
    blocks = blocks_of(EVENTS, size)

    @given(st.slices(len(EVENTS)))
    @settings(deadline=None)
    def check(part: slice) -> None:
        assert blocks[part] == EVENTS[part]

    check()


def test_places_are_those_of_a_list() -> None:
    blocks = blocks_of(EVENTS, 50)
    assert [blocks[place] for place in range(-len(EVENTS), len(EVENTS))] == [*EVENTS, *EVENTS]
    for place in (len(EVENTS), -len(EVENTS) - 1):
        with pytest.raises(IndexError):
            blocks[place]
    assert blocks != EVENTS[:-1]
    assert blocks_of([], 5) == []
    assert fold(blocks_of([], 5)) == Session()


@pytest.mark.parametrize("events", [EVENTS, SERVED], ids=["in process", "on servers"])
def test_a_replay_of_columns_seeks_as_one_of_events(
    monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> None:
    monkeypatch.setattr(replay_module, "SNAPSHOT_EVENTS", 60)
    blocks = Replay(blocks_of(events, 100), clock=ManualClock())
    plain = Replay(events, clock=ManualClock())
    for share in (0.9, 0.2, 0.5, 1.0, 0.0):
        there = round(plain.length * share)
        assert blocks.seek(there) == plain.seek(there)
        assert blocks.drain() == plain.drain()


def test_copies_of_a_replay_stay_few_where_requests_are_many() -> None:
    """All snapshots together hold no more requests than there are events."""
    made: list[Event] = [LevelStarted(0, 0, 1, None)]
    for id in range(20_000):
        made += [RequestQueued(id, id, 0, 1, 1), TokensEmitted(id, id, 1)]
        made.append(RequestFinished(id, id, "length"))
    replay = Replay(blocks_of(made, 30_000), clock=ManualClock())
    replay.prepare()
    held = sum(len(session.requests) for _, session in replay._snapshots)
    assert len(replay._snapshots) > 2
    assert held <= len(made)


def test_a_block_holds_its_emissions_as_columns() -> None:
    block, misfits = block_of(table_of([TokensEmitted(5, 1, 2, "a"), Tick(6)], keep_text=True))
    assert isinstance(block, Block) and not misfits
    assert (list(block.times), list(block.requests), list(block.counts)) == ([5, 6], [1, 0], [2, 0])
    assert not block.others

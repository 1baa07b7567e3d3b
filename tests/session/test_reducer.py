from hypothesis import given
from hypothesis import strategies as st

from llamatop.engines.scripted import Script, script
from llamatop.events.kinds import (
    EngineLost,
    Event,
    LevelStarted,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    Tick,
    TokensEmitted,
)
from llamatop.events.sanitize import clean_event
from llamatop.run.replay import fold
from llamatop.session.reducer import LAST_BIN, Session
from llamatop.settings.config import RunConfig

SCRIPTED = script(RunConfig(engine="scripted", concurrency=(2, 3)), Script(fail_every=4))

START = [LevelStarted(0, 0, 2, None), RequestQueued(1, 7, 0, 8, 4), RequestAdmitted(2, 7, 0)]


def test_states_of_a_request() -> None:
    session = Session()
    seen = []
    for event in [*START, TokensEmitted(3, 7, 1), RequestFinished(4, 7, "length")]:
        session.apply(event)
        seen.append(session.requests[7].state if session.requests else None)
    assert seen == [None, "queued", "prefill", "decode", "done"]
    assert not session.active


def test_now_is_the_latest_time_seen() -> None:
    session = fold([Tick(5), Tick(3), Tick(9), TokensEmitted(-4, 1, 1)])
    assert session.now == 9


def test_a_lost_engine_fails_what_was_in_flight() -> None:
    session = fold([*START, EngineLost(9, -9, "killed by SIGKILL")])
    request = session.requests[7]
    assert (request.state, request.error, request.ended) == ("failed", "killed by SIGKILL", 9)
    assert not session.active


def test_a_request_belongs_to_the_level_that_admitted_it() -> None:
    session = fold(
        [
            LevelStarted(0, 0, 2, None),
            RequestQueued(1, 7, 0, 8, 4),
            LevelStarted(2, 1, 3, None),
            RequestAdmitted(3, 7, 1),
        ]
    )
    assert session.levels[0].requests == []
    assert [request.id for request in session.levels[1].requests] == [7]


def test_tokens_after_the_end_and_of_strangers_count_for_nothing() -> None:
    for last in (RequestCancelled(3, 7), RequestFailed(3, 7, "x"), RequestFinished(3, 7, "stop")):
        session = fold([*START, last, TokensEmitted(4, 7, 1), TokensEmitted(4, 99, 1)])
        assert session.requests[7].tokens == 0
        assert sum(session.token_bins) == 0


def test_a_damaged_time_does_not_take_the_memory() -> None:
    session = fold([*START, TokensEmitted(2**62, 7, 1)])
    assert len(session.token_bins) <= LAST_BIN
    assert session.requests[7].tokens == 1


EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Tick, st.integers(-5, 2**40)),
    st.builds(LevelStarted, st.integers(0, 100), st.integers(0, 3), st.integers(1, 4), st.none()),
    st.builds(RequestQueued, st.integers(0, 100), *[st.integers(0, 5)] * 4, st.booleans()),
    st.builds(RequestAdmitted, st.integers(0, 100), *[st.integers(0, 5)] * 2),
    st.builds(TokensEmitted, st.integers(-9, 10**11), st.integers(0, 5), st.integers(-1, 3)),
    st.builds(RequestFinished, st.integers(0, 100), st.integers(0, 5), st.just("length")),
    st.builds(RequestFailed, st.integers(0, 100), st.integers(0, 5), st.text(max_size=3)),
    st.builds(EngineLost, st.integers(0, 100), st.none(), st.just("x")),
)


@given(st.lists(EVENTS, max_size=60))
def test_any_order_of_facts_folds_and_counts_hold(events: list[Event]) -> None:
    session = fold(events)
    for request in session.requests.values():
        assert request.tokens == sum(request.counts)
        assert len(request.times) == len(request.counts)
        assert request.active == (request.id in session.active)
    assert all(
        not request.warmup and request.level == level.id
        for level in session.levels.values()
        for request in level.requests
        if session.requests[request.id] is request
    )


@given(st.lists(EVENTS, max_size=40), st.integers(0, 40))
def test_folding_in_two_parts_is_folding_at_once(events: list[Event], cut: int) -> None:
    session = fold(events[:cut])
    for event in events[cut:]:
        session.apply(clean_event(event))
    assert session == fold(events)


def test_an_endless_run_remembers_the_newest_only() -> None:
    session = Session(keep=3)
    session.apply(LevelStarted(0, 0, 1, None))
    for id in range(9):
        session.apply(RequestQueued(id, id, 0, 8, 1))
        if id != 2:  # a slow one stays, whatever its age
            session.apply(RequestFinished(id, id, "length"))
    assert list(session.requests) == [2, 7, 8]
    assert [request.id for request in session.levels[0].requests] == [2, 7, 8]
    assert session.levels[0].forgotten == 6


def test_a_copy_goes_on_by_itself() -> None:
    for place in range(0, len(SCRIPTED), 17):
        session = fold(SCRIPTED[:place])
        taken = session.copy()
        assert taken == session
        for event in SCRIPTED[place:]:
            session.apply(event)
        assert taken == fold(SCRIPTED[:place]), "what the one sees the other does not"
        for event in SCRIPTED[place:]:
            taken.apply(event)
        assert taken == session


def test_a_request_of_a_level_that_began_later_is_let_go() -> None:
    late = [RequestQueued(1, 7, 0, 8, 4), LevelStarted(2, 0, 1, None), LevelStarted(3, 1, 1, None)]
    session = Session(keep=0)
    for event in [*late, RequestAdmitted(4, 7, 1), RequestFinished(5, 7, "length")]:
        session.apply(event)
    assert not session.requests
    assert [(level.requests, level.forgotten) for level in session.levels.values()] == [
        ([], 0),
        ([], 1),
    ]

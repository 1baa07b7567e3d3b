"""A total that a server tells at the end, spread over what came before."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.kinds import (
    Event,
    LevelStarted,
    RequestFinished,
    RequestQueued,
    RequestSent,
    ServerKnown,
    TokensCounted,
    TokensEmitted,
)
from llamatop.figures.requests import e2e, gaps, tpot, ttft
from llamatop.session.known import BIN
from llamatop.session.reducer import Session
from llamatop.session.requests import Load, Request
from tests.served import known, session_of


def counted(counts: list[int], total: int | None) -> tuple[Session, Request]:
    """A request whose emissions came every tenth of a second, and what its server said then."""
    events: list[Event] = [
        known(0, "http://host"), LevelStarted(0, 0, 1, 1), RequestQueued(0, 0, 0, 8, 50),
        RequestSent(0, 0, 0, 0),
        *(TokensEmitted((place + 1) * BIN, 0, count) for place, count in enumerate(counts)),
        TokensCounted(time=99 * BIN, request=0, by="usage", count=total),
        RequestFinished(99 * BIN, 0, "length"),
    ]  # fmt: skip
    assert isinstance(events[0], ServerKnown)
    session = session_of(events)
    return session, session.requests[0]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(2, 90))
def test_first_and_last_token_keep_their_times(counts: list[int], total: int) -> None:
    session, request = counted(counts, total)
    assert request.tokens == sum(request.counts) == sum(session.token_bins) == total
    assert len(request.times) == len(request.counts) and min(request.counts) > 0
    assert ttft(request) == BIN / 1e9 and e2e(request) == len(counts) * BIN / 1e9
    if len(counts) > 1:
        pace = tpot(request)
        assert pace is not None
        assert abs(sum(gaps(request)) - (request.times[-1] - request.times[0]) / 1e9) < 1e-9


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(0, 60))
def test_more_tokens_keep_their_proportions(counts: list[int], more: int) -> None:
    total = sum(counts) + more
    _, request = counted(counts, total)
    shares = [so_far * total / sum(counts) for so_far in accumulate(counts)]
    reached = list(accumulate(request.counts))
    assert all(abs(a - b) < 1 for a, b in zip(shares, reached, strict=True))


def test_what_nobody_counted_stays_a_guess() -> None:
    _, request = counted([1, 2, 1], None)
    assert list(request.counts) == [1, 2, 1] and not request.short
    assert request.served is not None and not request.served.counted


def test_a_server_has_what_it_was_sent() -> None:
    session, _ = counted([1], 1)
    assert session.loads == {0: Load(0, 1, 0)}

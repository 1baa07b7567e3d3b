"""Tokens whose own times are not known: counted, spread for histories, and in no gap."""

from __future__ import annotations

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    Event,
    LevelStarted,
    RequestAdmitted,
    RequestFinished,
    RequestQueued,
    TokensEmitted,
    TokensSummed,
)
from llamatop.figures.gaps import slowest_gaps
from llamatop.figures.levels import level_figures
from llamatop.figures.requests import e2e, gaps, tpot, ttft
from llamatop.recording.schema import block_of, table_of
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.session.requests import Request


def events(first: bool, rest: int | None) -> list[Event]:
    begun: list[Event] = [
        LevelStarted(0, 0, 1, 1),
        RequestQueued(0, 1, 0, None, None),
        RequestAdmitted(0, 1, 0),
    ]
    begun += [TokensEmitted(SECOND, 1, 1)] if first else []
    return [*begun, TokensSummed(3 * SECOND, 1, rest), RequestFinished(3 * SECOND, 1, "length")]


def request(session: Session) -> Request:
    [one] = session.requests.values()
    return one


def test_the_rest_is_counted_and_has_no_gaps() -> None:
    session = fold(events(True, 10))
    one = request(session)
    assert one.tokens == 11
    assert (ttft(one), tpot(one), e2e(one)) == (1.0, 0.2, 3.0)
    assert list(gaps(one)) == []
    figures = level_figures(session, session.levels[0])
    assert figures.itl is None
    assert figures.output_tokens == 11
    assert figures.prompt_tokens is None
    assert slowest_gaps(events(True, 10)) == []


def test_histories_spread_the_rest_over_its_time() -> None:
    bins = fold(events(True, 10)).token_bins
    assert sum(bins) == 11
    assert max(bins) == 1
    assert sum(bins[10:20]) > 0
    assert sum(bins[20:]) > 0


def test_an_unknown_number_is_unknown() -> None:
    session = fold(events(True, None))
    figures = level_figures(session, session.levels[0])
    assert (figures.output_tokens, figures.output_rate, figures.tpot) == (None, None, None)
    assert figures.ttft is not None


def test_without_a_first_token_there_is_no_ttft() -> None:
    one = request(fold(events(False, 5)))
    assert (ttft(one), tpot(one), e2e(one)) == (None, None, 3.0)


def test_columns_fold_to_the_same() -> None:
    for told in (events(True, 10), events(False, 5), events(True, None)):
        block, misfits = block_of(table_of(told, keep_text=True))
        session = Session()
        block.fold_into(session)
        assert misfits == 0
        assert session == fold(told)

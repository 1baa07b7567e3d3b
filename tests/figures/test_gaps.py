from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    Event,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    TokensEmitted,
)
from llamatop.figures.gaps import Gap, slowest_gaps
from llamatop.figures.requests import gaps
from llamatop.recording.schema import block_of, table_of
from llamatop.run.replay import fold
from llamatop.session.blocks import Blocks
from llamatop.settings.config import RunConfig

EVENTS = script(RunConfig(engine="scripted", concurrency=(3,), requests=9), Script(fail_every=4))


def request(id: int, times: list[float], *, warmup: bool = False, done: bool = True) -> list[Event]:
    end = round(times[-1] * SECOND)
    return [
        RequestQueued(0, id, 0, 8, len(times), warmup),
        *(TokensEmitted(round(time * SECOND), id, 1) for time in times),
        RequestFinished(end, id, "length") if done else RequestFailed(end, id, "no"),
    ]


def test_the_slowest_comes_first_and_a_stall_counts_once() -> None:
    events = [*request(1, [1, 2, 5, 6]), *request(2, [1.5, 2.5, 4.9, 5.2]), *request(3, [8, 9.5])]
    assert slowest_gaps(events) == [
        Gap(3.0, 2 * SECOND, 5 * SECOND, 1),
        Gap(1.5, 8 * SECOND, round(9.5 * SECOND), 3),
        Gap(1.0, SECOND, 2 * SECOND, 1),
        Gap(1.0, 5 * SECOND, 6 * SECOND, 1),
    ]


def test_warm_up_and_what_did_not_complete_is_left_out() -> None:
    events = [*request(1, [1, 9], warmup=True), *request(2, [1, 8], done=False)]
    assert slowest_gaps(events) == []


def test_several_tokens_share_their_gap() -> None:
    events = request(1, [1, 2])
    events[2] = TokensEmitted(2 * SECOND, 1, 4)
    assert slowest_gaps(events)[0].seconds == 0.25


def test_the_first_is_the_largest_of_the_session() -> None:
    done = [r for level in fold(EVENTS).levels.values() for r in level.requests]
    largest = max(gap for r in done if r.state == "done" for gap in gaps(r))
    assert slowest_gaps(EVENTS)[0].seconds == pytest.approx(largest)


@given(st.integers(1, 40))
def test_so_many_at_most_in_order_and_apart(most: int) -> None:
    found = slowest_gaps(EVENTS, most)
    assert 0 < len(found) <= most
    assert [g.seconds for g in found] == sorted((g.seconds for g in found), reverse=True)
    spans = sorted((g.start, g.end) for g in found)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def blocks_of(events: list[Event], size: int) -> Blocks:
    """The same events as columns, so many a block."""
    parts = (events[start : start + size] for start in range(0, len(events), size))
    return Blocks(block_of(table_of(part, keep_text=False))[0] for part in parts)


TIMES = st.integers(0, 6 * SECOND) | st.integers(0, 12).map(lambda half: half * SECOND // 2)
IDS, EIGHT = st.integers(0, 3), st.just(8)
ANY = st.one_of(
    st.builds(TokensEmitted, TIMES, IDS, st.integers(0, 3)),
    st.builds(RequestQueued, TIMES, IDS, st.just(0), EIGHT, EIGHT, st.booleans()),
    st.builds(RequestFinished, TIMES, IDS, st.just("length")),
)


@settings(deadline=None)
@given(
    st.lists(ANY, max_size=60), st.integers(1, 20), st.integers(1, 9), st.lists(st.integers(0, 2))
)
def test_columns_have_the_same_gaps(events, size, looked_at, ran) -> None:
    for request in ran:
        events = [RequestQueued(0, request, 0, 8, 8, False), *events]
        events.append(RequestFinished(0, request, "length"))
    blocks = blocks_of(events, size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llamatop.figures.gaps._LOOKED_AT", looked_at)
        assert slowest_gaps(blocks) == slowest_gaps(events)


@settings(deadline=None, max_examples=20)
@given(st.integers(40, 500))
def test_columns_of_a_run_have_the_same_gaps(size: int) -> None:
    assert slowest_gaps(blocks_of(EVENTS, size)) == slowest_gaps(EVENTS)

"""Tokens are played when they came, whatever was heard of ahead of them."""

from itertools import accumulate
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import SECOND
from llamatop.events.kinds import ClientSampled, Event, HostSampled, Tick, TokensEmitted
from llamatop.recording.reader import open_recording
from llamatop.run.in_time import SAMPLES, due, in_time
from llamatop.run.replay import Replay, fold
from llamatop.session.blocks import Block, Blocks
from llamatop.settings.config import RunConfig
from tests.session.test_blocks import blocks_of

SCRIPTED = script(RunConfig(engine="scripted", concurrency=(2, 3)), Script(fail_every=4))
RECORDED = Path("recordings/samples/llama-3.1-8b-batch-h100.parquet")


def block_of(events: list[Event]) -> Block:
    return blocks_of(events, len(events)).blocks[0]


@st.composite
def heard_late(draw: st.DrawFn) -> list[Event]:
    """What the scripted engine told, heard of behind ticks of a clock that had gone on."""
    late = draw(st.integers(0, SECOND // 2))
    each = draw(st.integers(SECOND // 20, SECOND))
    heard = [
        (event.time + (0 if isinstance(event, SAMPLES) else late), event) for event in SCRIPTED
    ]
    ticks = [(time, Tick(time)) for time in range(0, heard[-1][0], each)]
    return [event for _, event in sorted([*ticks, *heard], key=lambda one: one[0])]


@settings(max_examples=30, deadline=None)
@given(heard_late())
def test_ticks_go_behind_what_was_before_them(events: list[Event]) -> None:
    moved = in_time(block_of(events))
    others = [event for event in events if type(event) is not Tick]
    assert [event for event in moved if type(event) is not Tick] == others
    assert sorted(e.time for e in moved) == sorted(e.time for e in events)
    assert fold(Blocks([moved])) == fold(events)
    assert in_time(moved) is moved


@settings(max_examples=30, deadline=None)
@given(heard_late())
def test_a_token_is_due_when_it_came(events: list[Event]) -> None:
    moved = in_time(block_of(events))
    when = due(moved)
    by_clock = [isinstance(event, (Tick, *SAMPLES)) for event in moved]
    own = [0 if its else event.time for event, its in zip(moved, by_clock, strict=True)]
    latest = list(accumulate(own, max))
    assert list(when) == sorted(when)
    assert all(when[n] == latest[n] for n, its in enumerate(by_clock) if not its)


def test_samples_that_nothing_follows_are_due_at_their_time() -> None:
    events = [HostSampled(SECOND, 0, 0, 0), ClientSampled(3 * SECOND, 0, ())]
    assert [event.time for event in events] == list(due(block_of(list(events))))


def test_a_recording_steps_from_token_to_token() -> None:
    events = open_recording(RECORDED).events
    replay = Replay(events)
    assert fold(replay.events) == fold(events)
    emitted = sorted({e.time for e in events if isinstance(e, TokensEmitted)})
    place = len(emitted) // 2
    session = replay.seek(emitted[place])
    came = sum(e.count for e in events if isinstance(e, TokensEmitted) and e.time <= emitted[place])
    assert sum(request.tokens for request in session.requests.values()) == came
    replay.step()
    assert replay.position == emitted[place + 1]

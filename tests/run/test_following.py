"""A replay whose end moves on: what is now, elsewhere, and back; what is shown is the fold."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import SECOND, ManualClock
from llamatop.events.kinds import Event, Tick, TokensEmitted
from llamatop.run.following import BEHIND, Following
from llamatop.run.pump import Pump
from llamatop.run.replay import fold
from llamatop.session.blocks import EMISSION, OTHER, TICK, Block
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig

EVENTS = script(RunConfig(engine="scripted", concurrency=(2, 3)), Script(fail_every=4))
DUE = list(accumulate((event.time for event in EVENTS), max))


def block_of(events: Sequence[Event]) -> Block:
    codes = {TokensEmitted: EMISSION, Tick: TICK}
    return Block(
        bytes(codes.get(type(event), OTHER) for event in events),
        times=array("q", (event.time for event in events)),
        requests=array("i", (e.request if isinstance(e, TokensEmitted) else 0 for e in events)),
        counts=array("i", (e.count if isinstance(e, TokensEmitted) else 0 for e in events)),
        others={p: e for p, e in enumerate(events) if not isinstance(e, TokensEmitted | Tick)},
    )


class FakeFeed:
    """Blocks of a script, as far as a test says."""

    def __init__(self) -> None:
        self.state = "growing"
        self.path, self.facts, self.silent, self.host = Path("a.parquet"), dict[str, str](), 0.0, ""
        self.at = 0
        self.blocks: list[Block] = []

    def until(self, seconds: float) -> None:
        """What a writer would have flushed by then."""
        to = bisect_right(DUE, int(seconds * SECOND))
        if to > self.at:
            self.blocks.append(block_of(EVENTS[self.at : to]))
            self.at = to

    def take(self) -> list[Block]:
        taken, self.blocks = self.blocks, []
        return taken

    def close(self) -> None:
        self.state = "gone"


class Watched:
    """A follower with a clock of its own, and what it shows."""

    def __init__(self, joined: float, speed: float = 1.0) -> None:
        self.feed, self.clock = FakeFeed(), ManualClock()
        self.feed.until(joined)
        self.replay = Following(self.feed, speed, self.clock)
        self.pump = Pump(self.replay, Session())
        self.now = joined

    def passes(self, seconds: float, flush: float = 0.5) -> None:
        """So much time, a frame each tenth of a second; what comes is flushed now and then."""
        for frame in range(round(seconds * 10)):
            self.now += 0.1
            self.clock.time += SECOND // 10
            if frame % round(flush * 10) == 0:
                self.feed.until(self.now)
            self.pump.step()

    @property
    def holds(self) -> bool:
        """Whether what is shown is the fold of all that is due."""
        return self.pump.session == fold(EVENTS[: bisect_right(DUE, self.replay.position)])


def test_it_keeps_to_what_is_now_half_a_second_behind_at_most() -> None:
    watched = Watched(joined=2)
    positions = []
    for _ in range(20):
        watched.passes(0.1, flush=0.5)
        watched.feed.until(watched.now)
        positions.append(watched.replay.position)
        assert watched.replay.length - BEHIND <= watched.replay.position <= watched.replay.length
        assert watched.holds
    assert positions == sorted(set(positions)), "it moves evenly"
    assert watched.replay.at_now and not watched.replay.ended


def test_elsewhere_and_back_with_one_order() -> None:
    watched = Watched(joined=3)
    replay = watched.replay
    watched.passes(1)
    watched.pump.session = replay.seek(SECOND)
    watched.passes(1)
    assert (replay.at_now, replay.position) == (False, 2 * SECOND)
    assert watched.holds
    watched.pump.session = replay.seek(replay.length)
    watched.passes(0.5)
    assert replay.at_now and replay.length - replay.position <= BEHIND
    assert watched.holds


def test_a_pause_holds_and_then_goes_on_from_there() -> None:
    watched = Watched(joined=3)
    watched.passes(0.5)
    watched.replay.pause(True)
    held = watched.replay.position
    watched.passes(1)
    assert (watched.replay.position, watched.replay.at_now) == (held, False)
    assert watched.replay.length > held + SECOND // 2, "what comes meanwhile is there"
    watched.replay.pause(False)
    watched.passes(0.5)
    assert watched.replay.position == held + SECOND // 2


def test_played_faster_it_comes_to_what_is_now_and_stays() -> None:
    watched = Watched(joined=3, speed=8)
    assert (watched.replay.position, watched.replay.at_now) == (0, False)
    watched.passes(1)
    assert watched.replay.at_now
    assert watched.replay.speed == 1
    watched.replay.faster(1)
    assert watched.replay.speed == 1, "there is nothing faster than now"
    assert watched.holds


def test_who_looked_away_for_long_is_told_to_fold_anew() -> None:
    watched = Watched(joined=0.5)
    watched.passes(0.5)
    assert not watched.replay.far_behind
    watched.feed.until(DUE[-1])
    watched.replay.grow()
    assert watched.replay.far_behind
    watched.pump.session = watched.replay.seek(watched.replay.length)
    assert watched.replay.at_now and watched.holds


@settings(max_examples=15, deadline=None)
@given(
    st.floats(0, 8),
    st.lists(st.tuples(st.sampled_from(["seek", "step", "pause", "now", "wait"]), st.floats(0, 9))),
)
def test_whatever_was_done_meanwhile_in_the_end_it_is_the_whole_session(
    joined: float, orders: list[tuple[str, float]]
) -> None:
    watched = Watched(joined)
    replay, pump = watched.replay, watched.pump
    for order, value in orders:
        match order:
            case "seek":
                pump.session = replay.seek(int(value * SECOND))
            case "step":
                replay.pause(True)
                pump.session = replay.step(1 if value > 4 else -1)
            case "pause":
                replay.pause(value > 4)
            case "now":
                replay.pause(False)
                pump.session = replay.seek(replay.length)
            case _:
                watched.passes(value / 4)
        pump.step()
        assert watched.holds
    watched.feed.until(DUE[-1])
    pump.step()
    watched.feed.state = "whole"
    replay.pause(False)
    pump.session = replay.seek(replay.length)
    pump.step()
    assert replay.ended and not replay.at_now
    assert pump.session == fold(EVENTS)

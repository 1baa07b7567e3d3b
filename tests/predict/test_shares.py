"""MBU and MFU of a made session, by hand."""

from array import array
from typing import NamedTuple

import pytest

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    Event,
    LevelEnded,
    LevelStarted,
    MachineMeasured,
    ModelTraced,
    RequestFailed,
    RequestQueued,
)
from llamatop.figures.levels import level_figures
from llamatop.figures.roofline import ROOF_BEATEN
from llamatop.figures.shares import level_held_back_by, level_mbu, level_mfu
from llamatop.reports.run_text import table
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request
from llamatop.settings.config import RunConfig


class Traced(NamedTuple):
    active_parameters: int = 500
    read_bytes: int = 1000
    expert_bytes: int = 0
    experts: int = 0
    experts_per_token: int = 0
    attention_width: int = 0
    caches: tuple[tuple[int, int | None], ...] = ((10, None),)


def made(requests: int, facts: bool = True) -> tuple[Session, Level]:
    """All at once: 8 tokens in, the first after 1 s, four more at 2 s each."""
    level = Level(0, requests, requests, 0)
    for id in range(requests):
        request = Request(id, 0, 8, 5, False, 0, admitted=0, state="done", tokens=5)
        request.times = array("q", [SECOND * at for at in (1, 3, 5, 7, 9)])
        request.counts = array("i", [1] * 5)
        level.requests.append(request)
    session = Session(machine=MachineMeasured(0, "cpu", "float32", 2000.0, 10_000.0))
    session.levels[0] = level
    if facts:
        session.traced = Traced()  # type: ignore[attr-defined, unused-ignore, assignment]
    return session, level


def _held_back_by(session: Session, level: Level) -> str | None:
    shares = level_mbu(session, level), level_mfu(session, level)
    return level_held_back_by(session, level, *shares)


def test_mbu_by_hand() -> None:
    session, level = made(2)
    assert level_mbu(session, level) == pytest.approx((1000 + 2 * 10 * 10.5) / 2 / 2000)


def test_mfu_by_hand() -> None:
    session, level = made(2)
    assert level_mfu(session, level) == pytest.approx(2 * 500 * 26 / 9 / 10_000)


def test_nothing_is_said_without_facts() -> None:
    session, level = made(2, facts=False)
    assert level_mbu(session, level) is None
    assert level_mfu(session, level) is None
    session, level = made(0)
    assert level_mbu(session, level) is None
    assert _held_back_by(session, level) is None


def test_far_from_both_roofs_is_overhead() -> None:
    assert _held_back_by(*made(2)) == "overhead"


def told(config: RunConfig, bandwidth: float, flops: float, *more: Event) -> Session:
    """A scripted run of a model that reads 1 MB and computes 2 MFLOP a token, on such a machine."""
    traced = ModelTraced(
        0, parameters=1_000_000, active_parameters=1_000_000, read_bytes=1_000_000, expert_bytes=0,
        experts=0, experts_per_token=0, attention_width=0, caches=((8, None),),
        kv_bytes_per_token=8,
    )  # fmt: skip
    machine = MachineMeasured(0, "scripted", "none", bandwidth, flops)
    run = script(config, Script(step=0.1, jitter=0.0, prefill_per_token=0.0))
    return fold([*run[:2], traced, machine, *run[2:], *more])


CLOSED = RunConfig(engine="scripted", prompt_toks=4, gen_toks=40, requests=2)
OPEN = RunConfig(engine="scripted", prompt_toks=4, gen_toks=40, requests=8, rate=4.0)


@pytest.mark.parametrize(
    ("config", "bandwidth", "flops", "cause"),
    [
        (CLOSED, 1.2e7, 1e9, "memory bandwidth"),  # 10 MB/s read of 12
        (CLOSED, 1e9, 2.5e7, "arithmetic"),  # about 22 MFLOP/s of 25
        (CLOSED, 1e9, 1e9, "overhead"),
        (OPEN, 1.2e7, 1e9, "queueing"),  # 4 arrive a second, each takes 4 s
    ],
)
def test_what_held_a_run_back_from_its_events(
    config: RunConfig, bandwidth: float, flops: float, cause: str
) -> None:
    session = told(config, bandwidth, flops)
    assert level_figures(session, session.levels[0]).held_back_by == cause


def test_memory_that_ended_held_it_back_whatever_else_did() -> None:
    lost = [
        LevelStarted(10**12, 1, 1, 1),
        RequestQueued(10**12, 1000, 1, 4, 40),
        RequestFailed(10**12 + 1, 1000, "no memory left"),
        LevelEnded(10**12 + 2, 1, "oom"),
    ]
    session = told(CLOSED, 1.2e7, 1e9, *lost)
    assert _held_back_by(session, session.levels[1]) == "memory capacity"
    assert _held_back_by(session, session.levels[0]) == "memory bandwidth"


@pytest.mark.parametrize(("bandwidth", "beaten"), [(1.2e7, False), (1e6, True)])
def test_a_run_that_beats_its_roofs_says_that_they_are_too_low(
    bandwidth: float, beaten: bool
) -> None:
    assert (ROOF_BEATEN in table(told(CLOSED, bandwidth, 1e9))) == beaten

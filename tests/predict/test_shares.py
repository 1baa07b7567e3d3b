"""MBU and MFU of a made session, by hand."""

from array import array
from typing import NamedTuple

import pytest

from llamatop.clock import SECOND
from llamatop.events import MachineMeasured
from llamatop.session import Level, Request, Session
from llamatop.shares import level_held_back_by, level_mbu, level_mfu


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
    assert level_held_back_by(session, level) is None


def test_far_from_both_roofs_is_overhead() -> None:
    assert level_held_back_by(*made(2)) == "overhead"

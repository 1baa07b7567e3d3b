"""A limit is told once when it has been broken for long enough, and once when it is kept again."""

from __future__ import annotations

from llamatop.events.clock import SECOND
from llamatop.events.kinds import AlertChanged, ReplicaSampled, ServerStood
from llamatop.figures.limits import limit
from llamatop.watch.alarms import Alarms
from llamatop.watch.thrift import HOURLY, LOOKS, SLOWEST, Thrift

WAITING = "vllm:num_requests_waiting"


def told(alarms: Alarms, second: int, waiting: float) -> list[AlertChanged]:
    sample = ReplicaSampled(second * SECOND, server=0, replica="0", gauges={WAITING: waiting})
    alarms.fold([sample])
    return alarms.look(second * SECOND)


def test_it_must_hold_for_a_while() -> None:
    alarms = Alarms([limit("waiting>2 for 3s")])
    alarms.fold([ServerStood(0, 0, "up")])
    assert [told(alarms, second, 5) for second in range(3)] == [[], [], []]
    assert told(alarms, 3, 1) == [], "kept in between: it begins again"
    for second in range(4, 7):
        assert told(alarms, second, 4) == []
    (broken,) = told(alarms, 7, 6)
    assert (broken.on, broken.value, broken.rule) == (True, 6.0, "waiting>2 for 3s")
    assert told(alarms, 8, 9) == [], "told once"
    (kept,) = told(alarms, 9, 0)
    assert not kept.on


def test_a_server_that_is_away_breaks_nothing() -> None:
    alarms = Alarms([limit("waiting>2")])
    alarms.fold([ServerStood(0, 0, "up")])
    told(alarms, 0, 5)
    alarms.fold([ServerStood(SECOND, 0, "down")])
    assert alarms.look(2 * SECOND) == []


def test_the_pace_suits_what_looks_take() -> None:
    thrift = Thrift()
    small = ReplicaSampled(0, server=0, replica="0")
    assert not any(thrift.count([small]) for _ in range(3 * LOOKS)) and thrift.every == 1
    names = [f"vllm:{name}" for name in range(40)]
    large = [
        ReplicaSampled(0, server=0, replica=str(replica), gauges=dict.fromkeys(names, 0.123456))
        for replica in range(16)
    ]
    changes = sum(thrift.count(large) for _ in range(LOOKS))
    assert changes == 1 and 1 < thrift.every <= SLOWEST
    assert HOURLY == 1_000_000

"""Samples of a long run: few, old ones further apart, peaks kept."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.clock import SECOND
from llamatop.events.kinds import DeviceAllocated, Event, HostSampled, LevelEnded, LevelStarted
from llamatop.figures.levels import host_peak
from llamatop.session.reducer import Session
from llamatop.session.thinning import RESOLUTION, thinned
from llamatop.tui.monitor.windows import STEPS, sampled


def host(time: int, engine: int | None) -> HostSampled:
    return HostSampled(time, 1, 1, 2, engine_bytes=engine)


def bytes_of(sample: HostSampled) -> int | None:
    return sample.engine_bytes


@given(
    st.lists(st.tuples(st.integers(0, 10**13), st.one_of(st.none(), st.integers(0, 99)))),
    st.lists(st.integers(0, 10**13)).map(sorted),
)
def test_order_ends_and_peaks_stay(told, edges):
    samples = [host(time, engine) for time, engine in sorted(told, key=lambda pair: pair[0])]
    kept = thinned(samples, bytes_of, edges)
    times = [sample.time for sample in kept]
    assert times == sorted(times)
    assert kept[-1:] == samples[-1:]
    for start, end in pairwise([-1, *edges, 10**14]):
        whole = [s.engine_bytes or 0 for s in samples if start <= s.time < end]
        part = [s.engine_bytes or 0 for s in kept if start <= s.time < end]
        assert max(whole, default=None) == max(part, default=None)


def long_run(hours: float) -> list[Event]:
    """A sample every half second, in levels of an hour whose peaks are one sample long."""
    events: list[Event] = []
    for place in range(int(hours * 7200)):
        time, level = place * SECOND // 2, place // 7200
        if place % 7200 == 0:
            events += [LevelEnded(time, level - 1, "ok")] if level else []
            events.append(LevelStarted(time, level, 4, None))
        peak = place % 7200 == 1234
        events.append(host(time, 9_000 + level if peak else 1_000 + place % 7))
        events.append(DeviceAllocated(time, 0, 1, 7_000 if peak else 2_000))
    return events


def folded(events: list[Event], keep: int | None) -> Session:
    session = Session(keep=keep)
    for event in events:
        session.apply(event)
    return session


def test_a_long_run_keeps_its_newest_samples_its_peaks_and_a_few_of_the_others():
    events = long_run(6)
    whole, kept = folded(events, None), folded(events, 100)
    assert len(whole.host) == 6 * 7200
    assert len(kept.host) < 6_000 > len(kept.allocated[0])
    assert kept.host[-500:] == whole.host[-500:]
    assert kept.host[0].time < 60 * SECOND
    for level in range(6):
        assert host_peak(kept, kept.levels[level]) == 9_000 + level
    assert max(sample.reserved_bytes for sample in kept.allocated[0]) == 7_000


def test_no_history_of_a_long_run_has_a_hole():
    kept = folded(long_run(6), 100)
    for step in STEPS:
        cells = min(RESOLUTION // 2, kept.now // step)
        assert None not in sampled(kept.host, bytes_of, kept.now, step, cells)

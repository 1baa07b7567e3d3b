import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.clock import SECOND
from llamatop.events.kinds import DeviceSampled, HostSampled
from llamatop.figures.contention import BEGINS, Episode, Neighbours, Slowdown, others_percent
from tests.recording.runs import loaded

MODEL = loaded(engine="batch", threads=2)


def host(seconds: float, cores: tuple[float, ...], engine: float | None = 100.0) -> HostSampled:
    return HostSampled(round(seconds * SECOND), 1, 1, 1, cores, 1, engine, monitor_cpu_percent=4.0)


def gpu(seconds: float, *throttle: str) -> DeviceSampled:
    return DeviceSampled(round(seconds * SECOND), 0, "a GPU", throttle=throttle)


def episodes(watch, samples, *more) -> list[Episode]:
    return [found for sample in samples if (found := watch.see(sample, *more)) is not None]


def test_others_take_what_engine_and_monitor_do_not():
    assert others_percent(host(1, (100.0, 80.0))) == 76.0
    assert others_percent(host(1, (50.0, 50.0))) == 0.0, "samples are not taken at one instant"
    assert others_percent(host(1, ())) is None
    assert others_percent(host(1, (100.0, 80.0), None)) is None
    assert others_percent(host(1, (math.nan, 80.0))) is None


def test_a_busy_neighbour_begins_once_and_ends():
    busy = [host(t / 2, (100.0, 90.0)) for t in range(40)]
    watch = Neighbours()
    (begun,) = episodes(watch, busy, MODEL)
    assert begun.percent == pytest.approx(86.0)
    assert 4 * SECOND <= begun.time <= 5 * SECOND, "not from one rough sample"
    assert watch.percent == pytest.approx(86.0)
    assert episodes(watch, [host(20 + t / 2, (100.0, 6.0)) for t in range(20)], MODEL) == []
    assert watch.percent is None
    again = episodes(watch, [host(40 + t / 2, (100.0, 90.0)) for t in range(20)], MODEL)
    assert len(again) == 1


def test_one_rough_sample_is_no_neighbour():
    watch = Neighbours()
    samples = [host(t / 2, (100.0, 58.0 if t % 10 == 5 else 6.0)) for t in range(60)]
    assert episodes(watch, samples, MODEL) == []


@pytest.mark.parametrize(
    "model",
    [
        None,
        msgspec.structs.replace(MODEL, device="cuda:0"),
        msgspec.structs.replace(MODEL, device="none"),
    ],
)
def test_only_an_engine_on_the_cores_has_neighbours_there(model):
    watch = Neighbours()
    assert episodes(watch, [host(t / 2, (100.0, 90.0)) for t in range(40)], model) == []


def test_cores_that_the_engine_does_not_want_are_free_for_others():
    busy = [host(t / 2, (50.0, 50.0, 90.0, 90.0)) for t in range(40)]
    assert episodes(Neighbours(), busy, MODEL) == []
    wanting = msgspec.structs.replace(MODEL, threads=4)
    assert len(episodes(Neighbours(), busy, wanting)) == 1


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(0, 200)), max_size=80))
def test_what_is_told_of_neighbours_is_notable(loads):
    watch = Neighbours()
    for at, (first, second, engine) in enumerate(loads):
        found = watch.see(host(at / 2, (first, second), engine), MODEL)
        assert found is None or found.percent >= BEGINS
        assert found is None or watch.percent == found.percent


def test_a_slowdown_begins_grows_and_ends():
    told = [
        *(gpu(t / 2) for t in range(4)),
        *(gpu(t / 2, "sw_power_cap") for t in range(4, 10)),
        *(gpu(t / 2, "hw_thermal_slowdown") for t in range(10, 20)),
        *(gpu(t / 2) for t in range(20, 60)),
    ]
    begun, grown, over = episodes(Slowdown(), told)
    assert (begun.time, begun.reasons, begun.seconds) == (2 * SECOND, ("sw_power_cap",), None)
    assert grown.reasons == ("hw_thermal_slowdown", "sw_power_cap")
    assert (over.reasons, over.seconds) == (grown.reasons, 7.5)


def test_a_device_that_flickers_at_its_power_cap_is_one_slowdown():
    told = [gpu(t / 2, *(["sw_power_cap"] if t % 4 else [])) for t in range(200)]
    assert len(episodes(Slowdown(), told)) == 1


def test_a_device_that_does_not_tell_does_not_end_a_slowdown():
    silent = [DeviceSampled(t * SECOND, 0, "a GPU") for t in range(10, 40)]
    watch = Slowdown()
    assert len(episodes(watch, [gpu(1, "sw_power_cap"), *silent])) == 1
    assert watch.reasons == ("sw_power_cap",)

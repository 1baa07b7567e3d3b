"""Energy by tokens, against sums done by hand and a recording of a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamatop.events.clock import SECOND
from llamatop.events.kinds import DeviceSampled, RankSampled
from llamatop.figures.energy import drawing, joules_per_token
from llamatop.figures.levels import level_figures
from llamatop.recording.reader import fold_recording
from llamatop.session.reducer import Session
from tests.figures.test_requests import loaded

SAMPLES = Path(__file__).parents[2] / "recordings" / "samples"


def watched(*powers: tuple[float, float | None], device: int = 0) -> Session:
    """A run on one accelerator that drew so many watts at such seconds."""
    session = Session()
    session.apply(loaded("cuda:0"))
    for time, watts in powers:
        session.apply(DeviceSampled(int(time * SECOND), device, "GPU", power_watts=watts))
    return session


def test_power_is_straight_between_samples_and_level_beyond_them() -> None:
    session = watched((1, 100.0), (2, 300.0), (3, 300.0))
    joules = 100 + 200 + 300 + 300  # of the seconds 0 to 1, 1 to 2, 2 to 3, 3 to 4
    assert joules_per_token(session, 0, 4 * SECOND, 10) == pytest.approx(joules / 10)
    half = joules_per_token(session, int(1.5 * SECOND), 2 * SECOND, 1)
    assert half == pytest.approx(0.5 * (200 + 300) / 2)


@pytest.mark.parametrize(
    "powers", [(), ((1, 100.0), (2, None)), ((1, 100.0), (9, 100.0)), ((20, 100.0),)]
)
def test_what_was_not_told_all_the_while_is_not_known(powers) -> None:
    assert joules_per_token(watched(*powers), 0, 10 * SECOND, 10) is None


def test_no_tokens_and_a_processor_have_none() -> None:
    session = watched((1, 100.0), (2, 100.0))
    assert joules_per_token(session, 0, 2 * SECOND, 0) is None
    assert joules_per_token(session, 0, 2 * SECOND, None) is None
    session.apply(loaded("cpu"))
    assert joules_per_token(session, 0, 2 * SECOND, 10) is None


def test_only_the_devices_of_the_model_count() -> None:
    session = watched((1, 100.0), (2, 100.0))
    session.apply(DeviceSampled(SECOND, 1, "GPU", power_watts=500.0))
    assert drawing(session) == [0]
    assert joules_per_token(session, SECOND, 2 * SECOND, 10) == pytest.approx(10)
    session.apply(RankSampled(0, 0, "cuda:0", 1))
    session.apply(RankSampled(0, 1, "cuda:1", 1))
    assert joules_per_token(session, SECOND, 2 * SECOND, 10) == pytest.approx(60)


def test_of_a_recording_on_an_h100() -> None:
    """Joules of a token times tokens a second are the watts of the device."""
    session = fold_recording(SAMPLES / "llama-3.1-8b-batch-h100.parquet").session
    for level in session.levels.values():
        figures = level_figures(session, level)
        assert figures.joules_per_token is not None and figures.output_rate is not None
        assert 150 < figures.joules_per_token * figures.output_rate < 700

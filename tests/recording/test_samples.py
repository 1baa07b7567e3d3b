"""The recordings that ship stay readable, and say what their table says of them."""

from pathlib import Path

import pytest

from llamatop.levels import level_figures
from llamatop.recording.reader import open_recording
from llamatop.replay import fold
from llamatop.session import Session

SAMPLES = Path(__file__).parents[2] / "recordings" / "samples"


def sample(name: str) -> Session:
    recording = open_recording(SAMPLES / f"{name}.parquet")
    assert recording.complete and not recording.notices
    return fold(recording.events)


def test_there_are_samples() -> None:
    names = {path.stem for path in SAMPLES.glob("*.parquet")}
    assert names == {"demo-sweep-cpu", "llama-3.2-1b-cpu", "engine-killed-cpu"}


@pytest.mark.parametrize(
    ("name", "levels", "requests", "tokens"),
    [("demo-sweep-cpu", [1, 2, 4, 8], 64, 64), ("llama-3.2-1b-cpu", [1, 2, 4], 8, 32)],
)
def test_a_sweep(name: str, levels: list[int], requests: int, tokens: int) -> None:
    session = sample(name)
    assert [level.concurrency for level in session.levels.values()] == levels
    for level in session.levels.values():
        figures = level_figures(session, level)
        assert (figures.outcome, figures.completed) == ("ok", requests)
        assert figures.output_tokens == requests * tokens
        assert figures.host_peak_bytes and figures.predicted_host_bytes and figures.mbu


def test_failures() -> None:
    session = sample("engine-killed-cpu")
    first, second = session.levels.values()
    assert (first.outcome, second.outcome) == ("failed", "stopped")
    assert "SIGKILL" in first.error
    assert {"done", "failed"} == {request.state for request in first.requests}
    assert any(request.state == "cancelled" for request in second.requests)

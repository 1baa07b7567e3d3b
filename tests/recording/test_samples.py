"""The recordings that ship stay readable, and say what their table says of them."""

from functools import lru_cache
from pathlib import Path

import pytest

from llamatop.figures.levels import level_figures
from llamatop.recording import parquet
from llamatop.recording.reader import Recording, fold_recording, open_recording
from llamatop.run.replay import fold
from llamatop.session.reducer import Session

RECORDINGS = Path(__file__).parents[2] / "recordings"
SAMPLES = RECORDINGS / "samples"


def sample(name: str) -> Session:
    recording = open_recording(SAMPLES / f"{name}.parquet")
    assert recording.complete and not recording.notices
    return fold(recording.events)


def test_there_are_samples() -> None:
    names = {path.stem for path in SAMPLES.glob("*.parquet")}
    assert names == {
        "demo-sweep-cpu",
        "llama-3.2-1b-cpu",
        "engine-killed-cpu",
        "llama-3.1-8b-batch-h100",
        "opt-1.3b-until-oom-h100",
    }


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


def test_a_gpu() -> None:
    session = sample("llama-3.1-8b-batch-h100")
    assert session.model is not None and session.model.device_name == "NVIDIA H100 80GB HBM3"
    for level in session.levels.values():
        figures = level_figures(session, level)
        assert (figures.outcome, figures.completed) == ("ok", 4 * level.concurrency)
        assert figures.output_tokens == 4 * level.concurrency * 32
        assert figures.device_peak_bytes and figures.predicted_device_bytes
        assert figures.predicted_device_bytes == pytest.approx(figures.device_peak_bytes, rel=0.01)


def test_the_end_of_memory() -> None:
    session = sample("opt-1.3b-until-oom-h100")
    tried = [(level.concurrency, level.outcome) for level in session.levels.values()]
    assert max(level for level, outcome in tried if outcome == "ok") == 171
    assert min(level for level, outcome in tried if outcome == "oom") == 172


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("h100/*.parquet")), ids=lambda p: p.stem)
def test_the_recordings_behind_the_h100s_figures(path: Path) -> None:
    recording = open_recording(path)
    assert recording.complete and not recording.notices
    assert fold(recording.events).levels


@lru_cache(1)
def whole_and_event_by_event(path: Path) -> tuple[Recording, Session]:
    whole, session = open_recording(path), Session()
    for event in whole.events:
        session.apply(event)
    return whole, session


@pytest.mark.parametrize("rows", [397, parquet.ROW_GROUP])
@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*/*.parquet")), ids=lambda p: p.stem)
def test_read_part_by_part_it_adds_up_to_the_same(
    path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, session = whole_and_event_by_event(path)
    monkeypatch.setattr(parquet, "ROW_GROUP", rows)
    folded = fold_recording(path)
    assert folded.session == session
    assert (folded.complete, folded.notices, folded.facts) == (True, [], whole.facts)
    assert open_recording(path).events == whole.events

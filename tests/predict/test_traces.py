"""Traces that are kept: asked once, told again, and forgotten with the code that made them."""

from pathlib import Path

import msgspec
import pytest

from llamatop.predict import forecast, traces
from llamatop.predict.traced import Ask, Shape, Trace
from llamatop.settings.config import RunConfig

SHAPES = (Shape(1, 16, 4),)
TRACE = Trace("float32", 1, 1, 4, 4, 0, 0, 0, 0, None, (), (), runtime_bytes=5)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLAMATOP_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("traced_here")
def test_a_model_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunConfig(model="demo")
    first = forecast.trace_model(config, "cpu", SHAPES)
    monkeypatch.setattr(forecast, "ask", lambda *_: pytest.fail("it was traced again"))
    assert forecast.trace_model(config, "cpu", SHAPES) == first


@pytest.mark.usefixtures("traced_here")
def test_another_question_is_not_answered_by_it() -> None:
    forecast.trace_model(RunConfig(model="demo"), "cpu", SHAPES)
    known = forecast.trace_model(RunConfig(model="demo"), "cpu", (Shape(2, 16, 4),))
    assert [peak.shape for peak in known.peaks] == [Shape(2, 16, 4)]


def test_only_what_every_engine_imports_is_kept_as_the_runtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[int | None] = []
    monkeypatch.setattr(forecast, "remember_runtime", kept.append)
    monkeypatch.setattr(forecast, "ask", lambda *_: TRACE)
    forecast.trace_model(RunConfig(model="demo", quantize="int8"), "cpu", SHAPES)
    assert kept == []
    forecast.trace_model(RunConfig(model="demo"), "cpu", SHAPES)
    assert kept == [TRACE.runtime_bytes]


def _kept(name: str) -> tuple[Ask, Trace]:
    question = Ask(name, {})
    traces.remember(question, TRACE)
    return question, TRACE


def test_other_code_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    question, trace = _kept("a")
    assert traces.remembered(question) == trace
    monkeypatch.setattr(traces, "_code", lambda: [("tracer.py", 1, 2)])
    assert traces.remembered(question) is None


def test_only_the_latest_are_kept(cache: Path) -> None:
    for n in range(traces.KEPT + 3):
        question, trace = _kept(str(n))
    assert len(list(cache.glob("trace-*.json"))) == traces.KEPT
    assert traces.remembered(question) == trace


@pytest.mark.parametrize("body", [b"", b"{", msgspec.json.encode({"type": "Trace"})])
def test_a_damaged_one_is_made_anew(cache: Path, body: bytes) -> None:
    question, _ = _kept("a")
    for path in cache.glob("trace-*.json"):
        path.write_bytes(body)
    assert traces.remembered(question) is None

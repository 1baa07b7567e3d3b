"""A session as one JSON object and as a table: the same from a run and from its recording."""

from __future__ import annotations

from typing import Any

from llamatop.clock import SECOND
from llamatop.formatting import UNKNOWN, clock, duration, number, percent, size
from llamatop.levels import LevelFigures, level_figures
from llamatop.session import Session
from llamatop.stats import Distribution

SCHEMA = 1
"""Version of the JSON object."""


def summary(session: Session, recording: str | None) -> dict[str, Any]:
    """The JSON object of a run (`schema` 1). What was not measured is None."""
    model = session.model
    return {
        "schema": SCHEMA,
        "model": session.started.config.model if session.started else None,
        "weights": model.weights if model else None,
        "engine": model.engine if model else None,
        "device": model.device if model else None,
        "dtype": model.dtype if model else None,
        "parameters": model.parameters if model else None,
        "recording": recording,
        "complete": session.ended is not None,
        "joined_s": session.joined / SECOND if session.joined else None,
        "levels": [level_summary(figures) for figures in all_figures(session)],
    }


def all_figures(session: Session) -> list[LevelFigures]:
    """The figures of every level, in order."""
    return [level_figures(session, level) for level in session.levels.values()]


def level_summary(figures: LevelFigures) -> dict[str, Any]:
    """One level of the JSON object: seconds, bytes, tokens."""
    return {
        "concurrency": figures.concurrency,
        "outcome": figures.outcome,
        "requests": figures.requests,
        "completed": figures.completed,
        "failed": figures.failed,
        "prompt_tokens": figures.prompt_tokens,
        "output_tokens": figures.output_tokens,
        "duration_s": figures.duration,
        "output_tok_s": figures.output_rate,
        "steady_output_tok_s": figures.steady_rate,
        "request_s": figures.request_rate,
        "goodput_s": figures.goodput,
        "ttft_s": _spread(figures.ttft),
        "tpot_s": _spread(figures.tpot),
        "itl_s": _spread(figures.itl),
        "e2e_s": _spread(figures.e2e),
        "peak_memory": {
            "host_bytes": figures.host_peak_bytes,
            "baseline_bytes": figures.baseline_bytes,
            "device_bytes": figures.device_peak_bytes,
        },
        "predicted_memory": {
            "host_bytes": figures.predicted_host_bytes,
            "device_bytes": figures.predicted_device_bytes,
        },
        "mbu": figures.mbu,
        "mfu": figures.mfu,
        "held_back_by": figures.held_back_by,
    }


def _spread(values: Distribution | None) -> dict[str, float | None]:
    names = ("mean", "p50", "p90", "p99")
    return {name: getattr(values, name) if values else None for name in names}


def level_lines(figures: LevelFigures) -> list[str]:
    """One level for a person to read, a figure a line."""
    title = f"concurrency {figures.concurrency}"
    if figures.outcome != "ok":
        title += f": {figures.outcome or 'cut off'}"
        title += f" ({figures.error})" if figures.error else ""
    return [
        title,
        _row("requests completed", _completed(figures)),
        _row("average latency", duration(figures.e2e.mean if figures.e2e else None)),
        _row("total throughput", f"{number(figures.output_rate)} tok/s"),
        *(
            []
            if figures.goodput is None
            else [_row("goodput", f"{number(figures.goodput)} requests/s")]
        ),
        _row("peak memory", _memory(figures)),
        *_predicted(figures),
        *_utilised(figures),
        f"  {'':<20} {'mean':>9} {'p50':>9} {'p90':>9} {'p99':>9}",
        _spread_row("TTFT", figures.ttft),
        _spread_row("TPOT", figures.tpot),
        _spread_row("ITL", figures.itl),
        _spread_row("E2E", figures.e2e),
    ]


def _completed(figures: LevelFigures) -> str:
    text = f"{figures.completed} of {figures.requests}"
    text += f", {figures.failed} failed" if figures.failed else ""
    text += f", {figures.cancelled} cancelled" if figures.cancelled else ""
    return f"{text}; {figures.prompt_tokens} tokens in, {figures.output_tokens} out"


def _predicted(figures: LevelFigures) -> list[str]:
    """The prediction beside what was measured, where there is one."""
    pairs = (
        (figures.predicted_device_bytes, figures.device_peak_bytes),
        (figures.predicted_host_bytes, figures.host_peak_bytes),
    )
    return [
        _row("predicted peak", f"{size(said)}, {said / found - 1:+.1%} of what was measured")
        for said, found in pairs
        if said and found
    ]


def _utilised(figures: LevelFigures) -> list[str]:
    if figures.mbu is None:
        return []
    held = f"; held back by {figures.held_back_by}" if figures.held_back_by else ""
    return [_row("MBU, MFU", f"{percent(figures.mbu)}, {percent(figures.mfu)}{held}")]


def _memory(figures: LevelFigures) -> str:
    host = f"{size(figures.host_peak_bytes)} engine process"
    if figures.device_peak_bytes is None:
        return host
    return f"{size(figures.device_peak_bytes)} device, {host}"


def _row(name: str, value: str) -> str:
    return f"  {name:<20} {value}"


def _spread_row(name: str, values: Distribution | None) -> str:
    if values is None:
        return _row(name, UNKNOWN)
    cells = (values.mean, values.p50, values.p90, values.p99)
    return f"  {name:<20}" + "".join(f" {duration(cell):>9}" for cell in cells)


def headline(session: Session) -> str:
    """What ran, in one line."""
    model, started = session.model, session.started
    if model is None or started is None:
        return "no model was loaded"
    parts = [
        started.config.model,
        f"{model.weights} weights",
        f"engine {model.engine}" + (f" ({model.engine_reason})" if model.engine_reason else ""),
        model.device_name or model.device,
        model.dtype,
    ]
    if model.layers is not None and model.whole_layers not in (None, model.layers):
        parts.insert(1, f"a slice: {model.layers} of {model.whole_layers} layers")
    return ", ".join(parts)


def table(session: Session) -> str:
    """All levels for a person to read."""
    blocks = ["\n".join(level_lines(figures)) for figures in all_figures(session)]
    return "\n\n".join([headline(session) + _joined(session), *blocks])


def _joined(session: Session) -> str:
    """Where the recording was started in the middle of the run."""
    if not session.joined:
        return ""
    return f"\nrecorded from {clock(session.joined / SECOND)} on: the figures count from then"

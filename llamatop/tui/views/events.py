"""The events panel: what a person should be told of, the newest at the bottom."""

from __future__ import annotations

from llamatop.clock import SECOND
from llamatop.events import (
    EngineLost,
    Event,
    LevelEnded,
    LevelStarted,
    ModelLoaded,
    ModelRefused,
    RequestFailed,
    RunEnded,
    RunStarted,
)
from llamatop.formatting import clock, size
from llamatop.sanitize import one_line
from llamatop.tui.frame import Frame
from llamatop.tui.lines import Line, Span, shortened
from llamatop.tui.views.panel import Content
from llamatop.tui.views.state import loss_of
from llamatop.tui.views.values import TIMES, rate, span

_ENDS = {"ok": "finished", "oom": "out of memory"}


def events(frame: Frame, width: int, height: int) -> Content:
    """What stands inside the panel."""
    notable = frame.session.notable
    lines = [_line(frame, event, width) for event in notable[-height:]] if height > 0 else []
    if frame.session.started is not None and len(notable) < height:
        lines.insert(0, _row(0, ("·", "dim", _machine(frame.session.started)), width))
    return Content(lines)


def _machine(started: RunStarted) -> str:
    """Where it runs, in parts."""
    host = started.host
    parts = [host.cpu or host.system, f"{host.cores} cores"]
    if host.memory_bytes is not None:
        parts.append(size(host.memory_bytes))
    return "  ".join([*parts, f"llamatop {started.version}"])


def _line(frame: Frame, event: Event, width: int) -> Line:
    return _row(event.time, told(frame, event), width)


def _row(time: int, said: tuple[str, str, str], width: int) -> Line:
    sign, role, text = said
    spans: list[Span] = [
        (f"{clock(time / SECOND):>7} ", "dim"),
        (f"{sign} ", role),
        (shortened(one_line(text), max(width - 10, 0)), "text" if role != "dim" else "dim"),
    ]
    return tuple(spans)


def told(frame: Frame, event: Event) -> tuple[str, str, str]:  # noqa: PLR0911  (one match)
    """A sign, its role, and the event in words."""
    match event:
        case RunStarted():
            return "●", "dim", f"the recording begins at {clock(event.joined / SECOND)}"
        case ModelLoaded():
            why = f" ({event.engine_reason})" if event.engine_reason else ""
            return "◆", "work", f"loaded by the {event.engine} engine{why}"
        case LevelStarted():
            asked = (
                f"{event.requests:,} requests" if event.requests is not None else "until stopped"
            )
            return "▸", "work", f"concurrency {event.concurrency}, {asked}"
        case LevelEnded():
            return _level_end(frame, event)
        case RequestFailed():
            return "✗", "bad", f"request {event.request}: {event.error}"
        case EngineLost():
            return "✗", "bad", f"engine lost: {loss_of(event)}"
        case ModelRefused():
            return "✗", "bad", event.error
        case RunEnded():
            role = {"ok": "good", "stopped": "dim"}.get(event.outcome, "bad")
            return "■", role, _ENDS.get(event.outcome, event.outcome)
    return "·", "dim", type(event).__name__


def _level_end(frame: Frame, event: LevelEnded) -> tuple[str, str, str]:
    """How a level ended: its throughput, first token and peak memory."""
    level = frame.session.levels.get(event.level)
    if level is None or level.ended is None:
        return "·", "dim", f"level {event.level} {event.outcome}"
    figures = frame.figures.level(level)
    parts = [f"{TIMES}{level.concurrency}", f"{rate(figures.output_rate)} tok/s"]
    if figures.ttft is not None:
        parts.append(f"TTFT {span(figures.ttft.p50)}")
    if figures.host_peak_bytes is not None:
        parts.append(size(figures.host_peak_bytes))
    if event.outcome in ("ok", "stopped"):
        return "✓", "good" if event.outcome == "ok" else "dim", "  ".join(parts)
    word = _ENDS.get(event.outcome, event.outcome)
    return "✗", "bad", f"{TIMES}{level.concurrency}  {word}  {event.error.removeprefix(word)}"

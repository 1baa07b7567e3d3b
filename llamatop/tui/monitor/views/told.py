"""Stories of the log in words, each with a sign and the role in which it is painted."""

from __future__ import annotations

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    EngineLost,
    HostFacts,
    LevelEnded,
    LevelStarted,
    ModelLoaded,
    ModelRefused,
    RequestFailed,
    RunEnded,
    RunImported,
    RunStarted,
)
from llamatop.events.sanitize import one_line
from llamatop.figures.contention import Episode
from llamatop.reports.slow import slow_dtype
from llamatop.text.formatting import clock, size
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.log import Story
from llamatop.tui.monitor.views.state import end_of_memory, loss_of
from llamatop.tui.monitor.views.values import TIMES, cores, rate, span

SLOW_HERE = "bfloat16 is slow here: --dtype float32"
_ENDS = {"ok": "finished", "oom": "out of memory"}

_REASONS = {
    "hw_thermal_slowdown": "heat",
    "sw_thermal_slowdown": "heat",
    "hw_power_brake_slowdown": "power brake",
    "hw_slowdown": "hardware",
    "sw_power_cap": "power cap",
}

Said = tuple[str, str, str]
"""A sign, its role, and words: parts with two blanks between them, the most important first."""


def told(frame: Frame, story: Story) -> Said:
    """What a story says."""
    sign, role, text = _said(frame, story)
    return sign, role, one_line(text)


def _said(frame: Frame, story: Story) -> Said:  # noqa: PLR0911  (one match)
    match story.what:
        case HostFacts():
            return "·", "dim", _machine(frame, story.what)
        case RunStarted(joined=joined):
            return "●", "dim", f"the recording begins at {clock(joined / SECOND)}"
        case RunImported(title=title, file=file, notes=notes):
            return "◆", "work", "  ".join([f"imported from {title}: {file}", *notes])
        case ModelLoaded(engine=engine, engine_reason=reason):
            why = f" ({reason})" if reason else ""
            slow = f"  {SLOW_HERE} " if slow_dtype(frame.session) else ""
            return "◆", "work", f"loaded by the {engine} engine{slow}{why}".rstrip()
        case LevelStarted(concurrency=concurrency, requests=requests):
            asked = f"{requests:,} requests" if requests is not None else "until stopped"
            return "▸", "work", f"concurrency {concurrency}, {asked}"
        case LevelEnded():
            return _level_end(frame, story.what)
        case RequestFailed():
            sought = _sought(frame, story.what)
            return "✗", "key" if sought else "bad", _failed(story, story.what)
        case EngineLost():
            return "✗", "bad", f"engine lost: {loss_of(story.what)}"
        case ModelRefused(error=error):
            return "✗", "bad", error
        case RunEnded():
            return _end(frame, story.what)
        case Episode():
            return _episode(story, story.what)
    return "·", "dim", type(story.what).__name__


def _machine(frame: Frame, host: HostFacts) -> str:
    """Where it runs, in parts."""
    started = frame.session.started
    if frame.session.imported is not None:
        return "where it ran is not in the file"
    parts = [host.cpu or host.system, f"{host.cores} cores"]
    if host.memory_bytes is not None:
        parts.append(size(host.memory_bytes))
    return "  ".join([*parts, f"llamatop {started.version}" if started else ""])


def _sought(frame: Frame, failure: RequestFailed) -> bool:
    """Whether it failed where memory ended, and that was looked for."""
    session = frame.session
    request = session.requests.get(failure.request)
    level = session.levels.get(request.level) if request is not None else None
    looked = session.started is not None and session.started.config.until_oom
    return looked and level is not None and level.outcome == "oom"


def _failed(story: Story, newest: RequestFailed) -> str:
    """One failure, or how many of the kind, until when and of which requests."""
    if story.count == 1:
        return f"request {newest.request}: {newest.error}"
    until = f"until {clock(story.last / SECOND)}"
    which = f"from request {story.first_request} to {newest.request}"
    return f"{story.count:,} requests: {newest.error}  {until}  {which}"


def _episode(story: Story, episode: Episode) -> Said:
    """Contention, and whether it is over."""
    again = f"  {TIMES}{story.count:,}" if story.count > 1 else ""
    if episode.device is None:
        return "▲", "warn", f"other processes take {cores(episode.percent)}{again}"
    why = " and ".join(reasons_of(episode.reasons))
    device = f"gpu {episode.device}"
    if episode.seconds is None:
        return "▲", "warn", f"{device} slows down: {why}{again}"
    return "△", "dim", f"{device} runs freely again after {span(episode.seconds)}: {why}{again}"


def reasons_of(reasons: tuple[str, ...]) -> list[str]:
    """What slows a device, in words; the worst first."""
    known = [word for reason, word in _REASONS.items() if reason in reasons]
    return list(dict.fromkeys([*known, *(one_line(r) for r in reasons if r not in _REASONS)]))


def _end(frame: Frame, event: RunEnded) -> Said:
    answer = end_of_memory(frame.session)
    if answer:
        return "■", "good", answer
    role = {"ok": "good", "stopped": "dim"}.get(event.outcome, "bad")
    return "■", role, _ENDS.get(event.outcome, event.outcome)


def _level_end(frame: Frame, event: LevelEnded) -> Said:
    """How a level ended: its throughput, first token and peak memory."""
    level = frame.session.levels.get(event.level)
    if level is None or level.ended is None:
        return "·", "dim", f"level {event.level} {event.outcome}"
    if event.outcome not in ("ok", "stopped"):
        return _level_failed(frame, event, level.concurrency)
    figures = frame.figures.level(level)
    if not figures.requests:
        return "·", "dim", f"{TIMES}{level.concurrency}  ended before its first request"
    parts = [f"{TIMES}{level.concurrency}", f"{rate(figures.output_rate)} tok/s"]
    if figures.ttft is not None:
        parts.append(f"TTFT {span(figures.ttft.p50)}")
    if figures.host_peak_bytes is not None:
        parts.append(size(figures.host_peak_bytes))
    return "✓", "good" if event.outcome == "ok" else "dim", "  ".join(parts)


def _level_failed(frame: Frame, event: LevelEnded, concurrency: int) -> Said:
    """What ended it; where the end of memory is looked for, that is no failure."""
    started = frame.session.started
    sought = event.outcome == "oom" and started is not None and started.config.until_oom
    word = _ENDS.get(event.outcome, event.outcome)
    text = f"{TIMES}{concurrency}  {word}  {event.error.removeprefix(word)}"
    return ("▽", "key", text) if sought else ("✗", "bad", text)

"""Stories of the log in words, each with a sign and the role in which it is painted."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    AlertChanged,
    EngineCompiled,
    EngineLost,
    EngineTuned,
    HostFacts,
    LevelEnded,
    LevelStarted,
    MemoryUntold,
    ModelLoaded,
    ModelRefused,
    ReplicaSampled,
    RequestFailed,
    RequestFinished,
    RequestSent,
    RunEnded,
    RunImported,
    RunStarted,
    ServerFound,
    ServerKnown,
    ServerLost,
    ServerReady,
    ServerStarted,
    ServerStood,
)
from llamatop.events.sanitize import one_line
from llamatop.figures.contention import Episode
from llamatop.figures.served import on_servers
from llamatop.reports.servers import CLIENT, is_client_bound, ready_text, server_name
from llamatop.reports.slow import slow_dtype
from llamatop.reports.tuned import compiled_words, tuned_parts
from llamatop.settings.servers import host_of
from llamatop.text.formatting import clock, size, whole
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.log import Story
from llamatop.tui.monitor.views.state import end_of_memory, loss_of
from llamatop.tui.monitor.views.values import TIMES, cores, rate, roughly, span

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


def _watched(frame: Frame, what: ServerStood | AlertChanged | ReplicaSampled) -> Said:
    """What a watched server tells."""
    urls = frame.session.started.config.urls if frame.session.started is not None else ()
    name = host_of(urls[what.server]) if what.server < len(urls) else f"server {what.server}"
    match what:
        case AlertChanged(rule=rule, on=True):
            return "▲", "bad", f"{name}: {rule}"
        case AlertChanged(rule=rule):
            return "△", "good", f"{name}: kept again: {rule}"
        case ReplicaSampled(replica=replica):
            return "↻", "warn", f"{name}, replica {replica}: began again"
        case ServerStood(state=state, said=said):
            role = "good" if state == "up" else "bad"
            return "◆", role, f"{name} {state}{f': {said}' if said else ''}"


def _said(frame: Frame, story: Story) -> Said:  # noqa: PLR0911  (one match)
    match story.what:
        case HostFacts():
            return "·", "dim", _machine(frame, story.what)
        case RunStarted(joined=joined):
            return "●", "dim", f"the recording begins at {clock(joined / SECOND)}"
        case RunImported(title=title, file=file, notes=notes):
            return "◆", "work", "  ".join([f"imported from {title}: {file}", *notes])
        case ModelLoaded(engine=engine, engine_reason=reason):
            if on_servers(frame.session):
                return "◆", "work", _answered(frame)
            why = f" ({reason})" if reason else ""
            slow = f"  {SLOW_HERE} " if slow_dtype(frame.session) else ""
            return "◆", "work", f"loaded by the {engine} engine{slow}{why}".rstrip()
        case EngineTuned():
            return "◆", "work", "  ".join(tuned_parts(story.what))
        case EngineCompiled(reason=reason, seconds=seconds):
            sign = "▸" if seconds is None else "◆"
            return (sign, "warn" if reason else "work", compiled_words(story.what))
        case ServerStood() | AlertChanged() | ReplicaSampled():
            return _watched(frame, story.what)
        case LevelStarted(concurrency=concurrency, requests=requests):
            asked = f"{requests:,} requests" if requests is not None else "until stopped"
            return "▸", "work", f"concurrency {concurrency}, {asked}"
        case LevelEnded():
            return _level_end(frame, story.what)
        case RequestFailed():
            sought = _sought(frame, story.what)
            return "✗", "key" if sought else "bad", _failed(story, story.what)
        case RequestFinished():
            return "◑", "warn", _short(frame, story, story.what)
        case RequestSent():
            return "↻", "warn", _resent(story, story.what)
        case ServerLost(server=server, said=said):
            return "✗", "bad", f"{_server(frame, server)} lost: {said}"
        case ServerFound(server=server):
            return "◆", "good", f"{_server(frame, server)} answers again"
        case ServerKnown(server=server, notes=notes):
            return "◆", "warn", f"{_server(frame, server)} is another: {notes[-1] if notes else ''}"
        case ServerStarted(command=command):
            return "▸", "work", f"serving: {_program(command)}"
        case ServerReady():
            return "◆", "good", ready_text(frame.session)
        case EngineLost(server=server):
            who = "client" if on_servers(frame.session) else "engine"
            return "✗", "bad", f"{'server' if server else who} lost: {loss_of(story.what)}"
        case MemoryUntold(reason=reason):
            return "·", "warn", f"memory not foretold: {reason}"
        case ModelRefused(error=error):
            return "✗", "bad", error
        case RunEnded():
            return _end(frame, story.what)
        case Episode():
            return _episode(story, story.what)
    return "·", "dim", type(story.what).__name__


def _program(command: str) -> str:
    """A command whose files have no folders: a panel has little room."""
    words = command.split(" ")
    return " ".join(one.rpartition("/")[2] if one.startswith("/") else one for one in words)


def _answered(frame: Frame) -> str:
    """Which servers take requests."""
    known = [one for _, one in sorted(frame.session.servers.items())]
    each = [f"{server_name(one)} at {host_of(one.url)}" for one in known]
    return "  ".join([f"{', '.join(each) or 'the server'}: ready", *_notes(known)])


def _notes(known: Sequence[ServerKnown]) -> list[str]:
    return list(dict.fromkeys(note for one in known for note in one.notes))


def _server(frame: Frame, server: int) -> str:
    known = frame.session.servers.get(server)
    return f"server {server}" if known is None else host_of(known.url)


def _short(frame: Frame, story: Story, newest: RequestFinished) -> str:
    """Requests with fewer tokens than asked; of a single one how many."""
    if story.count > 1:
        return f"{story.count:,} requests: fewer tokens than asked{_stretch(story, newest.request)}"
    request = frame.session.requests.get(newest.request)
    had = "" if request is None else f" ({request.tokens} of {whole(request.max_tokens)})"
    return f"request {newest.request}: fewer tokens than asked{had}"


def _resent(story: Story, newest: RequestSent) -> str:
    """Requests whose connection was lost before an answer."""
    why = "connection lost before any answer, sent again"
    if story.count > 1:
        return f"{story.count:,} requests: {why}{_stretch(story, newest.request)}"
    return f"request {newest.request}: {why}"


def _stretch(story: Story, newest: int) -> str:
    until = f"until {clock(story.last / SECOND)}"
    return f"  {until}  from request {story.first_request} to {newest}"


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
    return f"{story.count:,} requests: {newest.error}{_stretch(story, newest.request)}"


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
    told = [_ENDS.get(event.outcome, event.outcome), *_answer(frame)]
    return "■", role, "  ".join(told)


def _answer(frame: Frame) -> list[str]:
    """What the run says, where it came to its end."""
    from llamatop.reports.answer import answer  # noqa: PLC0415  (not for the first paint)

    ended = [level for level in frame.session.levels.values() if level.ended is not None]
    return answer(frame.session, [frame.figures.level(level) for level in ended])


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
    throughput = roughly(rate(figures.output_rate), figures.estimated)
    parts = [f"{TIMES}{level.concurrency}", f"{throughput} tok/s"]
    if figures.ttft is not None:
        parts.append(f"TTFT {span(figures.ttft.p50)}")
    if figures.host_peak_bytes is not None:
        parts.append(size(figures.host_peak_bytes))
    if is_client_bound(figures):
        return "▲", "warn", "  ".join([*parts[:2], CLIENT, *parts[2:]])
    sign, role = ("✓", "good") if event.outcome == "ok" else ("■", "dim")
    return sign, role, "  ".join(parts)


def _level_failed(frame: Frame, event: LevelEnded, concurrency: int) -> Said:
    """What ended it; where the end of memory is looked for, that is no failure."""
    started = frame.session.started
    sought = event.outcome == "oom" and started is not None and started.config.until_oom
    word = _ENDS.get(event.outcome, event.outcome)
    text = f"{TIMES}{concurrency}  {word}  {event.error.removeprefix(word)}"
    return ("▽", "key", text) if sought else ("✗", "bad", text)

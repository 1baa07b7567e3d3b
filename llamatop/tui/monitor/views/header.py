"""The two lines at the top: what runs where, and what it is doing."""

from __future__ import annotations

from llamatop.events.clock import SECOND
from llamatop.events.sanitize import one_line
from llamatop.figures.served import on_servers
from llamatop.reports.servers import server_name
from llamatop.session.reducer import Session
from llamatop.session.requests import Level
from llamatop.settings.config import RunConfig
from llamatop.settings.servers import host_of
from llamatop.text.formatting import clock, count
from llamatop.tui.drawing.charts import bar
from llamatop.tui.drawing.lines import (
    Line,
    Span,
    clip,
    fit,
    fitting,
    join,
    line_width,
    shortened,
    spread,
)
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views.state import (
    end_of_memory,
    loss_of,
    place_of,
    progress_of,
    repeat_of,
    state_of,
)
from llamatop.tui.monitor.views.told import reasons_of
from llamatop.tui.monitor.views.values import cores

_NAME = 40

_USUAL = frozenset(["sw_power_cap"])
"""What a busy accelerator meets every day: told in its panel and in the events, not here."""


def header(frame: Frame, width: int, height: int) -> list[Line]:
    """The header in one or two rows."""
    second = _doing(frame, width)
    if height < 2:
        return [second][:height]
    return [_what(frame, width), second]


def _what(frame: Frame, width: int) -> Line:
    """Model and machine at the left, recording light and time at the right."""
    end = [*_light(frame, width), ("  ", "text"), (_elapsed(frame), "text.bold"), (" ", "text")]
    room = width - line_width(end) - 2
    start: list[Span] = [(" ", "text"), ("llamatop", "work.bold"), ("  ", "text")]
    room -= line_width(start)
    failed = frame.playback.failed if frame.playback is not None else ""
    answer = frame.playback.answer if frame.playback is not None else ""
    if failed or answer:
        key: list[Span] = [("  ", "text"), ("f", "key"), (" goes there", "dim")]
        room -= line_width(key) + 2
        told = failed or answer
        told = told if len(told) <= room else told.removeprefix("the engine was ")
        sign: Span = ("✗ ", "bad") if failed else ("▽ ", "key")
        start += [sign, (shortened(told, room), "text"), *key]
        return spread(start, end, width)
    facts = _facts(frame)
    if line_width(join(facts)) > room:
        facts = [_briefly(fact) for fact in facts[:1]] + facts[1:]
    start += fitting(facts, room, "  ")
    return spread(start, end, width)


def _facts(frame: Frame) -> list[list[Span]]:
    """What is run, most important first."""
    started, model = frame.session.started, frame.session.model
    if started is None:
        return []
    config = started.config
    name: list[Span] = [(clip(one_line(_short(frame.session.model_name)), _NAME), "text.bold")]
    if (imported := frame.session.imported) is not None:
        return [name, _words(f"imported from {imported.title} {imported.version or ''}".rstrip())]
    if on_servers(frame.session):
        asked = _words(_asked(config)), _words(_turns(config)), _words(config.endpoint)
        return [name, *_servers(frame.session), *asked]
    if model is None:
        return [name, _words(config.weights if config.weights == "random" else "")]
    weights = model.weights
    if model.layers and model.whole_layers and model.layers < model.whole_layers:
        weights += f", slice {model.layers}/{model.whole_layers} layers"
    size = count(model.parameters) if model.parameters else ""
    named = one_line(model.device_name)
    named = named.removeprefix("NVIDIA ") if model.device.startswith("cuda") else named
    device = "" if model.device == "none" else f"{model.device} {named}"
    dtype = "" if model.dtype == "none" else model.dtype
    return [
        name,
        _words(" ".join(part for part in (size, weights) if part and part != model.engine)),
        _words(f"{model.engine} engine"),
        _words(" ".join(part for part in (model.quantization, dtype) if part)),
        _words(f"{model.offload} offload" if model.offload else ""),
        _words(f"{model.tp} ranks" if model.tp > 1 else ""),
        _words(clip(device, 36)),
        _words(_threads(model.threads) if model.device == "cpu" else ""),
        _words(_asked(config)),
        _words(_turns(config)),
    ]


def _asked(config: RunConfig) -> str:
    """Lengths of a request, a shared beginning before its own."""
    shared = f"{config.prefix_toks}+" if config.prefix_toks else ""
    return f"{shared}{one_line(config.prompt_spelling)} in {config.gen_spelling} out"


def _turns(config: RunConfig) -> str:
    return f"{config.turns} turns" if config.talks else ""


def _servers(session: Session) -> list[list[Span]]:
    """Which server and where; of several, how many of which kind."""
    known = list(session.servers.values())
    urls = session.started.config.urls if session.started else ()
    if len(urls) > 1:
        kinds = ", ".join(dict.fromkeys(server_name(one) for one in known))
        return [_words(f"{len(urls)} servers"), _words(clip(kinds, _NAME))]
    host = _words(clip(host_of(urls[0]), _NAME)) if urls else []
    return [*(_words(clip(server_name(one), _NAME)) for one in known), host]


def _threads(threads: int | None) -> str:
    if not threads:
        return ""
    return "1 thread" if threads == 1 else f"{threads} threads"


def _short(model: str) -> str:
    """A folder by its last name; an id as it is."""
    return model.rstrip("/").rpartition("/")[2] if model.startswith(("/", ".", "~")) else model


def _briefly(name: list[Span]) -> list[Span]:
    """An id without whose it is, where there is no room for all."""
    return [(text.rpartition("/")[2], role) for text, role in name]


def _words(text: str) -> list[Span]:
    return [(text, "dim")] if text else []


_FOLLOWING: dict[str, list[Span]] = {
    "now": [("● ", "good"), ("following", "key")],
    "behind": [("○ ", "dim"), ("following", "key")],
    "cut off": [("✗ ", "bad"), ("cut off", "key")],
    "gone": [("✗ ", "bad"), ("gone", "key")],
}


def _light(frame: Frame, width: int) -> list[Span]:
    """Whether this is recorded."""
    if frame.playback is not None:
        return _FOLLOWING.get(frame.playback.following, [("replay", "key")])
    if frame.keeping is None:
        return [("not recording", "dim")] if width >= 72 else []
    if frame.keeping.error is not None:
        return [
            ("○ ", "bad"),
            (clip(f"recording stopped: {one_line(frame.keeping.error)}", width // 2), "bad"),
        ]
    if frame.session.refused is not None:
        return [("nothing to record", "dim")]
    if frame.session.ended is not None:
        return [("recorded", "dim")]
    return [("● ", "bad"), ("rec", "dim")]


def _elapsed(frame: Frame) -> str:
    return clock(frame.session.now / SECOND).rjust(5)


def _doing(frame: Frame, width: int) -> Line:
    """State and progress at the left, what is in flight at the right."""
    session = frame.session
    state = state_of(session)
    word = "leaving…" if frame.leaving else state.word
    start: list[Span] = [(f" {state.sign} {word}", f"{state.role}.bold")]
    answer = end_of_memory(session)
    if answer:
        start += [("  ", "text"), (shortened(answer, max(width - 14, 0)), "text.bold")]
        return fit(start, width)
    end = [*_flight(frame), (" ", "text")]
    sweep = fitting(_sweep(frame), width - line_width(start) - line_width(end) - 2)
    start += [("  ", "text"), *join([sweep, _trouble(frame, width)])]
    share, words = progress_of(session)
    undone = _undone(session.level)
    free = width - line_width(start) - line_width(end) - len(words) - line_width(undone) - 4
    end = [*(_others(frame, free) or _others(frame, free + len(words) + 2)), *end]
    taken = line_width(start) + line_width(end) + len(words) + line_width(undone)
    room = width - taken - 6
    if words and room >= -4 and session.lost is None and session.refused is None:
        if share is not None and room >= 6:
            done, rest = bar(share, min(room, 32))
            start += [("  ", "text"), (done, "work"), (rest, "faint")]
        start += [("  ", "text"), (words, "dim")]
    start += undone if taken - len(words) <= width else []
    return fit(spread(start, end, width), width)


def _sweep(frame: Frame) -> list[list[Span]]:
    """Concurrency; which level of how many, in which run of one plan."""
    level = frame.session.level
    if level is None:
        return []
    place = place_of(frame.session)
    at_once: list[Span] = [("concurrency ", "dim"), (f"{level.concurrency}", "text.bold")]
    if frame.wanted is not None:
        at_once.append((f" → {frame.wanted}", "key"))
    return [at_once, *([(told, "dim")] for told in (place, repeat_of(frame.session)) if told)]


def _trouble(frame: Frame, width: int) -> list[Span]:
    """Why it failed, in one phrase."""
    session = frame.session
    if session.refused is not None:
        return [(shortened(one_line(session.refused), width - 13), "text")]
    if session.lost is not None:
        return [(clip(one_line(loss_of(session.lost)), width), "text")]
    return []


def _undone(level: Level | None) -> list[Span]:
    """How many requests of the level failed or were cancelled, where one was."""
    spans: list[Span] = []
    if level is not None and level.failed:
        spans.append((f"  {level.failed:,} failed", "bad"))
    if level is not None and level.cancelled:
        spans.append((f"  {level.cancelled:,} cancelled", "dim"))
    return spans


def _others(frame: Frame, room: int) -> list[Span]:
    """What takes from the run while it runs, in the longest words that fit."""
    if frame.session.ended is not None and not _client_bound(frame):
        return []
    fits = (words for words in _warnings(frame) if len(words) + 3 <= room)
    found = next(fits, "")
    return [(found, "warn"), ("   ", "text")] if found else []


def _warnings(frame: Frame) -> list[str]:
    """The same warning in fewer and fewer words: a device too hot, else busy neighbours."""
    if away := _away(frame.session):
        return away
    if _client_bound(frame):
        return ["the client is measured, not the server", "the client is late", "client late"]
    log = frame.figures.log()
    hot = {id: set(slow.reasons) - _USUAL for id, slow in sorted(log.slowdowns.items())}
    for device, reasons in hot.items():
        if reasons:
            why = reasons_of(tuple(reasons))[0]
            return [f"gpu {device} is slowed down by {why}", f"gpu {device} slow: {why}"]
    percent = log.neighbours.percent
    if percent is None:
        return []
    taken = cores(percent)
    return [
        f"other processes take {taken}",
        f"others take {taken}",
        f"others {percent:.0f} %",
    ]


def _client_bound(frame: Frame) -> bool:
    return on_servers(frame.session) and frame.figures.latency().client_bound


def _away(session: Session) -> list[str]:
    """Which server answers no more."""
    if not session.away or session.ended is not None:
        return []
    if len(session.servers) < 2:
        return ["its return is awaited"]
    lost = len(session.away)
    return [f"{lost} of {len(session.servers)} servers lost", f"{lost} lost"]


def _flight(frame: Frame) -> list[Span]:
    """Requests in flight and waiting, apart from what stands before them."""
    session = frame.session
    if session.model is None or session.refused is not None or session.ended is not None:
        return []
    waiting = sum(1 for request in session.active.values() if request.state == "queued")
    flying = len(session.active) - waiting
    spans: list[Span] = [(f"  {flying}", "text"), (" in flight", "dim")]
    return [*spans, (f"  {waiting:>3}", "warn"), (" queued", "dim")] if waiting else spans

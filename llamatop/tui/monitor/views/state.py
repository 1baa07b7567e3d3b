"""What the run is doing right now, in words. Pure; the header and the empty panels show it."""

from __future__ import annotations

import signal

import msgspec

from llamatop.events.clock import SECOND
from llamatop.events.kinds import EngineLost, ModelLoading
from llamatop.figures.progress import completed_requests, finished_requests
from llamatop.figures.served import on_servers
from llamatop.session.reducer import Session
from llamatop.session.requests import Level
from llamatop.text.formatting import clock, percent, plural, size
from llamatop.tui.monitor.recent import level_before
from llamatop.tui.monitor.views.values import TIMES

_STAGES = {
    "imports": "starting the engine",
    "download": "downloading",
    "weights": "loading weights",
    "tuning": "measuring what is quickest here",
    "quantizing": "storing weights in fewer bits",
    "packing": "laying weights out for the processor",
}


class State(msgspec.Struct, frozen=True):
    """A sign, a word, and the role in which both are painted."""

    sign: str
    word: str
    role: str


def state_of(session: Session) -> State:  # noqa: PLR0911  (one question after another)
    """What the run is doing."""
    if session.refused is not None:
        return State("✗", "refused", "bad")
    if session.ended is not None:
        return _ended(session)
    if session.lost is not None:
        return _lost(session)
    if session.model is None:
        asking = on_servers(session) and not server_loads(session)
        return State("◌", "asking the server" if asking else "loading", "work")
    level = session.level
    if level is None:
        return State("◌", "getting ready", "work")
    if session.away and len(session.away) == len(session.servers):
        return State("✗", "server lost", "bad")
    if session.paused:
        return State("❚❚", "paused", "warn")
    if level.ended is not None:
        return State("◌", "between levels", "work")
    return State(*_running(session, level), "work")


def _lost(session: Session) -> State:
    """Without an engine: another one is on its way where the end of memory is looked for."""
    config = session.started.config if session.started else None
    if config is not None and config.until_oom and session.level and session.level.outcome == "oom":
        return State("◌", "memory ended, a new engine starts", "work")
    return State("✗", f"{who_is_lost(session)} lost", "bad")


def who_is_lost(session: Session) -> str:
    """The engine, the server that the run started, or what drives servers."""
    if session.lost is not None and session.lost.server:
        return "server"
    return "client" if on_servers(session) else "engine"


def server_loads(session: Session) -> bool:
    """Whether the server that the run started does not serve yet."""
    return session.serving is not None and session.ready is None


def end_of_memory(session: Session) -> str:
    """The answer of a run that looked for it, once it is there; else empty."""
    config = session.started.config if session.started else None
    if session.ended is None or session.ended.outcome == "stopped":
        return ""
    from llamatop.reports.frontier import memory_end  # noqa: PLC0415  (not for the first paint)

    end = memory_end(session) if config is not None and config.until_oom else None
    if end is None or end.works is None:
        return ""
    if end.fails is None:
        return f"memory did not end: {end.works} at once work"
    phase = f"  out of memory in {end.phase}" if end.phase else ""
    return f"{end.works} at once work, {end.fails} do not{phase}"


def _ended(session: Session) -> State:
    if end_of_memory(session):
        return State("✓", "finished", "good")
    outcome = session.ended.outcome if session.ended else "ok"
    if session.lost is not None and outcome != "stopped":
        word = "out of memory" if outcome == "oom" else f"{who_is_lost(session)} lost"
        return State("✗", word, "bad")
    return {
        "ok": State("✓", "finished", "good"),
        "stopped": State("■", "stopped", "text"),
        "oom": State("✗", "out of memory", "bad"),
    }.get(outcome, State("✗", "failed", "bad"))


def _running(session: Session, level: Level) -> tuple[str, str]:
    """Whether a level warms up, runs, or only completes what is in flight: of it, or before it."""
    if not level.requests:
        earlier = any(not request.warmup for request in session.active.values())
        return ("◕", "draining") if earlier else ("◔", "warm-up")
    issued = level.planned is not None and len(level.requests) >= level.planned
    if issued and finished_requests(session, level):
        return "◕", "draining"
    return "●", "running"


def place_of(session: Session) -> str:
    """Where in a sweep the run is: `level 2 of 4`; empty where none was asked for."""
    level = session.level
    if level is None:
        return ""
    place, places = level.place, level.places
    if not place:  # an old recording: its levels are those that were asked for
        places = len(session.started.config.concurrency) if session.started else 1
        place = list(session.levels).index(level.id) + 1
    return f"level {place} of {places}" if 1 < places >= place else ""


def repeat_of(session: Session) -> str:
    """Which of several runs of one plan this is: `run 1 of 3`; empty: it is the only one."""
    config = session.started.config if session.started else None
    return f"run {config.repeat} of {config.repeats}" if config and config.repeat else ""


def progress_of(session: Session) -> tuple[float | None, str]:
    """How far it is: a share of 1 (None: no end known) and the same in words."""
    level = session.level
    if session.model is None:
        return loading_of(session)
    if level is None:
        return None, ""
    ended, done = finished_requests(session, level), completed_requests(session, level)
    if level.planned is None:
        words = f"{plural(done, 'request')} done"
        before = level_before(session, level) if not ended else None
        if before is not None:
            words += f", {completed_requests(session, before):,} at {TIMES}{before.concurrency}"
        return None, words
    return ended / max(level.planned, 1), f"{done:,}/{level.planned:,} requests"


def loading_of(session: Session) -> tuple[float | None, str]:
    """A load's share, and its bytes, percent and remaining time in words."""
    loading = session.loading
    if server_loads(session):
        said = f": {session.printed.line}" if session.printed is not None else ""
        return None, f"the server loads, {clock(session.now / SECOND)}{said}"
    if loading is None or on_servers(session):
        return None, "asking the server" if on_servers(session) else "starting the engine"
    stage = _STAGES.get(loading.stage, loading.stage)
    if not loading.total:
        return None, f"{stage}  {size(loading.done)}" if loading.done else stage
    share = loading.done / loading.total
    words = f"{stage}  {size(loading.done)} of {size(loading.total)}  {percent(share)}"
    return share, words + _remaining(loading, session)


def _remaining(loading: ModelLoading, session: Session) -> str:
    """Time left at the pace so far, once there is a pace."""
    passed = loading.time / SECOND
    if not loading.total or not loading.done or passed < 1 or loading.done >= loading.total:
        return ""
    left = passed * (loading.total - loading.done) / loading.done
    return f"  {clock(left)} left"


def home_of(session: Session) -> int | None:
    """The accelerator on which the model runs; None: on the processor, or nobody knows."""
    device = session.model.device if session.model else ""
    kind, _, number = device.partition(":")
    if kind != "cuda" or not session.devices:
        return None
    return int(number) if number.isdigit() else min(session.devices)


def loss_of(lost: EngineLost) -> str:
    """Why the engine ended, in one phrase."""
    code = lost.exit_code
    if code is None:
        return lost.reason
    if code < 0:
        known = code in {-s.value for s in signal.Signals}
        told = signal.Signals(-code).name if known else f"signal {-code}"
    else:
        told = f"exit {code}"
    if told in lost.reason:
        return lost.reason
    return f"{lost.reason} ({told})" if lost.reason else told

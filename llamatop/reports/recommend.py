"""From measured runs to a setting: which level to use for a goal, how to run it, and why.

Chooses among what was measured and nothing else; knows sessions, not files.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llamatop.errors import InputError
from llamatop.figures.levels import LevelFigures, never_reached
from llamatop.figures.requests import kept
from llamatop.reports.knee import knee, usable
from llamatop.reports.outcome import outcome_line
from llamatop.reports.runs import Run
from llamatop.reports.servers import ROUGH
from llamatop.session.reducer import Request
from llamatop.settings.config import (
    RunConfig,
    arrival_options,
    lengths_options,
    server_options,
    shared_options,
)
from llamatop.text.formatting import duration, number, size

CLOSE = 0.02
"""Levels within 2 % of the best are as good; the one that costs less is taken."""

_CAUSES = 3
"""Runs at most of which it is said why they cannot be recommended."""

Slo = dict[str, float]
"""Targets in seconds, by `ttft`, `tpot`, `e2e`."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One answer."""

    goal: str
    run: str
    concurrency: int
    command: str
    """What to type to run it again."""
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class _Candidate:
    run: Run
    figures: LevelFigures


def recommend(runs: Sequence[Run], goal: str, slo: Slo | None = None) -> Recommendation:
    """The best level for a goal. Raises InputError where no level can be recommended."""
    complete = [_Candidate(run, f) for run in runs for f in run.figures if usable(f)]
    candidates = [one for one in complete if not never_reached(one.run.session, one.figures)]
    if complete and not candidates:
        raise InputError(
            "no level had as many requests in flight as its concurrency: nothing to recommend; "
            "give more --requests"
        )
    candidates = [one for one in candidates if one.figures.output_rate and one.figures.e2e]
    if not candidates:
        causes = "; ".join(f"{run.name}: {outcome_line(run.session)}" for run in runs[:_CAUSES])
        raise InputError(
            "no level ran to its end with all requests complete: nothing to recommend"
            + (f" ({causes})" if causes else "")
        )
    match goal:
        case "throughput":
            return _throughput(candidates)
        case "latency":
            return _latency(candidates)
        case _:
            return _slo(candidates, slo or {})


def _throughput(candidates: list[_Candidate]) -> Recommendation:
    best = max(_rate(one) for one in candidates)
    close = [one for one in candidates if _rate(one) >= best * (1 - CLOSE)]
    chosen = min(close, key=lambda one: (_seconds(one), one.figures.concurrency))
    reasons = [f"{_told_rate(chosen)} output tokens/s, the most of {_levels(candidates)}"]
    if _rate(chosen) < best:
        reasons = [
            f"{_told_rate(chosen)} output tokens/s, within 2 % of the most of "
            f"{_levels(candidates)} ({number(best)}), with a shorter wait"
        ]
    reasons += [_wait(chosen), *_bend(chosen), *_edge(chosen), *_memory(chosen)]
    return _answer("throughput", chosen, reasons)


def _latency(candidates: list[_Candidate]) -> Recommendation:
    best = min(_seconds(one) for one in candidates)
    close = [one for one in candidates if _seconds(one) <= best * (1 + CLOSE)]
    chosen = max(close, key=_rate)
    reasons = [
        f"{duration(_seconds(chosen))} from start to end on average, "
        f"{'the least' if _seconds(chosen) == best else 'within 2 % of the least'} of "
        f"{_levels(candidates)}",
        _wait(chosen),
        f"{_told_rate(chosen)} output tokens/s",
    ]
    return _answer("latency", chosen, reasons + _memory(chosen))


def _slo(candidates: list[_Candidate], slo: Slo) -> Recommendation:
    if not slo:
        raise InputError("--goal slo: say the targets, as in --slo ttft=0.5,tpot=0.05")
    chosen = max(candidates, key=lambda one: (_goodput(one, slo), -one.figures.concurrency))
    good = _goodput(chosen, slo)
    targets = ", ".join(f"{name} {duration(value)}" for name, value in slo.items())
    if good == 0:
        raise InputError(f"--slo: no request of any level met {targets}")
    met, judged = kept(_done(chosen), slo)
    reasons = [
        f"{number(good)} requests/s meet {targets}: the most of {_levels(candidates)}",
        f"{met} of {judged} requests that could be judged met all targets"
        if judged < chosen.figures.completed
        else f"{met} of {judged} requests met all targets",
        _wait(chosen),
        f"{_told_rate(chosen)} output tokens/s",
    ]
    found = _answer("slo", chosen, reasons + _memory(chosen))
    asked = ",".join(f"{name}={value:g}" for name, value in slo.items())
    return replace(found, command=f"{found.command} --slo {asked}" if found.command else "")


def _done(one: _Candidate) -> list[Request]:
    level = one.run.session.levels[one.figures.level]
    return [request for request in level.requests if request.state == "done"]


def _goodput(one: _Candidate, slo: Slo) -> float:
    """Completed requests that met every target, per second."""
    seconds = one.figures.duration
    return kept(_done(one), slo)[0] / seconds if seconds else 0.0


def _rate(one: _Candidate) -> float:
    return one.figures.output_rate or 0.0


def _told_rate(one: _Candidate) -> str:
    """The rate as text, marked where it rests on a guess."""
    return ROUGH * one.figures.estimated + number(_rate(one))


def _seconds(one: _Candidate) -> float:
    return one.figures.e2e.mean if one.figures.e2e else float("inf")


def _levels(candidates: Sequence[_Candidate]) -> str:
    return "1 level measured" if len(candidates) == 1 else f"{len(candidates)} levels measured"


def _wait(one: _Candidate) -> str:
    first, pace = one.figures.ttft, one.figures.tpot
    told = f"first token after {duration(first.p50 if first else None)} (p50)"
    return f"{told}, then one every {duration(pace.p50 if pace else None)}"


def _bend(one: _Candidate) -> list[str]:
    """Where fewer requests would be nearly as good for each of them."""
    bend = knee(one.run.figures)
    if bend is None or bend.concurrency >= one.figures.concurrency:
        return []
    return [
        f"beyond the knee: concurrency {bend.concurrency} gives {number(bend.output_rate)} tok/s "
        f"at {duration(bend.e2e.mean if bend.e2e else None)} instead of {duration(_seconds(one))}"
    ]


def _edge(one: _Candidate) -> list[str]:
    highest = max(figures.concurrency for figures in one.run.figures)
    failed = [f.concurrency for f in one.run.figures if f.outcome == "oom"]
    if failed:
        return [f"memory ended at concurrency {min(failed)}"]
    if one.figures.concurrency == highest:
        return ["the highest level measured: a higher one may give more still"]
    return []


def _memory(one: _Candidate) -> list[str]:
    peak = one.figures.device_peak_bytes or one.figures.host_peak_bytes
    return [] if peak is None else [f"peak memory {size(peak)}"]


def _answer(goal: str, one: _Candidate, reasons: list[str]) -> Recommendation:
    concurrency = one.figures.concurrency
    started = one.run.session.started
    ours = started is not None and one.run.session.imported is None
    command = command_of(started.config, concurrency, one.run) if started and ours else ""
    return Recommendation(goal, one.run.name, concurrency, command, reasons)


def command_of(config: RunConfig, concurrency: int, run: Run) -> str:
    """The command line that runs one level again; what is the default is left out."""
    plain = RunConfig()
    options: list[tuple[str, object, object]] = [
        *server_options(config),
        ("--model", config.model, "" if config.urls else plain.model),
        ("--weights", _weights(config, run), plain.weights),
        ("--layers", config.layers, plain.layers),
        ("--engine", _engine(config, run), plain.engine),
        ("--concurrency", concurrency, None),
        *lengths_options(config),
        *shared_options(config),
        *arrival_options(config),
        ("--max-time", None if config.ramp is None else f"{config.max_time:g}", None),
        ("--dtype", config.dtype, plain.dtype),
        ("--device", config.device, plain.device),
        ("--quantize", config.quantize, plain.quantize),
        ("--offload", config.offload, plain.offload),
    ]
    words = ["llamatop", "--record"]
    for name, value, default in options:
        if value != default:
            words += [name, *(str(value).split() if name == "--url" else [str(value)])]
    return shlex.join(words)


def _engine(config: RunConfig, run: Run) -> str:
    """The engine that ran; what --url implies needs no name."""
    model = run.session.model
    return "auto" if config.urls else model.engine if model else config.engine


def _weights(config: RunConfig, run: Run) -> str:
    """What to ask for, to get the weights that ran."""
    random = run.session.model is not None and run.session.model.weights == "random"
    return "random" if random else config.weights

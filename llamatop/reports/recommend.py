"""From measured runs to a setting: which level to use for a goal, how to run it, and why.

Chooses among what was measured and nothing else, and ranks nothing that `compare` could not tell
apart: then the smaller is taken. Knows sessions, not files.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llamatop.errors import InputError
from llamatop.figures.targets import SHARE, first_broken
from llamatop.reports.candidates import Candidate, candidates, told_apart
from llamatop.reports.knee import knee, usable
from llamatop.reports.outcome import outcome_line
from llamatop.reports.runs import Run
from llamatop.reports.servers import ROUGH
from llamatop.reports.verdicts import FIRST, HIGHER_IS_BETTER
from llamatop.session.requests import Request
from llamatop.settings.config import (
    RunConfig,
    arrival_options,
    lengths_options,
    server_options,
    shared_options,
)
from llamatop.text.formatting import duration, number, size

METRICS = {"throughput": FIRST, "latency": "e2e_s.mean"}
"""The figure that a goal is about."""

_CAUSES = 3
"""Runs at most of which it is said why they cannot be recommended."""

Slo = dict[str, float]
"""Targets in seconds, by `ttft`, `tpot`, `e2e`."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What a recommendation rests on; `low` and `high`: its interval, None: not known."""

    metric: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One answer."""

    goal: str
    run: str
    concurrency: int | None
    """None: no level that was measured is an answer."""
    command: str
    """What to type to run it again, or to come to an answer."""
    reasons: list[str]
    figure: Figure | None = None


def recommend(
    runs: Sequence[Run], goal: str, slo: Slo | None = None, share: float = SHARE
) -> Recommendation:
    """The best level for a goal. Raises InputError where no level can be recommended."""
    return recommend_all(runs, [goal], slo, share)[0]


def recommend_all(
    runs: Sequence[Run], goals: Sequence[str], slo: Slo | None = None, share: float = SHARE
) -> list[Recommendation]:
    """The same for several goals, whose candidates are looked at once."""
    every = candidates(runs)
    if not every:
        raise InputError(_why_none(runs))
    return [_for_goal(every, goal, slo, share) for goal in goals]


def _for_goal(
    every: Sequence[Candidate], goal: str, slo: Slo | None, share: float
) -> Recommendation:
    if goal not in METRICS:
        return _slo(every, slo or {}, share)
    if len(every) == 1:
        return _only(goal, every[0])
    return _best(goal, every)


def _why_none(runs: Sequence[Run]) -> str:
    """Why no level can be recommended."""
    if any(usable(figures) for run in runs for figures in run.figures):
        return (
            "no level had as many requests in flight as its concurrency: nothing to recommend; "
            "give more --requests"
        )
    causes = "; ".join(f"{run.name}: {outcome_line(run.session)}" for run in runs[:_CAUSES])
    return "no level ran to its end with all requests complete: nothing to recommend" + (
        f" ({causes})" if causes else ""
    )


def _best(goal: str, every: Sequence[Candidate], also: Sequence[str] = ()) -> Recommendation:
    """The best by the goal's figure; of those that cannot be told from it the smallest."""
    metric = METRICS[goal]
    most = max if metric in HIGHER_IS_BETTER else min
    known = [one for one in every if one.value(metric) is not None]
    best = most(known, key=lambda one: one.value(metric) or 0.0)
    tied = [one for one in known if not told_apart(one, best, metric, len(known))]
    chosen = min(tied, key=_smaller)
    first = f"{_figure(chosen, metric)}, {_rank(chosen, best, every, metric)}"
    reasons = [first, *also, *_ties(chosen, tied), _wait(chosen)]
    reasons += [] if metric == "output_tok_s" else [_told_rate(chosen)]
    if goal == "throughput":
        reasons += [*_bend(chosen), *_edge(chosen)]
    return _answer(goal, chosen, [*reasons, *_memory(chosen), *_surer(chosen, tied)])


def _smaller(one: Candidate) -> tuple[float, ...]:
    """Fewer at once, then less memory, then fewer parameters."""
    figures, model = one.figures, one.run.session.model
    memory = figures.device_peak_bytes or figures.host_peak_bytes or 0
    return figures.concurrency, memory, (model.parameters if model else None) or 0


def _rank(chosen: Candidate, best: Candidate, every: Sequence[Candidate], metric: str) -> str:
    what = "the most" if metric in HIGHER_IS_BETTER else "the least"
    of = f"{len(every)} levels measured"
    if chosen is best:
        return f"{what} of {of}"
    return f"not to be told from {what} of {of} ({_told(metric, best.value(metric))})"


def _ties(chosen: Candidate, tied: Sequence[Candidate]) -> list[str]:
    """What was not ranked, because nothing tells it from the one chosen."""
    others = sorted((one for one in tied if one is not chosen), key=_smaller)
    if not others:
        return []
    several = len({one.run.name for one in tied}) > 1
    names = [
        f"{one.figures.concurrency}" + (f" of {one.run.name}" if several else "") for one in others
    ]
    return [f"nothing tells it from concurrency {', '.join(names)}: the smaller is taken"]


def _only(goal: str, one: Candidate) -> Recommendation:
    """What one level cannot answer."""
    metric = METRICS[goal]
    reasons = [
        f"{_figure(one, metric)} at concurrency {one.figures.concurrency}, the only level "
        "measured: to choose takes several, as --concurrency 1 2 4 8",
        _wait(one), *_memory(one), *_surer(one, [one]),
    ]  # fmt: skip
    found = _answer(goal, one, reasons)
    started = one.run.session.started
    again = command_of(started.config, "1 2 4 8", one.run) if started and found.command else ""
    return replace(found, concurrency=None, command=again)


def _slo(every: Sequence[Candidate], slo: Slo, share: float) -> Recommendation:
    if not slo:
        raise InputError("--goal slo: say the targets, as in --slo ttft=0.5,tpot=0.05")
    targets = ", ".join(f"{name} {duration(value)}" for name, value in slo.items())
    keeping = [one for one in every if _share(one, slo) >= share]
    if not keeping:
        reasons = [f"no level keeps {targets} for {share:.0%} of its requests"]
        reasons += [_kept(one, slo) for one in sorted(every, key=_smaller)]
        first = min(every, key=_smaller)
        return replace(_answer("slo", first, reasons), concurrency=None, command="", figure=None)
    if len(keeping) == 1:
        (chosen,) = keeping
        told = [f"{_figure(chosen, FIRST)}", *_edge(chosen), _wait(chosen)]
        found = _answer("slo", chosen, [*told, *_memory(chosen), *_surer(chosen, keeping)])
    else:
        found = replace(_best("throughput", keeping), goal="slo")
        chosen = next(
            one for one in keeping
            if (one.run.name, one.figures.concurrency) == (found.run, found.concurrency)
        )  # fmt: skip
    lead = f"keeps {targets}: {_kept(chosen, slo)}; {len(keeping)} of {len(every)} levels do"
    asked = ",".join(f"{name}={value:g}" for name, value in slo.items())
    command = f"{found.command} --slo {asked}" if found.command else ""
    return replace(found, command=command, reasons=[lead, *found.reasons])


def _share(one: Candidate, slo: Slo) -> float:
    good, of = one.kept(slo)
    return good / of if of else 0.0


def _kept(one: Candidate, slo: Slo) -> str:
    good, of = one.kept(slo)
    told = f"{good} of {of} requests ({_share(one, slo):.0%})"
    breaks = first_broken(_done(one), slo)
    broken = f", {breaks.upper()} breaks first" if breaks and good < of else ""
    return f"concurrency {one.figures.concurrency}: {told}{broken}"


def _done(one: Candidate) -> list[Request]:
    level = one.run.session.levels[one.figures.level]
    return [request for request in level.requests if request.state == "done"]


def _figure(one: Candidate, metric: str) -> str:
    """A figure with its interval."""
    told = f"{ROUGH * one.figures.estimated}{_told(metric, one.value(metric))}"
    between = one.interval(metric)
    if between is None:
        return f"{told} (no interval: too few requests)"
    low, high = (_bare(metric, bound) for bound in between)
    return f"{told} ({low} to {high})"


def _told(metric: str, value: float | None) -> str:
    words = {"output_tok_s": "output tokens/s", "e2e_s.mean": "from start to end on average"}
    return f"{_bare(metric, value)} {words[metric]}"


def _bare(metric: str, value: float | None) -> str:
    return duration(value) if "_s." in metric else number(value)


def _told_rate(one: Candidate) -> str:
    return _figure(one, FIRST)


def _wait(one: Candidate) -> str:
    first, pace = one.figures.ttft, one.figures.tpot
    told = f"first token after {duration(first.p50 if first else None)} (p50)"
    return f"{told}, then one every {duration(pace.p50 if pace else None)}"


def _bend(one: Candidate) -> list[str]:
    """Where fewer requests would be nearly as good for each of them."""
    bend = knee(one.run.figures)
    if bend is None or bend.concurrency >= one.figures.concurrency:
        return []
    seconds = one.figures.e2e.mean if one.figures.e2e else None
    return [
        f"beyond the knee: concurrency {bend.concurrency} gives {number(bend.output_rate)} tok/s "
        f"at {duration(bend.e2e.mean if bend.e2e else None)} instead of {duration(seconds)}"
    ]


def _edge(one: Candidate) -> list[str]:
    highest = max(figures.concurrency for figures in one.run.figures)
    failed = [f.concurrency for f in one.run.figures if f.outcome == "oom"]
    if failed:
        return [f"memory ended at concurrency {min(failed)}"]
    if one.figures.concurrency == highest:
        return ["the highest level measured: a higher one may give more still"]
    return []


def _memory(one: Candidate) -> list[str]:
    peak = one.figures.device_peak_bytes or one.figures.host_peak_bytes
    told = [] if peak is None else [f"peak memory {size(peak)}"]
    words = [figures.contention.words for figures in one.levels if figures.contention.notable]
    return told + [f"careful: {word} meanwhile" for word in dict.fromkeys(words)]


def _surer(one: Candidate, tied: Sequence[Candidate]) -> list[str]:
    """What would make the answer surer."""
    if len(one.runs) > 1:
        told = f"the intervals are those of {len(one.runs)} runs"
        return [f"{told}; more of them would make them narrower" if len(tied) > 1 else told]
    few = one.error(FIRST) is None
    more = "more requests a level (--requests) and --runs 5" if few else "--runs 5"
    return [f"surer with {more}: one run does not know what varies between runs"]


def _answer(goal: str, one: Candidate, reasons: list[str]) -> Recommendation:
    concurrency = one.figures.concurrency
    started = one.run.session.started
    ours = started is not None and one.run.session.imported is None
    command = command_of(started.config, concurrency, one.run) if started and ours else ""
    metric = METRICS.get(goal, FIRST)
    low, high = one.interval(metric) or (None, None)
    figure = Figure(metric, one.value(metric), low, high)
    return Recommendation(goal, one.run.name, concurrency, command, reasons, figure)


def command_of(config: RunConfig, concurrency: int | str, run: Run) -> str:
    """The command line that runs one level again, or several; what is the default is left out."""
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
        ("--tp", config.tp, plain.tp),
    ]
    words = ["llamatop", "--record"]
    for name, value, default in options:
        if value != default:
            several = name in ("--url", "--concurrency")
            words += [name, *(str(value).split() if several else [str(value)])]
    return shlex.join(words if config.tuning else [*words, "--no-tuning"])


def _engine(config: RunConfig, run: Run) -> str:
    """The engine that ran; what --url implies needs no name."""
    model = run.session.model
    return "auto" if config.urls else model.engine if model else config.engine


def _weights(config: RunConfig, run: Run) -> str:
    """What to ask for, to get the weights that ran."""
    random = run.session.model is not None and run.session.model.weights == "random"
    return "random" if random else config.weights

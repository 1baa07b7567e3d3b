"""One level in lines for a person to read, a figure a line. Knows its figures, not its session."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.figures.levels import LevelFigures
from llamatop.figures.roofline import ROOF_BEATEN, roof_beaten
from llamatop.figures.stats import Distribution
from llamatop.figures.steady import Steady
from llamatop.figures.turns import TurnFigures
from llamatop.reports.between import between_rows
from llamatop.reports.servers import NOT_HERE, ROUGH, served_rows
from llamatop.text.formatting import UNKNOWN, duration, minus, number, percent, size, whole


def level_lines(
    figures: LevelFigures,
    until_ci: float | None = None,
    failures: Sequence[str] = (),
    price: float | None = None,
) -> list[str]:
    """One level for a person to read, a figure a line; `until_ci` is what it was to reach.

    `failures` are the lines that say why requests failed, `price` is that of an hour of servers.
    """
    memory = [row("peak memory", _memory(figures)), *_predicted(figures), *_weights_kv(figures)]
    rough = ROUGH if figures.estimated else ""
    if figures.outcome == "oom" and not figures.completed:  # nothing else was measured
        return [_title(figures), *memory, row("last words", figures.error)]
    return [
        _title(figures),
        row("requests completed", _completed(figures)),
        *failures,
        *[row(name, value) for name, value in served_rows(figures)],
        *_cached(figures),
        row("average latency", duration(figures.e2e.mean if figures.e2e else None)),
        row("total throughput", f"{rough}{number(figures.output_rate)} tok/s"),
        *_steady(figures, until_ci),
        *_arrived(figures),
        *([] if figures.judged is None else [row("goodput", _goodput(figures))]),
        *([row("careful", figures.contention.words)] if figures.contention.notable else []),
        *memory,
        *_utilised(figures),
        *_energy(figures),
        *[row(name, value) for name, value in between_rows(figures, price)],
        f"  {'':<20} {'mean':>9} {'p50':>9} {'p90':>9} {'p99':>9}",
        _spread_row("TTFT", figures.ttft),
        *_ttfa(figures),
        _spread_row("TPOT", figures.tpot, rough),
        _spread_row("ITL", figures.itl, rough),
        _spread_row("E2E", figures.e2e),
        *[_spread_row(f"TTFT of turn {one.turn}, {_each(one)}", one.ttft) for one in figures.turns],
    ]


def _ttfa(figures: LevelFigures) -> list[str]:
    """Time to first answer, where there was reasoning before it."""
    told = figures.served.ttfa if figures.served is not None else None
    return [] if told is None else [_spread_row("TTFA (first answer)", told)]


def _steady(figures: LevelFigures, until_ci: float | None) -> list[str]:
    """The steady throughput where there is one, and why the level ended where that was open."""
    rows = []
    if figures.steady is not None:
        rough = ROUGH if figures.estimated else ""
        rows.append(row("steady state", rough + steady_text(figures.steady)))
    elif until_ci is not None:
        rows.append(row("steady state", "not found: too few requests, or still drifting"))
    if why := ended_text(figures.ended_by, until_ci):
        rows.append(row("ended by", why))
    return rows


def steady_text(steady: Steady) -> str:
    """The steady throughput with its interval."""
    known = f"{number(steady.rate)} tok/s ± {steady.relative:.1%}"
    return f"{known} (95 %), from {duration(steady.start)} on"


def ended_text(ended_by: str, until_ci: float | None) -> str:
    """Why a level ended; empty where it simply had its requests."""
    if ended_by == "interval":
        return f"its interval, ± {until_ci or 0:.1%} or less"
    if ended_by == "time":
        return "--max-time" + (
            ", before its interval was as narrow" if until_ci is not None else ""
        )
    if ended_by == "requests" and until_ci is not None:
        return "--requests, before its interval was as narrow"
    return ""


def _cached(figures: LevelFigures) -> list[str]:
    """What an engine here had computed before; of servers it is told with their rows."""
    if figures.served is not None or figures.cached_prompt_tokens is None:
        return []
    return [row("tokens", f"{whole(figures.cached_prompt_tokens)} of prompts from a cache")]


def _each(turn: TurnFigures) -> str:
    """How long its prompts are on average."""
    if turn.prompt_tokens is None:
        return UNKNOWN
    return f"{turn.prompt_tokens / turn.completed:,.0f} in"


def _arrived(figures: LevelFigures) -> list[str]:
    """The rate of an open loop beside what was asked for."""
    if figures.asked_rate is None:
        return []
    asked, real = number(figures.asked_rate), number(figures.real_rate)
    return [row("arrivals", f"{asked} requests/s asked, {real} began")]


def _goodput(figures: LevelFigures) -> str:
    """Requests that kept every target, and of how many that could be said."""
    told = f"{number(figures.goodput)} requests/s"
    if figures.judged == figures.completed:
        return told
    return f"{told}; {figures.judged} of {figures.completed} could be judged by every target"


def _title(figures: LevelFigures) -> str:
    title = f"concurrency {figures.concurrency}"
    match figures.outcome:
        case "ok":
            return title
        case "oom":
            where = f" in {figures.memory_ended_in}" if figures.memory_ended_in else ""
            return f"{title}: out of memory{where}"
        case _:
            why = f" ({figures.error})" if figures.error else ""
            return f"{title}: {figures.outcome or 'cut off'}{why}"


def _completed(figures: LevelFigures) -> str:
    text = f"{figures.completed} of {figures.requests}"
    text += f", {figures.failed} failed" if figures.failed else ""
    text += f", {figures.cancelled} cancelled" if figures.cancelled else ""
    rough = ROUGH if figures.estimated else ""
    out = whole(figures.output_tokens)
    return f"{text}; {whole(figures.prompt_tokens)} tokens in, {rough}{out} out"


def _weights_kv(figures: LevelFigures) -> list[str]:
    """Of a foreign engine only these are foretold."""
    foretold = figures.served.weights_kv_bytes if figures.served is not None else None
    if foretold is None:
        return []
    return [row("of it foretold", f"{size(foretold)} of weights and KV; the rest is its own")]


def _predicted(figures: LevelFigures) -> list[str]:
    """The prediction beside what was measured, where there is one."""
    pairs = (
        (figures.predicted_device_bytes, figures.device_peak_bytes),
        (figures.predicted_host_bytes, figures.host_peak_bytes),
    )
    if figures.outcome == "oom":  # what was measured is not all that was needed
        return [row("predicted peak", size(said)) for said, _ in pairs if said]
    return [
        row("predicted peak", minus(f"{size(said)}, {said / found - 1:+.1%} of what was measured"))
        for said, found in pairs
        if said and found
    ]


def _utilised(figures: LevelFigures) -> list[str]:
    if figures.mbu is None:
        return []
    held = f"; bound by {figures.held_back_by}" if figures.held_back_by else ""
    told = [row("MBU, MFU", f"{percent(figures.mbu)}, {percent(figures.mfu)}{held}")]
    return [*told, row("", ROOF_BEATEN)] if roof_beaten(figures.mbu, figures.mfu) else told


def _energy(figures: LevelFigures) -> list[str]:
    if figures.joules_per_token is None:
        return []
    return [row("energy", f"{number(figures.joules_per_token)} J per token, of the accelerators")]


def _memory(figures: LevelFigures) -> str:
    if figures.served is not None:
        known = figures.host_peak_bytes
        if known is None:
            return NOT_HERE
        device = figures.device_peak_bytes
        gpu = f"{size(device)} device, " if device is not None else ""
        return f"{gpu}{size(known)} of the server's processes"
    host = f"{size(figures.host_peak_bytes)} engine process"
    if figures.device_peak_bytes is None:
        return host
    return f"{size(figures.device_peak_bytes)} device, {host}"


def row(name: str, value: str) -> str:
    """A figure and its value, indented below the level that it is of."""
    return f"  {name:<20} {value}"


def _spread_row(name: str, values: Distribution | None, rough: str = "") -> str:
    if values is None:
        return row(name, UNKNOWN)
    cells = (values.mean, values.p50, values.p90, values.p99)
    return f"  {name:<20}" + "".join(f" {rough + duration(cell):>9}" for cell in cells)

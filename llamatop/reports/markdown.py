"""A run's summary as a table of Markdown, to be pasted into an issue or a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llamatop.figures.levels import LevelFigures
from llamatop.figures.stats import Distribution
from llamatop.reports.recommend import command_of
from llamatop.reports.run_text import headline
from llamatop.reports.runs import Run
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from llamatop.text.formatting import UNKNOWN, duration, number, size, whole

HEAD = (
    "concurrency", "requests", "output tok/s", "TTFT p50 / p99", "TPOT p50 / p99",
    "ITL p50 / p99", "E2E p50 / p99", "peak memory",
)  # fmt: skip


def markdown(run: Run) -> str:
    """What ran, a row a level, then machine, versions and command."""
    return "\n".join(
        [f"**{_safe(headline(run.session))}**", "", *_table(run), "", *_facts(run), ""]
    )


def _table(run: Run) -> Iterator[str]:
    yield _row(HEAD)
    yield _row(["---:"] * len(HEAD))
    for figures in run.figures:
        yield _row(_cells(figures))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(figures: LevelFigures) -> list[str]:
    peak = figures.device_peak_bytes or figures.host_peak_bytes
    told = f"{whole(figures.completed)} of {whole(figures.requests)}"
    told += f", {figures.failed} failed" if figures.failed else ""
    told += f", {figures.outcome}" if figures.outcome not in ("ok", None) else ""
    spreads = (figures.ttft, figures.tpot, figures.itl, figures.e2e)
    return [
        str(figures.concurrency), told, number(figures.output_rate), *map(_spread, spreads),
        size(peak),
    ]  # fmt: skip


def _spread(values: Distribution | None) -> str:
    return UNKNOWN if values is None else f"{duration(values.p50)} / {duration(values.p99)}"


def _facts(run: Run) -> Iterator[str]:
    """Where it ran and how to run it again, a line each."""
    setup, session = run.setup, run.session
    where = [setup.get(name) for name in ("accelerator", "processor", "memory", "system")]
    machine = ", ".join(part for part in where if part)
    if setup.get("cores"):
        machine += f", {setup['cores']} cores"
    versions = [
        f"{name.removesuffix(' version')} {value}"
        for name, value in setup.items()
        if name.endswith(" version")
    ]
    if machine:
        yield f"- machine: {_safe(machine)}"
    if setup.get("llamatop"):
        told = ", ".join([f"llamatop {setup['llamatop']}", *versions])
        yield f"- versions: {_safe(told)}"
    for name in ("prompt tokens", "tokens to generate", "arrivals"):
        if setup.get(name):
            yield f"- {name}: {_safe(setup[name])}"
    yield from _origin(session)
    if command := _command(run):
        yield f"- command: `{command.replace('`', '')}`"


def _origin(session: Session) -> Iterator[str]:
    """Of another tool's run, what is to be known of it."""
    if session.imported is not None:
        yield from (f"- careful: {_safe(note)}" for note in session.imported.notes)


def _command(run: Run) -> str:
    """The command line that runs it again; empty of another tool's run."""
    started = run.session.started
    if started is None or run.session.imported is not None:
        return ""
    config = started.config
    levels = " ".join(map(str, config.concurrency))
    plain = command_of(config, config.concurrency[0], run)
    command = plain.replace(f"--concurrency {config.concurrency[0]}", f"--concurrency {levels}")
    return " ".join([command, *_whole_run(config)])


def _whole_run(config: RunConfig) -> Iterator[str]:
    """The options that say how long a run goes on and what it is judged by, as far as given."""
    targets = ",".join(f"{name}={value:g}" for name, value in config.slo.items())
    given = (
        ("--requests", config.requests),
        ("--max-time", config.max_time),
        ("--until-ci", config.until_ci),
        ("--slo", targets or None),
        ("--seed", config.seed or None),
    )
    for name, value in given:
        if value is not None:
            yield f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
    if config.until_oom:
        yield "--until-oom"
    if config.until_slo:
        yield "--until-slo"


def _safe(text: str) -> str:
    """The same text with what Markdown and HTML would take for their own escaped."""
    for sign in "\\`*_|<>[]":
        text = text.replace(sign, f"\\{sign}")
    return text

"""A session in another tool's definitions, for a person to read."""

from __future__ import annotations

from llamatop.figures.dialects import TITLES, explain, figures
from llamatop.figures.dialects.readings import Reading
from llamatop.session.reducer import Session
from llamatop.text.formatting import duration, minus, number, whole


def dialect_text(session: Session, dialect: str) -> str:
    """Every level as the tool would tell it, and in words where that differs from llamatop."""
    blocks = ["\n".join(_level(reading)) for reading in figures(session, dialect)]
    words = "\n".join(f"- {minus(line)}" for line in explain(session, dialect))
    return "\n\n".join([f"as {TITLES[dialect]} defines its figures", *blocks, words])


def _level(reading: Reading) -> list[str]:
    lines = [
        f"concurrency {reading.concurrency}: {reading.completed} completed, "
        f"{reading.failed} failed, {whole(reading.output_tokens)} output tokens, "
        f"{number(reading.output_rate)} tok/s, {number(reading.request_rate)} requests/s",
        f"  {'':<6} {'mean':>9} {'p50':>9} {'p90':>9} {'p99':>9}",
    ]
    for name, spread in reading.latencies.items():
        cells = [getattr(spread, part, None) for part in ("mean", "p50", "p90", "p99")]
        lines.append(f"  {name.upper():<6}" + "".join(f" {duration(cell):>9}" for cell in cells))
    return lines

"""What a recording gave, in a few lines for the start screen. Opens the file; draws nothing."""

from __future__ import annotations

from llamatop.errors import InputError
from llamatop.tui.start.rows import Kept

LARGEST = 64_000_000
"""Bytes of a recording that is looked into before it is opened; a larger one takes long."""


def readable(kept: Kept) -> bool:
    """Whether it is whole, and quick to read."""
    return kept.state in ("complete", "stopped early") and kept.bytes <= LARGEST


def result_of(kept: Kept) -> tuple[str, ...]:
    """How its run ended, then each level's throughput and median TTFT."""
    from llamatop.figures.levels import level_figures  # noqa: PLC0415  (not for the first paint)
    from llamatop.recording.reader import fold_recording  # noqa: PLC0415  (polars)
    from llamatop.reports.outcome import outcome_line  # noqa: PLC0415
    from llamatop.text.formatting import duration, number  # noqa: PLC0415

    try:
        session = fold_recording(kept.path).session
    except InputError as error:
        return (str(error),)
    if session.started is not None and session.started.config.engine == "attach":
        return ("a watch of servers that others drive",)
    lines = [outcome_line(session)]
    for figures in (level_figures(session, level) for level in session.levels.values()):
        ttft = duration(figures.ttft.p50 if figures.ttft else None)
        failed = f", {figures.outcome}" if figures.outcome not in ("ok", None) else ""
        rate = number(figures.output_rate)
        lines.append(f"concurrency {figures.concurrency}: {rate} tok/s, TTFT {ttft}{failed}")
    return tuple(lines)

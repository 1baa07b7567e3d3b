"""What a recording gave, in a few words and lines for the start screen. Opens the file."""

from __future__ import annotations

import msgspec

from llamatop.errors import InputError
from llamatop.tui.start.rows import Kept

LARGEST = 64_000_000
"""Bytes of a recording that is looked into before it is opened; a larger one takes long."""

SMALL = 4_000_000
"""The same where nobody has put the cursor on it."""


class Result(msgspec.Struct, frozen=True):
    """How a run ended and what it gave."""

    lines: tuple[str, ...]
    """How it ended, then a line a level."""
    levels: str = ""
    """The concurrency of its levels, the first and the last."""
    rate: str = ""
    """The most output tokens per second of a level."""
    failed: bool = False


READING = Result(("looking into it…",))


def readable(kept: Kept, most: int = LARGEST) -> bool:
    """Whether it is whole, there, and quick to read."""
    whole = kept.state in ("complete", "stopped early") and kept.bytes <= most
    return whole and kept.path.is_file()


def result_of(kept: Kept) -> Result:
    """How its run ended, and each level's throughput and median TTFT."""
    from llamatop.figures.levels import level_figures  # noqa: PLC0415  (not for the first paint)
    from llamatop.recording.reader import fold_recording  # noqa: PLC0415  (polars)
    from llamatop.reports.outcome import failure, outcome_line  # noqa: PLC0415
    from llamatop.text.formatting import duration, number  # noqa: PLC0415

    try:
        session = fold_recording(kept.path).session
    except InputError as error:
        return Result((str(error),))
    if session.started is not None and session.started.config.engine == "attach":
        return Result(("a watch of servers that others drive",))
    figures = [level_figures(session, level) for level in session.levels.values()]
    lines = [outcome_line(session)]
    for one in figures:
        ttft = duration(one.ttft.p50 if one.ttft else None)
        failed = f", {one.outcome}" if one.outcome not in ("ok", None) else ""
        lines.append(
            f"concurrency {one.concurrency}: {number(one.output_rate)} tok/s, TTFT {ttft}{failed}"
        )
    most = max((one.output_rate for one in figures if one.output_rate), default=None)
    ends = dict.fromkeys((figures[0].concurrency, figures[-1].concurrency)) if figures else ()
    return Result(
        tuple(lines),
        "-".join(map(str, ends)),
        "" if most is None else f"{number(most)} tok/s",
        failure(session) is not None,
    )

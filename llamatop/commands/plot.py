"""`llamatop plot FILE…`: charts of recordings as PNG and SVG, in the terminal, or one HTML page."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from llamatop.commands.parser import Parser
from llamatop.errors import InputError

if TYPE_CHECKING:
    from llamatop.reports.runs import Run


_EXAMPLES = """\
  llamatop plot run.parquet --out charts
  llamatop plot run.parquet --html report.html    # one page, no network
  llamatop plot run.parquet --terminal
  llamatop plot before.parquet after.parquet --out charts --slo ttft=0.5,tpot=0.05
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop plot",
        examples=_EXAMPLES,
        description="Charts of recordings, or one HTML page.",
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="several are drawn into the same charts")
    add("--out", metavar="DIR", help="the folder for the charts (charts)")
    add("--html", metavar="FILE", help="one page with the charts and tables; needs no network")
    add("--terminal", action="store_true", help="the charts as text on stdout")
    add("--theme", choices=("light", "dark", "both"), default="light",
        help="of the charts (light)")  # fmt: skip
    add("--format", choices=("png", "svg", "both"), default="both",
        help="of the files (both)")  # fmt: skip
    add("--size", default="1600x1000", metavar="WxH", help="pixels (1600x1000)")
    add("--slo", metavar="T", help="targets in seconds, as ttft=0.5,tpot=0.05: draws goodput")
    return parser


def main(arguments: list[str]) -> int:
    """Draw what recordings hold; the exit code."""
    args = command_line().parse_args(arguments)
    size = _size(args.size)
    from llamatop.commands.recordings import open_all
    from llamatop.settings.config import parse_slo

    slo = parse_slo(args.slo) if args.slo is not None else None
    runs = open_all(args.files)
    if slo is not None:
        from llamatop.reports.runs import with_targets

        runs = [with_targets(run, slo) for run in runs]
    if args.terminal:
        _text(runs)
    if args.html is not None:
        _page(args.html, runs)
    if args.out or (args.html is None and not args.terminal):
        from llamatop.recording.files import shown
        from llamatop.reports.charts.files import write
        from llamatop.reports.charts.forked import processes
        from llamatop.reports.charts.levels import NO_TARGETS

        themes = ("light", "dark") if args.theme == "both" else (args.theme,)
        kinds = ("png", "svg") if args.format == "both" else (args.format,)
        written = write(runs, Path(args.out or "charts"), themes, kinds, size, at_once=processes())
        for name, reason in written.left_out:
            if reason != NO_TARGETS:  # nobody asked for goodput
                print(f"llamatop: no {name}: {reason}", file=sys.stderr)
        for path in written.files:
            print(shown(path))
    return 0


def _size(text: str) -> tuple[int, int]:
    """Width and height in pixels; InputError where a chart would be no chart."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (400 <= width <= 8000 and 0.45 * width <= height <= 2 * width):
        raise InputError(f"--size {text}: say WxH in pixels, as 1600x1000, no flatter than 20x9")
    return width, height


def _text(runs: list[Run]) -> None:
    from llamatop.reports.terminal import charts

    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    colour = sys.stdout.isatty() and not plain
    print(charts(runs, shutil.get_terminal_size((80, 24)).columns, colour))


def _page(file: str, runs: list[Run]) -> None:
    from llamatop.commands.recordings import save_text
    from llamatop.recording.files import shown
    from llamatop.reports.charts.forked import processes
    from llamatop.reports.compare import compare
    from llamatop.reports.page import page

    comparisons = [compare(runs[0], run) for run in runs[1:]]
    save_text(file, page(runs, comparisons, processes()))
    print(shown(Path(file)))

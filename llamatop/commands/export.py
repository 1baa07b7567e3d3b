"""`llamatop export FILE --format F`: a recording as plain tables, or as what other tools read."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from llamatop.commands.parser import Parser
from llamatop.commands.salvaging import add_salvage, salvage_all
from llamatop.errors import InputError

if TYPE_CHECKING:
    from llamatop.recording.reader import Opened


_EXAMPLES = """\
  llamatop export run.parquet --format csv --out tables
  llamatop export run.parquet --format jsonl --table requests --out -
  llamatop export run.parquet --format perfetto    # for ui.perfetto.dev
  llamatop export run.parquet --format markdown    # to paste into an issue
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop export",
        examples=_EXAMPLES,
        description="A recording as plain tables, or for others: "
        "perfetto (a trace), openmetrics (for Prometheus), markdown (to paste).",
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="a recording")
    add(
        "--format",
        required=True,
        choices=("csv", "json", "jsonl", "parquet", "perfetto", "openmetrics", "markdown"),
        help="tables (csv, json, jsonl, parquet), or what others read",
    )
    add("--table", choices=("events", "requests", "levels"), action="append",
        help="one of them; all where none is said")  # fmt: skip
    add("--out", metavar="DIR", help="the folder for NAME-TABLE.FORMAT (here); - for stdout, "
        "where markdown and openmetrics go if nothing is said")  # fmt: skip
    add("--bom", action="store_true",
        help="csv: begin with a byte order mark, by which spreadsheets know UTF-8")  # fmt: skip
    add_salvage(parser)
    return parser


def main(arguments: list[str]) -> int:
    """Write tables of a recording; the exit code."""
    args = command_line().parse_args(arguments)
    if args.bom and args.format != "csv":
        raise InputError(f"--bom: goes with --format csv, not {args.format}")
    if args.salvage:
        salvage_all([args.file])
    if args.format in ("perfetto", "openmetrics", "markdown"):
        if args.table:
            raise InputError(f"--table: --format {args.format} has no tables; leave it out")
        return _whole(args.file, args.format, args.out)
    names = list(dict.fromkeys(args.table or ("events", "requests", "levels")))
    if args.out == "-" and len(names) != 1:
        raise InputError("--out -: say which table, as in --table requests")
    return _export(args.file, args.format, names, args.out, args.bom)


def _export(file: str, form: str, names: list[str], out: str | None, bom: bool) -> int:
    from llamatop.recording.files import shown
    from llamatop.recording.reader import Opened
    from llamatop.reports.export import encoded, events_table, one_table, write

    gc.disable()  # a command of seconds; millions of events are no garbage
    opened = Opened(file)
    session = opened.fold()
    for notice in opened.notices:
        print(f"llamatop: {notice}", file=sys.stderr)
    for name in names:
        table = events_table(opened.blocks()) if name == "events" else one_table(name, session)
        if out == "-":
            encoded(table, form, sys.stdout.buffer, opened.facts, bom)
        else:
            path = Path(out or ".") / f"{Path(file).stem}-{name}.{form}"
            write(table, path, form, opened.facts, bom)
            print(shown(path))
    return 0


def _whole(file: str, form: str, out: str | None) -> int:
    """The recording as one text."""
    from llamatop.recording.files import shown
    from llamatop.recording.reader import Opened

    gc.disable()
    opened = Opened(file)
    told = {"perfetto": _trace, "openmetrics": _metrics, "markdown": _table}[form](file, opened)
    parts = list(told)
    for notice in opened.notices:
        print(f"llamatop: {notice}", file=sys.stderr)
    ending = {"perfetto": "perfetto.json", "openmetrics": "openmetrics.txt", "markdown": "md"}[form]
    if out == "-" or (out is None and form != "perfetto"):
        sys.stdout.writelines(parts)
        return 0
    from llamatop.commands.recordings import save_text

    path = Path(out or ".") / f"{Path(file).stem}.{ending}"
    save_text(str(path), "".join(parts))
    print(shown(path))
    return 0


def _trace(file: str, opened: Opened) -> Iterator[str]:
    from llamatop.reports.perfetto import left_out, parts, trace

    session = opened.fold()
    if missing := left_out(session):
        print(f"llamatop: {missing:,} of {len(session.requests):,} requests are left out, evenly "
              "chosen; tokens are a counter", file=sys.stderr)  # fmt: skip
    return parts(trace(session))


def _metrics(file: str, opened: Opened) -> Iterator[str]:
    from llamatop.reports.openmetrics import text
    from llamatop.reports.tally import Tally

    tally = Tally()
    for block in opened.blocks(text=False):
        tally.write(list(block))
    yield text(tally)


def _table(file: str, opened: Opened) -> Iterator[str]:
    from llamatop.reports.markdown import markdown
    from llamatop.reports.runs import run_of

    yield markdown(run_of(opened.fold(), Path(file).stem))

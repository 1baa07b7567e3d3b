"""`llamatop export FILE --format F`: a recording's events, requests and levels as plain tables."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from llamatop.commands.parser import Parser
from llamatop.errors import InputError


def main(arguments: list[str]) -> int:
    """Write tables of a recording; the exit code."""
    parser = Parser(prog="llamatop export", description="A recording as plain tables.")
    add = parser.add_argument
    add("file", metavar="FILE")
    add("--format", choices=("csv", "json", "jsonl", "parquet"), required=True)
    add("--table", choices=("events", "requests", "levels"), action="append",
        help="one of them; all where none is said")  # fmt: skip
    add("--out", metavar="DIR", help="the folder for NAME-TABLE.FORMAT (here); - for stdout")
    args = parser.parse_args(arguments)
    names = list(dict.fromkeys(args.table or ("events", "requests", "levels")))
    if args.out == "-" and len(names) != 1:
        raise InputError("--out -: say which table, as in --table requests")
    return _export(args.file, args.format, names, args.out)


def _export(file: str, form: str, names: list[str], out: str | None) -> int:
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
            encoded(table, form, sys.stdout.buffer)
        else:
            path = Path(out or ".") / f"{Path(file).stem}-{name}.{form}"
            write(table, path, form)
            print(shown(path))
    return 0

"""`llamatop export FILE --format F`: a recording's events, requests and levels as plain tables."""

from __future__ import annotations

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
    from llamatop.recording.reader import open_recording
    from llamatop.replay import fold
    from llamatop.reports.export import encoded, one_table, write

    recording = open_recording(file)
    for notice in recording.notices:
        print(f"llamatop: {notice}", file=sys.stderr)
    session = fold(recording.events)
    for name in names:
        table = one_table(name, recording.events, session)
        if out == "-":
            sys.stdout.buffer.write(encoded(table, form))
        else:
            path = Path(out or ".") / f"{Path(file).stem}-{name}.{form}"
            write(table, path, form)
            print(path)
    return 0

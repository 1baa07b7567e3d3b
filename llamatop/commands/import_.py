"""`llamatop import FILE… --out FOLDER`: other tools' result files as recordings and tables."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from llamatop.commands.parser import Parser

if TYPE_CHECKING:
    from llamatop.imports.told import Run
    from llamatop.recording.tables import Table


def main(arguments: list[str]) -> int:
    """Import result files; the exit code."""
    parser = Parser(
        prog="llamatop import",
        description="Other tools' result files (or their runs' folders) as recordings; "
        "those without a timeline as tables, which compare and plot take.",
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE")
    add("--out", metavar="FOLDER", required=True, help="the folder for NAME.parquet and "
        "NAME.table.json")  # fmt: skip
    add("--record-text", action="store_true", help="keep the generated text, where a file has it")
    args = parser.parse_args(arguments)
    gc.disable()  # a command of seconds; what a file holds is no garbage
    from llamatop.imports.recognise import read
    from llamatop.recording.files import shown

    for file in args.files:
        for name, found in read(Path(file), args.record_text):
            path = _write(found, name, Path(args.out), args.record_text)
            print(shown(path))
            for note in found.notes:
                print(f"llamatop: {path.name}: {note}", file=sys.stderr)
    return 0


def _write(found: Run | Table, name: str, folder: Path, keep_text: bool) -> Path:
    """The file of what was found."""
    from llamatop.imports.events import events_of
    from llamatop.imports.told import Run
    from llamatop.recording.tables import ENDING, write_table_file
    from llamatop.recording.whole import write_whole

    if isinstance(found, Run):
        path = folder / f"{name}.parquet"
        write_whole(path, *events_of(found, keep_text))
        return path
    path = folder / f"{name}{ENDING}"
    write_table_file(path, found)
    return path

"""`llamatop import FILE… --out FOLDER`: other tools' result files as recordings and tables."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from llamatop.commands.parser import Parser
from llamatop.errors import InputError

if TYPE_CHECKING:
    from llamatop.imports.told import Run
    from llamatop.recording.tables import Table

EXIT_BAD_INPUT = 2


_EXAMPLES = """\
  llamatop import results.json --out imported
  llamatop import aiperf-run/ vllm.json --out imported
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop import",
        examples=_EXAMPLES,
        description="Other tools' result files (or their runs' folders) as recordings; "
        "those without a timeline as tables, which compare and plot take.",
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="result files, or folders of runs")
    add("--out", metavar="FOLDER", required=True, help="the folder for NAME.parquet and "
        "NAME.table.json")  # fmt: skip
    add("--record-text", action="store_true", help="keep the generated text, where a file has it")
    return parser


def main(arguments: list[str]) -> int:
    """Import result files; the exit code: 2 where one could not be, the others are."""
    args = command_line().parse_args(arguments)
    gc.disable()  # a command of seconds; what a file holds is no garbage
    from llamatop.imports.recognise import read
    from llamatop.recording.files import shown

    taken: Counter[str] = Counter()
    code = 0
    for file in args.files:
        try:
            for name, found in read(Path(file), args.record_text):
                taken[name] += 1
                path = _write(found, _numbered(name, taken), Path(args.out), args.record_text)
                print(shown(path))
                for note in found.notes:
                    print(f"llamatop: {path.name}: {note}", file=sys.stderr)
        except InputError as error:  # the other files are none the worse
            print(f"llamatop: {error}", file=sys.stderr)
            code = EXIT_BAD_INPUT
    return code


def _numbered(name: str, taken: Counter[str]) -> str:
    """The name, with a number from the second file of that name on."""
    return name if taken[name] == 1 else f"{name}.{taken[name]}"


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

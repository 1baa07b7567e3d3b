"""`--salvage`, of the commands that read a recording: past the damage of its journal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from llamatop.commands.parser import Parser


def add_salvage(parser: Parser) -> None:
    """The option."""
    parser.add_argument("--salvage", action="store_true",
        help="recover also what follows a damaged part of a journal; the gap is told")  # fmt: skip


def salvage_all(files: Sequence[str]) -> None:
    """Recover the journals of recordings, and say what of."""
    from llamatop.recording.reader import salvage

    for file in files:
        for notice in salvage(file):
            print(f"llamatop: {notice}", file=sys.stderr)

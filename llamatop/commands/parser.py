"""A parser of arguments whose complaints are one line, and whose help ends with examples."""

from __future__ import annotations

import argparse
import textwrap
from typing import NoReturn

from llamatop.errors import InputError

_WIDTH = 78
"""Of words under the examples."""


class _Formatter(argparse.HelpFormatter):
    """Lines that are broken already stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return text
        return super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """Bad input raises InputError instead of printing a usage."""

    def __init__(
        self,
        *,
        prog: str,
        description: str,
        examples: str = "",
        epilog: str = "",
        allow_abbrev: bool = True,
    ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog="\n".join([f"examples:\n{examples}", textwrap.fill(epilog, _WIDTH)]),
            formatter_class=_Formatter,
            allow_abbrev=allow_abbrev,
        )
        self.examples = examples
        """Command lines, two blanks before each."""

    def error(self, message: str) -> NoReturn:
        """One line, and where to read more."""
        raise InputError(f"{message} (see {self.prog} --help)")


def theme(name: str) -> str:
    """A theme's name, as `--theme` takes it; InputError names those that exist.

    Textual is loaded for it, so only where one is named.
    """
    from llamatop.tui.drawing import themes

    known, problems = themes.load_themes(themes.folders())
    return themes.choose(name, list(known), problems)

"""A parser of arguments whose complaints are one line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from llamatop.errors import InputError


class Parser(argparse.ArgumentParser):
    """Bad input raises InputError instead of printing a usage."""

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

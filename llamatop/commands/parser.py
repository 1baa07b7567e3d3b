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

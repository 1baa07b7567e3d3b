"""`llamatop completion SHELL`: what a shell needs to complete llamatop's words, by shtab."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module

from llamatop.commands.names import COMMANDS, module_of
from llamatop.commands.parser import Parser

SHELLS = ("bash", "zsh", "fish")

_FILES = ("FILE", "BASELINE", "M", "ID")
"""Placeholders where a file or a folder may stand."""
_FOLDERS = ("DIR", "FOLDER")

_EXAMPLES = """\
  llamatop completion bash > ~/.local/share/bash-completion/completions/llamatop
  llamatop completion zsh > "${fpath[1]}/_llamatop"
  llamatop completion fish > ~/.config/fish/completions/llamatop.fish
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop completion",
        examples=_EXAMPLES,
        description="What completes commands, options and files in a shell, on stdout.",
    )
    parser.add_argument("shell", choices=SHELLS, help="whose completion")
    return parser


def main(arguments: list[str]) -> int:
    """Print it; the exit code."""
    args = command_line().parse_args(arguments)
    import shtab

    print(shtab.complete(whole(), shell=args.shell))
    return 0


def whole() -> argparse.ArgumentParser:
    """One parser of all commands, which completes files where they may stand."""
    import shtab

    from llamatop.commands.run_options import command_line as of_run

    parser = of_run()
    parser.epilog = ""
    commands = parser.add_subparsers(parser_class=argparse.ArgumentParser)
    for name, one in each_command():
        commands.add_parser(name, parents=[one], add_help=False, help=one.description)
    for action in _actions(parser):
        if action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    return parser


def each_command() -> Iterator[tuple[str, Parser]]:
    """Each named command and its parser."""
    for name in COMMANDS:
        yield name, import_module(module_of(name)).command_line()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for one in dict.fromkeys(action.choices.values()):
                yield from _actions(one)

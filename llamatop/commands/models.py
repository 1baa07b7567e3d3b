"""`llamatop models`: what can be run here, and whether it fits."""

from __future__ import annotations

from msgspec import structs

from llamatop.commands.parser import Parser

_EXAMPLES = """\
  llamatop models
  llamatop models --json
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(prog="llamatop models", examples=_EXAMPLES, description="What can be run here.")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def main(arguments: list[str]) -> int:
    """List the models that can be named; the exit code."""
    args = command_line().parse_args(arguments)
    from llamatop.reports.fit import estimate
    from llamatop.reports.models_text import models_json, models_table
    from llamatop.reports.this_machine import machine
    from llamatop.settings.config import RunConfig
    from llamatop.tui.start.scan import models

    config, here = RunConfig(), machine()
    rows = [
        (choice, estimate(here, choice, structs.replace(config, model=choice.model)))
        for choice in models()
    ]
    print(models_json(rows) if args.json else models_table(rows, config))
    return 0

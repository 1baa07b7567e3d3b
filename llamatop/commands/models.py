"""`llamatop models`: what can be run here."""

from __future__ import annotations

from llamatop.commands.parser import Parser


def main(arguments: list[str]) -> int:
    """List the models that can be named; the exit code."""
    parser = Parser(prog="llamatop models", description="What can be run here.")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args(arguments)
    from llamatop.reports.models import models_json, models_table

    print(models_json() if args.json else models_table())
    return 0

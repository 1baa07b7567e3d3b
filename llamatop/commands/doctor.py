"""`llamatop doctor`: what works here and what does not."""

from __future__ import annotations

from llamatop.commands.parser import Parser

_EXAMPLES = """\
  llamatop doctor
  llamatop doctor --json > doctor.json             # for a bug report
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop doctor", examples=_EXAMPLES, description="What works here and what does not."
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def main(arguments: list[str]) -> int:
    """Look at versions, devices and terminal; the exit code."""
    args = command_line().parse_args(arguments)
    import json

    from llamatop.reports.doctor import doctor_json, doctor_table

    print(json.dumps(doctor_json(), indent=1) if args.json else doctor_table())
    return 0

"""`llamatop doctor`: what works here and what does not."""

from __future__ import annotations

from llamatop.commands.parser import Parser


def main(arguments: list[str]) -> int:
    """Look at versions, devices and terminal; the exit code."""
    parser = Parser(prog="llamatop doctor", description="What works here and what does not.")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args(arguments)
    import json

    from llamatop.reports.doctor import doctor_json, doctor_table

    print(json.dumps(doctor_json(), indent=1) if args.json else doctor_table())
    return 0

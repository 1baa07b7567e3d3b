"""`llamatop attach`: watch running servers without sending a request."""

from __future__ import annotations

import os
import sys

from llamatop.commands.parser import Parser, theme
from llamatop.commands.terminal import need_terminal
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig

_EXAMPLES = """\
  llamatop attach                                  # what answers on this machine
  llamatop attach --url http://127.0.0.1:8000 http://127.0.0.1:8001
  llamatop attach --url http://127.0.0.1:8000 --record --max-time 3600
  llamatop attach --once --json
  llamatop attach --alert 'kv_usage>0.9 for 30s' --cost-per-hour 2.5
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop attach",
        examples=_EXAMPLES,
        description="Watch running servers by what they tell themselves; sends no request.",
    )
    add = parser.add_argument
    add("--url", nargs="+", metavar="U", help="servers (those found on this machine)")
    add("--record", action="store_true", help="no UI, until Ctrl-C or --max-time")
    add("--max-time", type=float, metavar="S", help="seconds to watch")
    add("--out", metavar="FILE", help="the recording (recordings/<time>-….parquet)")
    add("--once", action="store_true", help="two looks a second apart, then end; no recording")
    add("--json", action="store_true", help="one JSON object on stdout")
    add("--alert", action="append", default=[], metavar="'METRIC>X for 30s'",
        help="a limit that colours, rings once and is recorded; may be repeated")  # fmt: skip
    add("--cost-per-hour", type=float, metavar="X", help="what the servers cost an hour, together")
    add("--api-key-env", metavar="NAME", help="the variable that holds the key of a named --url")
    add("--header", action="append", default=[], metavar="NAME=ENVVAR",
        help="a header from a variable, for a named --url")  # fmt: skip
    add("--no-save", action="store_true", help="the UI records nothing until asked")
    add("--theme", type=theme, help="the UI's colours")
    return parser


def main(arguments: list[str]) -> int:
    """Watch servers; the exit code."""
    args = command_line().parse_args(arguments)
    _check_together(args.once, args.record, args.json, args.out)
    config, headers = _config(args)
    if args.once:
        from llamatop.commands.attach_once import once

        return once(config, headers, args.json)
    if args.record:
        from llamatop.commands.attach_record import record

        return record(config, headers, args.out, args.json)
    need_terminal("llamatop attach --record, or --once, runs without one")
    from llamatop.commands.desk import Desk
    from llamatop.commands.watch import watch

    desk = Desk(args.out, save=not args.no_save)
    desk.secrets = headers
    return watch(config, desk, False, args.theme)


def _check_together(once: bool, record: bool, json: bool, out: str | None) -> None:
    """InputError in one line where an option would be passed over."""
    if once and record:
        raise InputError("--once and --record: two looks, or a recording; give one of them")
    if once and out is not None:
        raise InputError("--once records nothing, so --out says nothing; --record has a recording")
    if json and not (once or record):
        raise InputError("--json goes with --once or --record; the screen prints no object")


def _config(args: object) -> tuple[RunConfig, dict[str, dict[str, str]]]:
    """The watch that was asked for, and what is sent to each server; InputError if it cannot be."""
    from llamatop.settings.checks import check_cost
    from llamatop.settings.servers import base_urls, check_secrets, parse_headers, sent_headers

    given = vars(args)
    named = base_urls(given["url"] or ())
    names = parse_headers(given["header"])
    check_cost(given["cost_per_hour"])
    check_secrets(given["api_key_env"], names, os.environ)
    config = RunConfig(
        model="attach",
        engine="attach",
        urls=named or _found(),
        max_time=given["max_time"],
        alerts=tuple(given["alert"]),
        cost_per_hour=given["cost_per_hour"],
        api_key_env=given["api_key_env"] if named else "",
        headers=names,
    )
    sent = sent_headers(config.api_key_env, names, os.environ)
    return config, dict.fromkeys(named, sent)


def _found() -> tuple[str, ...]:
    """The servers that answer here, where none was named."""
    from llamatop.watch.found import PORTS, VARIABLE, addresses, find

    found = find(addresses(os.environ))
    if not found:
        ports = ", ".join(map(str, PORTS))
        raise InputError(
            f"attach: no server answers on the ports {ports} of this machine; name one with --url, "
            f"or set {VARIABLE}"
        )
    for one in found:
        print(f"found {one.identity.name} at {one.url}", file=sys.stderr)
    return tuple(one.url for one in found)

"""`llamatop` and `llamatop --record`: a live run, with the screen or without."""

from __future__ import annotations

import argparse
import gc
import sys
from typing import TYPE_CHECKING

from llamatop.commands.asked import settings_of
from llamatop.commands.run_options import command_line
from llamatop.errors import InputError

if TYPE_CHECKING:
    from llamatop.reports.tally import Tally
    from llamatop.settings.config import RunConfig

EXIT_DOES_NOT_FIT = 3
"""With --check-oom: the smallest level asked for does not fit."""


def main(arguments: list[str]) -> int:
    """Run what was asked for; the exit code."""
    parser = command_line()
    if {"-h", "--help"} & set(arguments):
        from llamatop.recording.default_path import default_folder

        parser.epilog = f"{parser.epilog}Without --out a recording goes to {default_folder()}."
    args = parser.parse_args(arguments)
    config = settings_of(args)
    from llamatop.settings.repeats import MAX_RUNS

    if args.check_oom and config.engine == "server":
        raise InputError("--check-oom: what a server's model takes is not foretold")
    if args.check_oom and config.offload != "none":
        raise InputError("--check-oom and --offload: what an offloaded model takes is not foretold")
    if args.check_oom and config.tp > 1:
        raise InputError("--check-oom and --tp: what several ranks take is not foretold")
    if args.check_oom and not _fits(config):
        return EXIT_DOES_NOT_FIT
    if not 1 <= args.runs <= MAX_RUNS:
        raise InputError(f"--runs {args.runs}: must be between 1 and {MAX_RUNS}")
    if args.record and args.no_save:
        raise InputError("--no-save goes with the UI; a run with --record is always recorded")
    if args.record:
        from llamatop.commands.record import record

        if config.max_time != args.max_time:
            print(f"--until-ci: {config.max_time:g} s per level at most (--max-time)",
                  file=sys.stderr)  # fmt: skip
        _tell_of_requests(config)
        if len(args.serve) > 1:
            return _each_server(args, config)
        return record(
            config,
            args.out,
            args.record_text,
            args.json,
            args.verbose,
            runs=args.runs,
            sinks=_listening(args.listen),
        )
    if args.json:
        raise InputError("--json goes with --record")
    if args.runs != 1:
        raise InputError("--runs goes with --record")
    if len(args.serve) > 1:
        raise InputError("--serve given twice goes with --record; the screen shows one")
    gc.disable()  # until the first paint: what is imported stays, and looking at it takes long
    from llamatop.commands.desk import Desk
    from llamatop.commands.watch import watch

    desk = Desk(args.out, not args.no_save, args.record_text, _listening(args.listen))
    choose = args.model is None and args.engine != "scripted" and not config.urls
    choose = choose and config.serve is None
    return watch(config, desk, choose, args.theme, args.verbose)


def _each_server(args: argparse.Namespace, config: RunConfig) -> int:
    """The plan on each of the servers that are to be started."""
    from llamatop.commands.engines import record_each
    from llamatop.settings.config import with_server

    if args.runs != 1:
        raise InputError("--runs and --serve given twice: choose one")
    configs = [with_server(config, one, args.model) for one in args.serve]
    sinks = _listening(args.listen)
    return record_each(configs, args.out, args.record_text, args.json, args.verbose, sinks=sinks)


def _listening(address: str | None) -> list[Tally]:
    """What counts for Prometheus, shown at an address; nothing where none is asked for."""
    if address is None:
        return []
    from llamatop.reports.openmetrics import serve
    from llamatop.reports.tally import Tally

    tally = Tally()
    print(f"metrics at {serve(tally, address)}", file=sys.stderr)
    return [tally]


def _tell_of_requests(config: RunConfig) -> None:
    """Who gives a rate and a time may not think of the requests that end a level too."""
    unasked = config.requests is None and config.until_ci is None and not config.until_oom
    if unasked and config.rate is not None and config.max_time is not None:
        print("--rate: 8 x concurrency requests per level at most (--requests)", file=sys.stderr)


def _fits(config: RunConfig) -> bool:
    """Whether the smallest level may fit; the verdict is told where it does not."""
    from llamatop.predict.checking import check, place_here
    from llamatop.reports.bar import pen_for
    from llamatop.reports.check import check_text

    found = check(config, place_here(config.device))
    if not found.may_fit:
        print(check_text(found, pen_for(sys.stderr)), file=sys.stderr)
    return found.may_fit

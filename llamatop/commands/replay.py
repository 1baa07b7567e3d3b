"""`llamatop replay FILE`: a recording on the same screen, or as the summary of its run."""

from __future__ import annotations

import sys

from llamatop.commands.parser import Parser
from llamatop.errors import InputError


def main(arguments: list[str]) -> int:
    """Replay a recording; the exit code."""
    parser = Parser(prog="llamatop replay", description="Show a recording as it was.")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="8: eight times")
    parser.add_argument("--json", action="store_true", help="no UI: the summary")
    parser.add_argument("--theme", help="the UI's colours")
    args = parser.parse_args(arguments)
    if not 0 < args.speed <= 1000:
        raise InputError(f"--speed {args.speed:g}: must be more than 0 and at most 1000")
    return _replay(args.file, args.speed, args.json, args.theme)


def _replay(file: str, speed: float, as_json: bool, theme: str | None) -> int:
    from llamatop.commands.show import need_terminal, print_summary, show
    from llamatop.pump import Pump
    from llamatop.recording.reader import open_recording
    from llamatop.replay import Replay, fold
    from llamatop.session import Session

    if not as_json:
        need_terminal("llamatop replay FILE --json prints the summary")
    recording = open_recording(file)
    for notice in recording.notices:
        print(f"llamatop: {notice}", file=sys.stderr)
    if as_json:
        print_summary(True, fold(recording.events), file)
        return 0
    replay = Replay(recording.events, speed=speed)
    return show(Pump(replay, Session()), replay=replay, theme=theme)

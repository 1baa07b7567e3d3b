"""`llamatop replay FILE`: a recording on the same screen, or as the summary of its run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from llamatop.commands.parser import Parser
from llamatop.errors import InputError

if TYPE_CHECKING:
    from llamatop.replay import Replay


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
    from llamatop.commands.show import need_terminal, print_summary
    from llamatop.recording.reader import open_recording
    from llamatop.replay import Replay, fold

    if not as_json:
        need_terminal("llamatop replay FILE --json prints the summary")
    recording = open_recording(file)
    for notice in recording.notices:
        print(f"llamatop: {notice}", file=sys.stderr)
    if as_json:
        print_summary(True, fold(recording.events), file)
        return 0
    return _show(Replay(recording.events, speed=speed), theme)


def _show(replay: Replay, theme: str | None) -> int:
    from llamatop.commands.desk import Desk
    from llamatop.pump import Pump
    from llamatop.session import Session
    from llamatop.tui.app import LlamatopApp, run_app

    desk = Desk()
    app = LlamatopApp(Pump(replay, Session()), replay=replay, launcher=desk, theme=theme)
    try:
        return run_app(app)
    finally:
        desk.close()
        desk.finish(app.stage)

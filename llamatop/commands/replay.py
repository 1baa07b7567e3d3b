"""`llamatop replay FILE`: a recording on the same screen, or as the summary of its run."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from llamatop.commands.parser import Parser, theme
from llamatop.commands.salvaging import add_salvage, salvage_all
from llamatop.commands.terminal import has_terminal
from llamatop.errors import InputError

DIALECTS = (
    "llamatop", "vllm", "aiperf", "guidellm", "mlperf", "inference-perf", "llama-benchy",
)  # fmt: skip
"""As `llamatop.figures.dialects` has them, which `--help` does not wait for."""


_EXAMPLES = """\
  llamatop replay run.parquet
  llamatop replay run.parquet --speed 8
  llamatop replay run.parquet --json
  llamatop replay run.parquet --dialect vllm
  llamatop replay run.parquet --salvage          # of a damaged journal
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop replay", examples=_EXAMPLES, description="Show a recording as it was."
    )
    parser.add_argument("file", metavar="FILE", help="a recording, whole or still being made")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="8: eight times")
    parser.add_argument("--json", action="store_true", help="no UI: the summary")
    parser.add_argument("--dialect", choices=DIALECTS, metavar="D",
        help=f"the figures as another tool defines them: {', '.join(DIALECTS)}")  # fmt: skip
    parser.add_argument("--theme", type=theme, help="the UI's colours")
    add_salvage(parser)
    return parser


def main(arguments: list[str]) -> int:
    """Replay a recording; the exit code."""
    args = command_line().parse_args(arguments)
    if not 0 < args.speed <= 1000:
        raise InputError(f"--speed {args.speed:g}: must be more than 0 and at most 1000")
    if args.salvage:
        salvage_all([args.file])
    if args.json or args.dialect:
        return _print(args.file, args.dialect, args.json)
    if not has_terminal():
        return _print(args.file, None, False, [_NO_SCREEN])
    return _show(args.file, args.speed, args.theme)


_NO_SCREEN = "no terminal for the screen: the summary, as of llamatop show"


def _tell(notices: Sequence[str]) -> None:
    """What there is to say of a recording."""
    for notice in notices:
        print(f"llamatop: {notice}", file=sys.stderr)


def _print(file: str, dialect: str | None, as_json: bool, notices: Sequence[str] = ()) -> int:
    import json

    from llamatop.commands.show import Shown, print_summary
    from llamatop.figures.dialects import as_json as dialect_json
    from llamatop.recording.reader import fold_recording
    from llamatop.reports.dialect_text import dialect_text

    folded = fold_recording(file)
    _tell([*notices, *folded.notices])
    session = folded.session
    if dialect is None:
        print_summary(as_json, Shown(session, file, folded.complete, growing=folded.growing))
    elif as_json:
        print(json.dumps(dialect_json(session, dialect), indent=1))
    else:
        print(dialect_text(session, dialect))
    return 0


def _show(file: str, speed: float, theme: str | None) -> int:
    gc.disable()  # until the first paint, as for a run
    from llamatop.commands.desk import Desk
    from llamatop.commands.opening import opened
    from llamatop.commands.screen import show
    from llamatop.tui.app import LlamatopApp

    stage, notices = opened(file, speed)
    _tell(notices)
    desk = Desk()
    app = LlamatopApp(
        stage.pump,
        replay=stage.replay,
        bookmarks=stage.bookmarks,
        launcher=desk,
        theme=theme,
    )
    return show(app, desk)

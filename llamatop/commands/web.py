"""`llamatop web [FILE]`: the screen in a browser, a program behind each tab."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from llamatop.commands.parser import Parser
from llamatop.errors import InputError
from llamatop.events.sanitize import one_line

if TYPE_CHECKING:
    from llamatop.web.server import WebServer

_ROOT = Path(__file__).resolve().parents[2]

_ANYONE = """\
whoever has this link can do what you can do with llamatop: run models, start programs, read
recordings. It goes over the network unencrypted; ssh -L {port}:127.0.0.1:{port} needs no --host."""


_EXAMPLES = """\
  llamatop web --open
  llamatop web run.parquet
  ssh -L 8642:127.0.0.1:8642 HOST                  # then http://127.0.0.1:8642/ here
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(prog="llamatop web", examples=_EXAMPLES, description="The screen in a browser.")
    parser.add_argument("file", metavar="FILE", nargs="?", help="a recording (the start screen)")
    parser.add_argument("--host", default="127.0.0.1",
        help="where to listen (127.0.0.1); anywhere but there a token is needed")  # fmt: skip
    parser.add_argument("--port", type=int, default=8642, help="0: any that is free (8642)")
    parser.add_argument("--open", action="store_true", help="open the browser")
    return parser


def main(arguments: list[str]) -> int:
    """Serve until a signal ends it; 128 and the signal."""
    args = command_line().parse_args(arguments)
    if not 0 <= args.port <= 65_535:
        raise InputError(f"--port {args.port}: must be between 0 and 65535")
    from llamatop.web.server import WebServer

    server = WebServer(
        program(args.file),
        args.host,
        args.port,
        title=_title(args.file),
        tell=_say,
        follow=program if args.file is None else None,
    )
    return asyncio.run(server.serve_until_ended(lambda: _tell(server, args.open)))


def program(file: str | None) -> list[str]:
    """What runs behind a tab, whatever lies in the current folder."""
    code = f"import sys; sys.path.append({str(_ROOT)!r}); from llamatop.cli import main; "
    call = [sys.executable, "-P", "-c", f"{code}sys.exit(main())"]
    return call if file is None else [*call, "replay", _found(file)]


def _found(file: str) -> str:
    """The file, which is there, as no option is spelled."""
    from llamatop.recording.files import journal_of

    if not os.path.lexists(file) and not journal_of(Path(file)).exists():
        raise InputError(f"{one_line(file)}: no such file")
    return str(Path(file).absolute())


def _title(file: str | None) -> str:
    return "llamatop" if file is None else f"{one_line(Path(file).name)} · llamatop"


def _tell(server: WebServer, opens: bool) -> None:
    """Where it is, on stdout; what that means, on stderr."""
    print(server.link, flush=True)
    if server.gate.token is not None:
        print(_ANYONE.format(port=server.port), file=sys.stderr)
    print("Ctrl-C ends it, and what runs in its tabs", file=sys.stderr)
    if opens:
        threading.Thread(target=webbrowser.open, args=[server.link], daemon=True).start()


def _say(words: str) -> None:
    """Of a program whose tab was closed, as where its recording is."""
    if words:
        print(words, file=sys.stderr)

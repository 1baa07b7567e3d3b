"""The command line: hands what was asked to whoever does it. Imports nothing heavy by itself.

stdout is data, stderr is narration. Exit codes: 0 done, 1 the run failed, 2 bad input in one
line, 128 + n stopped by signal n.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise

from llamatop.commands.names import COMMANDS, module_of
from llamatop.errors import InputError
from llamatop.text.ascii import ASCII

ROOM_BYTES = 1_500_000_000
"""Of address space, most of it never touched: what polars and the threads of this process reserve
before they do anything. An engine process needs several times that."""

FILES = 64
"""Open files at a time: the least that a limit may leave. A short scripted run takes 20."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run llamatop; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _settle_streams()
    try:
        _refuse_little_room()
        code = _dispatch(arguments)
        sys.stdout.flush()
    except InputError as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    except MemoryError:
        _complain("out of memory in llamatop's own process; what was recorded is kept")
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        return _failed(error)
    return code


def _failed(error: OSError) -> int:
    """Tell what the machine lacks; raises what a person cannot mend."""
    if _is_nowhere():
        _complain("the folder that it was started in is gone; go to one that is there")
        return 2
    if error.errno != errno.ENOSPC:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _complain(f"stdout or a file could not be written: {error.strerror}")
    return 1


def _is_nowhere() -> bool:
    """Whether the current folder has been removed."""
    try:
        return not os.path.exists(os.getcwd())  # noqa: PTH109, PTH110  (pathlib for the rest)
    except OSError:
        return True


def _complain(text: str) -> None:
    """One line on stderr, where that can be written to."""
    from llamatop.events.sanitize import one_line  # noqa: PLC0415  (not for the first paint)

    try:
        print(f"llamatop: {one_line(text)}", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _settle_streams() -> None:
    """Streams that are closed give and take nothing; what they cannot spell becomes ASCII."""
    codecs.register_error("spelled", _spelled)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123  (lives as long as the process)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelled")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """What stands for the characters that a stream's encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(ASCII.get(ord(char), "?") for char in text), error.end


def _dispatch(arguments: list[str]) -> int:
    _refuse_empty(arguments)
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    named = bool(arguments) and arguments[0] in COMMANDS
    name = arguments[0] if named else "run"
    command = import_module(module_of(name))
    return int(command.main(arguments[1:] if named else arguments))


def _refuse_little_room() -> None:
    """Libraries that find no room abort without a word, so it is looked at before they come."""
    import resource  # noqa: PLC0415  (not on every system)

    room, _ = resource.getrlimit(resource.RLIMIT_AS)
    if room != resource.RLIM_INFINITY and room < ROOM_BYTES:
        raise InputError(
            f"the address space is limited to {room / 1e6:.0f} MB (ulimit -v), and llamatop "
            f"needs {ROOM_BYTES / 1e6:.0f} MB; raise it, or limit memory by a cgroup instead"
        )
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < FILES:
        raise InputError(
            f"only {files} files may be open at a time (ulimit -n), and llamatop needs {FILES}, "
            "more for many requests at once; raise it"
        )


def _refuse_empty(arguments: list[str]) -> None:
    """An empty value is a variable that was never set, not a wish for the default."""
    for before, word in pairwise(["llamatop", *arguments]):
        option, given, value = word.partition("=")
        if not word or (option.startswith("--") and given and not value):
            raise InputError(
                f"{option or before}: an empty value says nothing; give one, or leave it out"
            )

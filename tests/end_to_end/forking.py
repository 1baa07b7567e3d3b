"""A process that has imported what commands need; for each call a copy of it becomes llamatop.

Reads a call a line, as JSON, and answers with the copy's process id, then with how it ended. A copy
ends as any program does. The start of the interpreter alone is not seen this way.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

IMPORTED = (
    "llamatop.cli",
    "llamatop.commands.record",
    "llamatop.commands.run",
    "llamatop.reports.charts.paper",
    "llamatop.run.live",
    "polars",
)
"""None of them starts a thread, or looks at the environment as Hugging Face's libraries do."""


def main() -> None:
    """Answer calls until stdin ends."""
    for name in IMPORTED:
        import_module(name)
    assert "huggingface_hub" not in sys.modules, "it reads where its cache is when imported"
    gc.freeze()  # else each copy looks for garbage in all that, and so takes a copy of it
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(**json.loads(line))
        _tell(child)
        _tell(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _tell(number: int) -> None:
    os.write(sys.stdout.fileno(), f"{number}\n".encode())


def _become(arguments: list[str], folder: str, env: dict[str, str], out: Any, err: Any) -> NoReturn:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = [os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in (out, err)]
    for number, file in enumerate((nothing, *written)):
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["llamatop", *arguments]
    sys.exit(import_module("llamatop.cli").main(arguments))


if __name__ == "__main__":
    main()

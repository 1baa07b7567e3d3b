"""The program itself, as a person starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from llamatop.hardware.measured import Measured
from llamatop.hardware.roofs import cached_machine, keep_machine
from llamatop.predict.prepare import DTYPES
from tests.known import keep_timings

from .forks import SECONDS, Done, Forks

LLAMATOP = (sys.executable, "-m", "llamatop")


class Llamatop:
    """Runs llamatop in an empty folder, without a network's help."""

    def __init__(self, folder: Path, cache: Path, forks: Forks) -> None:
        self.folder = folder
        self._forks = forks
        self.env = {
            **os.environ,
            "HF_HOME": str(folder / "hf"),
            "XDG_DATA_HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "LLAMATOP_CACHE": str(cache),
        }

    def __call__(self, *arguments: str, **env: str) -> Done:
        """A call to its end: of a copy, unless an interpreter would start otherwise there."""
        if any(_at_start({**self.env, **env})):
            with self.start(*arguments, **env) as process:
                out, err = process.communicate(timeout=SECONDS)
            return Done(process.returncode, out, err)
        return self._forks(arguments, self.folder, {**self.env, **env})

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Started and left running."""
        return subprocess.Popen(
            [*LLAMATOP, *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )


def _at_start(env: dict[str, str]) -> Iterator[bool]:
    """Whether a variable that only a starting interpreter reads is another one here."""
    for name, value in env.items():
        if name.startswith(("PYTHON", "LC_", "LANG")):
            yield value != os.environ.get(name)


ROOFS = Measured("a CPU", "", 2, 20e9, 10e9, 15e9, 15e9, 200e9, "")
"""As of some machine: to measure this one takes ten seconds of its processor."""


@pytest.fixture
def llamatop(tmp_path: Path, of_all_workers: Path, forks: Forks) -> Llamatop:
    """What one call has learnt of this machine the next knows, also another worker's."""
    cache = of_all_workers / "learnt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLAMATOP_CACHE", str(cache))
        keep_timings()
        for dtype in DTYPES:
            if cached_machine("cpu", dtype) is None:
                keep_machine("cpu", dtype, msgspec.structs.replace(ROOFS, dtype=dtype))
    return Llamatop(tmp_path, cache, forks)


@pytest.fixture
def foretold(
    llamatop: Llamatop, traced_here: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """What such a run is told of its model before it starts is known already.

    It was traced in this process, where a child of the run would import torch anew, and come too
    late for the first level where much else runs.
    """
    from llamatop.commands.asked import config_of  # noqa: PLC0415  (for those who ask)
    from llamatop.predict.prepare import prepare  # noqa: PLC0415

    def trace(*arguments: str) -> None:
        with monkeypatch.context() as patch:
            patch.setenv("LLAMATOP_CACHE", llamatop.env["LLAMATOP_CACHE"])
            patch.chdir(llamatop.folder)
            prepare(config_of([*arguments]), lambda: 0)

    return trace

"""A tensor parallel rank after the first: loads its part, and computes what rank 0 asks for.

It chooses nothing, keeps no tokens and tells nobody anything. It ends when its stdin does, whatever
it is doing: rank 0, which holds the other end, is then gone.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, BinaryIO

import msgspec
import torch
from transformers.generation.streamers import BaseStreamer

from llamatop.engines import ranks
from llamatop.engines.loading import Loaded, load
from llamatop.engines.ranks import Ranks
from llamatop.engines.resolve import resolve
from llamatop.engines.torch_engine import Stopped
from llamatop.engines.wave import Wave
from llamatop.events.wire import Load, claim_stdio, read_command
from llamatop.hardware.memory import volunteer_for_oom


class _Following(BaseStreamer):  # type: ignore[misc]
    """Goes on after each step, or leaves, as rank 0 does."""

    def __init__(self, group: Ranks) -> None:
        self._group = group
        self._begun = False  # the first call brings the prompts

    def put(self, _: Any) -> None:
        """One step is done."""
        if self._begun and not self._group.goes_on():
            raise Stopped
        self._begun = True

    def end(self) -> None:
        """Nothing is held back."""


def serve(loaded: Loaded, group: Ranks) -> None:
    """Compute wave after wave; returns never."""
    while True:
        wave: Wave = group.send(None)
        inputs = wave.settle(loaded.device)
        try:
            with torch.inference_mode():
                loaded.model.generate(
                    **inputs, max_new_tokens=wave.tokens, streamer=_Following(group)
                )
        except Stopped:
            continue


def _leash(commands: BinaryIO) -> None:
    while read_command(commands) is not None:
        pass
    os._exit(0)


def _silent(stage: str, done: int, total: int | None) -> None:
    """Rank 0 tells how far loading is."""


def main() -> None:
    """Follow until stdin ends; an error ends this process, and so all ranks."""
    commands, _ = claim_stdio()
    volunteer_for_oom()
    command = read_command(commands)
    if not isinstance(command, Load):
        os._exit(0)
    threading.Thread(target=_leash, args=(commands,), daemon=True).start()
    try:
        config = msgspec.structs.replace(command.config, prompts=None)
        loaded = load(config, resolve(config, _silent), _silent, ranks.follow)
        assert loaded.ranks is not None
        serve(loaded, loaded.ranks)
    except BaseException as error:
        sys.stderr.write(" ".join(f"\n{type(error).__name__}: {error}".split()) + "\n")
        sys.stderr.flush()
        os._exit(ranks.EXIT_LOST)

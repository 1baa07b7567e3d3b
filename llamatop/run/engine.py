"""The engine process of a run: what it is started with, how it is ended, and why it was lost."""

from __future__ import annotations

from llamatop.engines import offload_folder
from llamatop.events.kinds import Outcome
from llamatop.events.wire import Warm
from llamatop.hardware.memory import oom_kills
from llamatop.run.children import Child
from llamatop.run.losses import memory_loss
from llamatop.settings.config import RunConfig

LAST_LINES = 20
"""What an engine printed last, in which the reason for its end is looked for."""

_MAIN = "llamatop.engines.host:main()"

_QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYTHONUNBUFFERED": "1",
}


def start_engine() -> Child:
    """An engine process, with what each finds in its environment."""
    from llamatop.predict.memory import ENGINE_ENV  # noqa: PLC0415  (not for the first paint)

    return Child(_MAIN, {**_QUIET, **ENGINE_ENV})


def warm_engine() -> Child:
    """An engine process that gets ready for whatever model a person will choose."""
    warm = start_engine()
    warm.tell(Warm())
    return warm


class Ends:
    """How the engines of one run ended."""

    def __init__(self) -> None:
        self._oom_kills = oom_kills()
        self.printed: list[str] = []
        """What the libraries of engines that have ended printed."""

    def kill(self, child: Child) -> None:
        """End a process now, and whatever it left."""
        child.kill()
        self._clear(child)

    def why_lost(self, child: Child, config: RunConfig, loading: bool) -> tuple[Outcome, str]:
        """Of one that is gone by itself: whether memory was the reason, and the reason in a line.

        `loading`: it never came to a level.
        """
        reason, kills = child.reason(), oom_kills()
        printed = self._clear(child)
        ended = memory_loss(config, reason, printed[-LAST_LINES:], loading)
        if child.exit_code == -9 and kills is not None and kills != self._oom_kills:
            ended = "out of memory: the kernel ended the engine"
        self._oom_kills = kills
        return ("failed", reason) if ended is None else ("oom", ended)

    def _clear(self, child: Child) -> list[str]:
        printed = child.printed()
        self.printed += printed
        offload_folder.remove(child.pid)
        return printed

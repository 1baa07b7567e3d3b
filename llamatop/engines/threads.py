"""One `generate()` for each request, each in a thread of its own, as a naive server would."""

from __future__ import annotations

import threading
from typing import Any

import torch
from transformers.generation.streamers import BaseStreamer

from llamatop.engines.base import EngineMemoryError, Job, WorkLike
from llamatop.engines.torch_engine import Short, Stopped, TorchEngine, raise_if_memory

_LOOK_SECONDS = 0.05
"""How often a raised concurrency is looked for."""


class ThreadsEngine(TorchEngine):
    """As many threads as requests are wanted in flight; more than that wait in `work.take`."""

    name = "threads"

    def serve(self, work: WorkLike) -> None:
        """Serve until no worker has anything left to do."""
        workers = _Workers(self, work)
        try:
            workers.grow(work.concurrency)
            while workers.busy():
                workers.grow(work.concurrency)
        except RuntimeError as error:
            raise_if_memory(error)
            raise
        if workers.memory_error is not None:
            raise workers.memory_error


class _Workers:
    """The threads of one `serve`."""

    def __init__(self, engine: TorchEngine, work: WorkLike) -> None:
        self.engine = engine
        self.work = work
        self.memory_error: EngineMemoryError | None = None
        """Set when memory has ended: then everyone leaves."""
        self._threads: list[threading.Thread] = []

    def grow(self, size: int) -> None:
        """Start threads until there are so many; those too many wait for work meanwhile."""
        while len(self._threads) < size:
            thread = threading.Thread(target=self._run, name="generate", daemon=True)
            thread.start()
            self._threads.append(thread)

    def busy(self) -> bool:
        """Wait a little; False when all have left, or memory has ended."""
        alive = [thread for thread in self._threads if thread.is_alive()]
        if alive:
            alive[0].join(_LOOK_SECONDS)
        return bool(alive) and self.memory_error is None

    def _run(self) -> None:
        """Take one job after another and generate it."""
        while job := self.work.take():
            try:
                self._generate(job)
                self.work.finish(job)
            except Stopped:
                self.work.drop(job)
            except EngineMemoryError as error:
                self.memory_error = error
            except Exception as error:
                self.work.fail(job, error)
            if self.memory_error is not None:
                return

    def _generate(self, job: Job) -> None:
        prompts = self.engine.prompts([job])
        stream = _Stream(self, job)
        try:
            with torch.inference_mode():
                self.engine.loaded.model.generate(
                    **prompts,
                    **self.engine.cache(prompts, job.max_tokens),
                    max_new_tokens=job.max_tokens,
                    streamer=stream,
                )
        except Stopped:
            raise
        except Exception as error:
            raise_if_memory(error)
            raise
        if stream.left:
            raise Short


class _Stream(BaseStreamer):  # type: ignore[misc]
    """Hands on one request's tokens."""

    def __init__(self, workers: _Workers, job: Job) -> None:
        self._workers = workers
        self._job = job
        self._prompt_seen = False
        self.left = job.max_tokens
        """Tokens to come."""

    def put(self, value: Any) -> None:
        """`value` has the shape (1,); in the first call (1, prompt tokens)."""
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self.left -= 1
        if self._workers.memory_error or not self._workers.work.emit(self._job, value.tolist()):
            raise Stopped

    def end(self) -> None:
        """Nothing is held back."""

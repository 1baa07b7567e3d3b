"""Static batches: a wave of requests goes through one `generate()` and ends together.

The quickest way on a CPU. A change of concurrency or a cancel takes effect with the next wave,
which comes at once where nobody waits for this one any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers.generation.streamers import BaseStreamer

from llamatop.engines.base import Job, WorkLike
from llamatop.engines.ranks import Ranks
from llamatop.engines.torch_engine import Short, Stopped, TorchEngine, raise_if_memory
from llamatop.engines.wave import Wave


class BatchEngine(TorchEngine):
    """One `generate()` for each wave."""

    name = "batch"

    def serve(self, work: WorkLike) -> None:
        """Serve wave after wave; an error ends its wave only, unless memory has ended."""
        while jobs := work.take_wave():
            group = self.loaded.ranks
            wave = _Wave(work, jobs) if group is None else _LeadingWave(work, jobs, group)
            try:
                self._generate(jobs, wave)
            except Stopped:
                for job in wave.left:
                    work.drop(job)
            except Exception as error:
                if self.loaded.ranks is not None:
                    self.loaded.ranks.give_up(error)
                raise_if_memory(error)
                for job in wave.left:
                    work.fail(job, error)

    def _generate(self, jobs: list[Job], wave: _Wave) -> None:
        prompts = self.prompts(jobs)
        longest = max(job.max_tokens for job in jobs)
        layers = self.layers()
        if self.loaded.ranks is not None:
            layers = ()  # within a step no rank may leave: the others would wait for it
            self.loaded.ranks.send(Wave.of(prompts, longest, self.loaded.device))
        with torch.inference_mode(), wave.looking_out(layers):
            self.loaded.model.generate(
                **prompts, **self.cache(prompts, longest), max_new_tokens=longest, streamer=wave
            )
        if wave.left:
            raise Short


class _Wave(BaseStreamer):  # type: ignore[misc]
    """Gets the new tokens of the whole batch at each step and hands them on."""

    def __init__(self, work: WorkLike, jobs: list[Job]) -> None:
        self.left = jobs
        """Jobs that have tokens to come."""
        self._rows: list[int] | None = None
        """The rows of those in the batch; None: all."""
        self._work = work
        self._step = -1  # the first call brings the prompts
        self._next_end = min(job.max_tokens for job in jobs)
        self._hooks: list[Any] = []

    @contextmanager
    def looking_out(self, layers: Iterable[nn.Module]) -> Iterator[None]:
        """Until the first token, look before each layer whether anyone still waits for it.

        A long prefill can be left that way, and decoding does not pay for it.
        """
        self._hooks = [layer.register_forward_pre_hook(self._look) for layer in layers]
        try:
            yield
        finally:
            self._unhook()

    def put(self, value: Any) -> None:
        """`value` has the shape (requests,); in the very first call (requests, prompt tokens)."""
        self._step += 1
        if self._step == 0:
            return
        if self._step == 1:
            self._unhook()
        self._look()
        tokens = value.tolist()
        if self._rows is None:
            del tokens[len(self.left) :]  # of copies that filled the batch up
        else:
            tokens = [tokens[row] for row in self._rows]
        if len(self._work.emit_step(self.left, tokens)) == len(self.left):
            raise Stopped
        if self._step == self._next_end:
            self._finish()

    def end(self) -> None:
        """Nothing is held back."""

    def _look(self, *_: Any) -> None:
        if self._work.stopping:
            raise Stopped

    def _unhook(self) -> None:
        while self._hooks:
            self._hooks.pop().remove()

    def _finish(self) -> None:
        """Finish the jobs whose last token this was; the others go on."""
        rows = self._rows or range(len(self.left))
        going = [(row, job) for row, job in zip(rows, self.left, strict=True) if self._goes_on(job)]
        for job in self.left:
            if not self._goes_on(job):
                self._work.finish(job)
        self._rows, self.left = [row for row, _ in going], [job for _, job in going]
        self._next_end = min((job.max_tokens for job in self.left), default=0)

    def _goes_on(self, job: Job) -> bool:
        return job.max_tokens > self._step


class _LeadingWave(_Wave):
    """The same where other ranks compute it too, and go on or leave as this one does."""

    def __init__(self, work: WorkLike, jobs: list[Job], group: Ranks) -> None:
        super().__init__(work, jobs)
        self._group = group

    def put(self, value: Any) -> None:
        """As above, and tells the others after each step."""
        try:
            super().put(value)
        except Stopped:
            self._group.goes_on(False)
            raise
        if self._step:
            self._group.goes_on()

"""Continuous batching by transformers: requests join and leave the running batch at any step.

Tokens are told by the thread that made them, and a request that ends is followed by the next
one in the very next step.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llamatop.engines.base import Job, WorkLike
from llamatop.engines.devices import is_memory_error
from llamatop.engines.loading import Loaded
from llamatop.engines.paging import Manager, Pool, can_be_paged
from llamatop.engines.prompts import Prompts
from llamatop.engines.torch_engine import TorchEngine, raise_if_memory
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig

PREFIXES_KEPT = 8
"""So many shared beginnings have pages of their own; more would take memory that few have."""

_LOOK_SECONDS = 0.05
"""How often a wait looks whether it still makes sense."""
_STOPPED = "continuous batching has stopped"


class ContinuousEngine(TorchEngine):
    """Keeps a manager, with pages for the concurrency wanted, from one `serve` to the next."""

    name = "continuous"

    def __init__(self, loaded: Loaded, config: RunConfig, reason: str = "") -> None:
        """Pages are sized for the prompts and outputs of `config`, when `serve` begins.

        Raises InputError for a model with attention that cannot be paged.
        """
        super().__init__(loaded, config, reason)
        if not can_be_paged(loaded.model):
            raise InputError(
                f"--engine continuous: transformers cannot page the attention of {config.model}; "
                "use --engine batch"
            )
        self._manager: Manager | None = None
        self._names = itertools.count()

    def serve(self, work: WorkLike) -> None:
        """Serve until nothing is in flight; a raised concurrency first waits for more pages."""
        flights = _Flights(work, self.loaded.prompts, self._names)
        self._prepare(work.concurrency, flights)
        while job := work.take():
            if flights.memory_error is not None:
                break
            if not self._has_room(work.concurrency) or not flights.submit(job):
                self._renew(work.concurrency, flights)
                if not flights.submit(job):
                    work.fail(job, _STOPPED)
        flights.settle()
        if flights.memory_error is not None:
            self.close()
            raise_if_memory(flights.memory_error)

    def close(self) -> None:
        """Give the pages back; the next `serve` takes new ones."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def _prepare(self, requests: int, flights: _Flights) -> None:
        """A manager with pages for so many requests and not far more."""
        manager = self._manager
        wasteful = manager is not None and manager.pool.requests > max(2 * requests, 4)
        if wasteful or not self._has_room(requests):
            self.close()
            self._open(requests)
        flights.use(self._manager)

    def _renew(self, requests: int, flights: _Flights) -> None:
        """A new manager when the old one is too small or dead, after what is in flight has ended.

        It has pages for a power of two, so that a concurrency raised step by step waits seldom.
        """
        flights.settle()
        self.close()
        self._open(1 << (requests - 1).bit_length())
        flights.use(self._manager)

    def _has_room(self, requests: int) -> bool:
        manager = self._manager
        return manager is not None and manager.alive and requests <= manager.pool.requests

    def _open(self, requests: int) -> None:
        config = self.config
        pool = Pool(
            requests,
            config.prompt_toks,
            config.prompt_toks + config.gen_toks,
            shared_tokens(config),
        )
        try:
            self._manager = Manager(self.loaded.model, pool, config.seed)
        except Exception as error:
            raise_if_memory(error)
            raise


def shared_tokens(config: RunConfig) -> int:
    """Tokens of shared beginnings that are worth their pages; 0 where nothing is shared."""
    if (config.turns or 1) > 1 and not config.prefix_toks:
        return 1  # a history is in its own conversation's pages, as long as these are not needed
    return min(config.prefixes, PREFIXES_KEPT) * config.prefix_toks


@dataclass(slots=True)
class _Flight:
    job: Job
    emitted: int = 0


class _Flights:
    """The requests that the manager has; told of by its thread, submitted by any."""

    def __init__(self, work: WorkLike, prompts: Prompts, names: itertools.count[int]) -> None:
        self.memory_error: BaseException | None = None
        """Set when memory has ended."""
        self._work = work
        self._prompts = prompts
        self._names = names
        self._manager: Any = None
        self._flights: dict[str, _Flight] = {}
        self._changed = threading.Event()
        self._settling = False
        self._turn = threading.RLock()
        """Held while a step is told, and while the manager changes."""

    def use(self, manager: Manager | None) -> None:
        """Submit to this manager from now on; nothing is in flight."""
        with self._turn:
            self._manager = manager
            self._settling = False
        if manager is not None:
            manager.receiver = self

    def submit(self, job: Job) -> bool:
        """Hand a job to the manager; False if it takes none any more."""
        name = str(next(self._names))
        self._flights[name] = _Flight(job)
        prompt = self._prompts.of(job)
        taken: bool = self._manager.submit(name, prompt, job.max_tokens)
        return taken or self._flights.pop(name, None) is None

    def settle(self) -> None:
        """Wait until nothing is in flight; what cannot end any more is dropped or failed.

        From here on a request that ends is followed by no other, until `use`.
        """
        with self._turn:
            self._settling = True
        while self._flights:
            if self._work.stopping:
                self._cancel_all()
            elif not self._manager.alive:
                self.lost(self._manager)
            else:
                self._changed.wait(_LOOK_SECONDS)
                self._changed.clear()

    # Told by the manager

    def step(self, outputs: Sequence[Any]) -> None:
        """Emit one step's tokens, end what is complete, and start what may follow."""
        with self._turn:
            ended = [output.request_id for output in outputs if self._told(output)]
            if ended and not self._settling:
                self._follow()

    def reused(self, name: str, tokens: int) -> None:
        """Tell what the cache knew of a prompt."""
        if (flight := self._flights.get(name)) is not None:
            self._work.reused(flight.job, tokens)

    def failed(self, name: str, error: BaseException) -> None:
        """Fail one request."""
        if is_memory_error(error):
            self.memory_error = error
        self._end(name, lambda job: self._work.fail(job, error))

    def lost(self, manager: Manager) -> None:
        """Fail everything that this manager had: its thread has ended."""
        with self._turn:
            if manager is self._manager:
                for name in list(self._flights):
                    self._end(name, lambda job: self._work.fail(job, _STOPPED))

    def _follow(self) -> None:
        """Start what may start, in the thread that makes the next step."""
        while len(self._flights) < self._manager.pool.requests:
            job = self._work.take(wait=False)
            if job is None:
                return
            if not self.submit(job):
                self._work.fail(job, _STOPPED)

    def _told(self, output: Any) -> bool:
        """Emit what is new of one request; True if it has ended."""
        flight = self._flights.get(output.request_id)
        if flight is None:
            return False
        new = output.generated_tokens[flight.emitted :]
        flight.emitted += len(new)
        if new and not self._work.emit(flight.job, new):
            self._manager.cancel(output.request_id)
            return self._end(output.request_id, self._work.drop)
        if output.is_finished():
            return self._end(output.request_id, self._work.finish)
        return False

    def _cancel_all(self) -> None:
        for name in list(self._flights):
            self._manager.cancel(name)
            self._end(name, self._work.drop)

    def _end(self, name: str, how: Callable[[Job], None]) -> bool:
        """Let go of a request, once, whoever comes first."""
        flight = self._flights.pop(name, None)
        if flight is not None:
            how(flight.job)
            self._changed.set()
        return flight is not None

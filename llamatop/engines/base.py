"""What an engine is: something that serves the requests of a level in its own worker threads.

An engine pulls jobs from a `Work` (see `work`), which decides when one may start, and tells it
what became of each. It knows no events, no levels and no files; it never formats anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from llamatop.events.kinds import ModelLoaded


class GivenSize(NamedTuple):
    """Of a prompt in a file."""

    prompt_tokens: int
    max_tokens: int | None = None
    """How many to generate; None: the file does not say."""
    at: float | None = None
    """When it arrived, by the file's own clock (s)."""
    later: tuple[int, ...] = ()
    """Tokens that each turn after the first adds to its conversation, answers left out."""

    def longest(self, usual: int) -> int:
        """Tokens of the longest prompt of its conversation; `usual`: an answer's, where the file
        does not say."""
        answers = len(self.later) * (self.max_tokens or usual)
        return self.prompt_tokens + sum(self.later) + answers


@dataclass(frozen=True, slots=True)
class Job:
    """One request as its engine sees it."""

    id: int
    prompt_tokens: int
    max_tokens: int
    """Output tokens, exactly so many: an end-of-text token does not stop it."""
    warmup: bool = False
    given: int | None = None
    """Its prompt's place in the file of prompts; None: made up."""
    due: int = 0
    """When it could start: it had been scheduled, and its slot was free (ns)."""
    prefix: int | None = None
    """Which of the shared beginnings it has; None: none."""
    own_tokens: int = 0
    """Of `prompt_tokens` those of its own text, after the shared beginning and the history."""
    history: tuple[Exchange, ...] = ()
    """The turns of its conversation that went before."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn of a conversation that has been answered."""

    job: Job
    ids: tuple[int, ...]
    """What was generated, where token ids are known."""
    text: str
    """The same, where a server sends text."""


class WorkLike(Protocol):
    """The side of `work.Work` that engines use. All of it may be called from any thread."""

    @property
    def stopping(self) -> bool:
        """The level ends now: drop what is in flight and return from `serve` soon."""

    @property
    def concurrency(self) -> int:
        """Requests wanted in flight; may change while the level runs."""

    def take(self, wait: bool = True) -> Job | None:
        """The next request to start, or None.

        Waits while the level is full or paused; None then means that no more will come.
        With `wait=False` None may also mean: none at the moment.
        """

    def take_wave(self) -> list[Job]:
        """Wait until nothing is in flight, then take up to `concurrency` jobs; empty: the end."""

    def emit(self, job: Job, tokens: list[int]) -> bool:
        """New token ids of one job; False when it was taken back (then call `drop`)."""

    def emit_step(self, jobs: list[Job], tokens: list[int]) -> Sequence[Job]:
        """One new token id for each job, all at this moment; those taken back, passed over."""

    def emit_read(self, request: int, time: int, count: int, text: str | None) -> None:
        """So many new tokens of a request, read at `time` (ns), where no ids are known.

        Those of one that was taken back are passed over.
        """

    def listen(self, changed: Callable[[], None] | None) -> None:
        """Call `changed` whenever a request was taken back or may start, or the level ends.

        For an engine that waits for other things too, and cannot wait in `take`. It is called
        from any thread, with a lock held: it may only wake somebody up.
        """

    @property
    def over(self) -> bool:
        """No more requests will start."""

    @property
    def look_at(self) -> int | None:
        """When an arrival or the level's end has to be looked at (ns); None: nothing is due."""

    @property
    def taken_back(self) -> Sequence[int]:
        """Requests in flight that are no longer wanted."""

    def reused(self, job: Job, tokens: int) -> None:
        """So many tokens of its prompt need not be computed: the engine had them."""

    def finish(self, job: Job, reason: str = "length") -> None:
        """All tokens of the job are out; its slot is free."""

    def fail(self, job: Job, error: BaseException | str) -> None:
        """The job ended by an error; its slot is free."""

    def drop(self, job: Job) -> None:
        """The job was cancelled or the level is stopping; its slot is free."""


class Detokenizer(Protocol):
    """Turns the token ids of many requests to text, a piece at a time. Used by one thread."""

    def feed(self, request: int, tokens: list[int]) -> str:
        """The text that these ids complete; what is still half a character waits."""

    def end(self, request: int) -> None:
        """Forget a request that has ended."""


class Engine(Protocol):
    """A loaded model that can serve."""

    @property
    def facts(self) -> ModelLoaded:
        """What was loaded (its `time` is of no meaning here)."""

    @property
    def detokenizer(self) -> Detokenizer | None:
        """Makes this model's tokens text; None: they come as text."""

    @property
    def given(self) -> Sequence[GivenSize]:
        """The sizes of the prompts of the file that was asked for; empty without one."""

    @property
    def followers(self) -> Sequence[int]:
        """Processes beside this one that hold parts of the model, by their ids; mostly none."""

    def serve(self, work: WorkLike) -> None:
        """Serve `work` until it ends, and return when nothing is in flight any more.

        An error of one request goes to `work.fail`. What this raises ends the level.
        """

    def allocated(self) -> list[tuple[int, int, int]]:
        """(device, allocated, reserved) in bytes of each accelerator used; none on a CPU."""

    def reset_peaks(self) -> None:
        """Start measuring the device peak anew."""

    def device_peak(self) -> int | None:
        """Most bytes allocated on the accelerators since `reset_peaks`; None without one."""


class EngineMemoryError(Exception):
    """Memory ended, on the host or on a device; ends the level with outcome `oom`."""


class LevelError(Exception):
    """Ends the level with outcome `failed`; told as it is."""


class Progress(Protocol):
    """Called while a model loads."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """`stage` is as in `ModelLoading`; sizes in bytes."""

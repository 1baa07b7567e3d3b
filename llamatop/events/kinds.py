"""The facts of a run. Everything llamatop shows is folded from these, and nothing else is stored.

An event is small, frozen and true when it happens: never a rate, a percentile or a verdict.
`time` is integer nanoseconds of the run's one clock (see `clock`). Unknown is None, never 0.
A stored kind or field that this version does not know is ignored; a new field needs a default.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from llamatop.settings.config import RunConfig

TokensBy = Literal["token_ids", "continuous", "timings", "usage", "estimate"]
"""How the tokens of a server's answer are counted, the surest first."""

Stage = Literal["connected", "status", "event", "answer", "end"]
"""What a request to a server has reached: a connection, the status line, its first event, its first
token that is not reasoning, the end of its stream."""

Standing = Literal["up", "starting", "down", "no metrics", "stale"]
"""How a watched server stands. `stale`: what it tells could not be read, the values are old."""

MOST_TOKENS = 1 << 20
"""Of one emission: a server that does not count as it sends may tell a whole answer at once."""

Outcome = Literal["ok", "oom", "failed", "stopped"]

EndedBy = Literal["", "requests", "time", "interval", "concurrency"]
"""What a level had enough of; or `concurrency`: a person changed that, and another level began.
Empty: something else ended it, or an older version did not say."""


class Event(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A fact with the time at which it was so."""

    time: int


class HostFacts(msgspec.Struct, frozen=True):
    """The machine, as far as a reader of the figures needs it. Sizes in bytes."""

    system: str
    cpu: str
    cores: int | None
    memory_bytes: int | None
    python: str
    bfloat16: bool | None = None
    """Whether the processor multiplies bfloat16 itself; None: not known."""


class RunStarted(Event, frozen=True):
    """The first event: what was asked, where, and by which version."""

    config: RunConfig
    host: HostFacts
    version: str
    started_at: str
    """UTC time of day, ISO 8601; the only one in a recording."""
    origin: int = 0
    """`time.monotonic_ns()` of the run's time 0."""
    joined: int = 0
    """When the recording began (ns), if it was started in the middle of the run; see `preface`."""


class RunImported(Event, frozen=True, kw_only=True):
    """The run was another tool's: its result file was read afterwards. Comes after `RunStarted`."""

    tool: str
    """By the name of its dialect where there is one: `vllm`, `aiperf`, `guidellm`, …"""
    title: str
    """As its makers call it."""
    version: str | None
    file: str
    """Its name, without a folder."""
    clock: str
    """What its times are counted by, and whether the time of day is known."""
    notes: tuple[str, ...] = ()
    """What the file does not hold, and the traps that apply to it; a sentence each."""


class LevelReported(Event, frozen=True, kw_only=True):
    """What the tool that ran a level printed of it itself: seconds, tokens, by the summary's names.

    Not ours, and not what was measured anew from the times.
    """

    level: int
    figures: dict[str, float]


class MachineMeasured(Event, frozen=True):
    """This machine's roofs: bandwidth in bytes/s, arithmetic in FLOP/s of `dtype`."""

    device: str
    dtype: str
    bandwidth: float
    flops: float


class ModelTraced(Event, frozen=True, kw_only=True):
    """What a step of the model reads and computes, from its architecture; see `roofline.Reads`."""

    parameters: int
    active_parameters: int
    read_bytes: int
    expert_bytes: int
    experts: int
    experts_per_token: int
    attention_width: int
    caches: tuple[tuple[int, int | None], ...]
    """(bytes per token, window in tokens) of the layers of each kind together."""
    kv_bytes_per_token: int


class MemoryPredicted(Event, frozen=True):
    """The predicted peak of a level in bytes, with its parts by name."""

    level: int
    host_bytes: int | None
    device_bytes: int | None
    parts: dict[str, int] = {}


class MemoryUntold(Event, frozen=True):
    """Why the peaks of this run are not foretold, or not before its first level."""

    reason: str


class ModelLoading(Event, frozen=True):
    """Progress of a load: bytes done of total; `stage` is `imports`, `download`, `weights`,
    `tuning` or `packing`."""

    stage: str
    done: int
    total: int | None


class ModelLoaded(Event, frozen=True, kw_only=True):
    """The model as it stands in the engine; sizes in bytes."""

    engine: str
    engine_reason: str
    """Why this engine, where `auto` chose it; else empty."""
    device: str
    device_name: str
    dtype: str
    weights: str
    """`trained` or `random`."""
    parameters: int | None
    """Tied weights counted once."""
    weights_bytes: int | None
    layers: int | None = None
    """Layers kept."""
    whole_layers: int | None = None
    """Layers of the whole model; more than `layers` in a slice."""
    context: int | None = None
    """Longest prompt and output together, in tokens."""
    threads: int | None = None
    """Threads of one operation on the CPU."""
    versions: dict[str, str] = {}
    """Of the libraries that generate."""
    quantization: str = ""
    """How its matrices are stored, where not in `dtype`: `int8`, `int4`, or a checkpoint's own
    method; empty: they are not quantised."""
    offload: str = ""
    """Where its weights lie while they are not computed with: `cpu` or `disk`; empty: they stay on
    the device."""
    tp: int = 1
    """Ranks that share it; `weights_bytes` is then what all of them hold."""
    layout: str = ""
    """`packed`: matrices lie as the processor's kernels read them; empty: as transformers has
    them."""
    memory_limit: int | None = None
    """Bytes to which the engine process limits itself, so that it meets its end alone."""


class EngineTuned(Event, frozen=True, kw_only=True):
    """What was measured to be quickest for this model here, and was done."""

    layout: str
    """Of its matrices: `packed` or `plain`."""
    packed: int
    """Linear layers that are packed, of `layers` that can be."""
    layers: int
    gains: tuple[tuple[int, float], ...] = ()
    """By requests at once: how much quicker a decode step is than with plain ones."""
    measuring_seconds: float
    """What measuring took; next to nothing where all was known from before."""
    packing_seconds: float
    reason: str = ""
    """Why layers stay plain."""


class EngineCompiled(Event, frozen=True):
    """A step is being compiled, has been, or cannot be: then it goes on uncompiled."""

    requests: int
    """At once, of the graph; 0: of none."""
    tokens: int
    """That the cache of each has room for."""
    seconds: float | None
    """What it took; None: it begins, or cannot be."""
    reason: str
    """Why it cannot be; empty: it can."""


class ModelRefused(Event, frozen=True):
    """The model or the settings cannot run: bad input, told in one line."""

    error: str


class EngineWarmed(Event, frozen=True):
    """Resident bytes of the engine process after its first warm-up generation."""

    resident_bytes: int | None


class LevelStarted(Event, frozen=True):
    """A level begins, warm-up first; `requests` measured ones follow, None: until stopped."""

    level: int
    concurrency: int
    requests: int | None
    ended_before: int = 0
    """Measured requests that had ended before the recording joined the level."""
    place: int = 0
    """Which level of the plan that runs now, from 1; 0: an older version did not say."""
    places: int = 0
    """How many levels that plan has; without end where memory is to end."""
    rate: float | None = None
    """Arrivals a second, where each level has its own."""


class LevelEnded(Event, frozen=True):
    """How a level ended; the peaks are the engine process's own, in bytes."""

    level: int
    outcome: Outcome
    host_peak_bytes: int | None = None
    device_peak_bytes: int | None = None
    error: str = ""
    ended_by: EndedBy = ""
    enough_at: int | None = None
    """With `interval`: when its throughput was known well enough; no request began after."""


class RequestQueued(Event, frozen=True):
    """A request should start now: its slot is free, its arrival is due."""

    request: int
    level: int
    prompt_tokens: int | None
    """None: the tool whose file this comes from does not tell."""
    max_tokens: int | None
    warmup: bool = False
    conversation: int | None = None
    """The request with which its conversation began; None: it belongs to none."""
    turn: int | None = None
    """Which request of the conversation it is, from 1."""


class PromptReused(Event, frozen=True):
    """So many tokens of a request's prompt had been computed before, as an engine here tells."""

    request: int
    tokens: int


class RequestAdmitted(Event, frozen=True):
    """The engine took the request; it belongs to the level that is running now."""

    request: int
    level: int


class TokensEmitted(Event, frozen=True):
    """The engine handed out `count` new tokens of a request; `text` None: not decoded or kept."""

    request: int
    count: int
    text: str | None = None


class TokensSummed(Event, frozen=True):
    """The rest of a request's tokens had come by now; when each of them did was not kept.

    Where nothing was emitted before, neither is known when the first one came.
    """

    request: int
    count: int | None
    """How many these are; None: not known either."""


class RequestFinished(Event, frozen=True):
    """A request is complete; `reason` is `length` or `stop`."""

    request: int
    reason: str


class RequestFailed(Event, frozen=True):
    """A request ended without completing, and why."""

    request: int
    error: str


class RequestCancelled(Event, frozen=True):
    """A person or the end of the run took the request back."""

    request: int


class ServerKnown(Event, frozen=True, kw_only=True):
    """What a server is, found out before the first level; the newest of each place counts."""

    server: int
    """Its place among the URLs of the run."""
    url: str
    """Without user, password and query."""
    name: str
    """`vllm`, `sglang`, `llama.cpp`, …, or `unknown`."""
    version: str | None
    model: str | None
    context: int | None
    """Longest prompt and output together, in tokens."""
    tokens_by: TokensBy
    sent: str = ""
    """The body of a request as JSON, without its prompt: sampling is part of the set-up."""
    notes: tuple[str, ...] = ()
    """What it cannot do, and what that does to the figures; a sentence each."""


class ServerStarted(Event, frozen=True):
    """A server was started here for this run; `command` is as one would type it."""

    command: str


class ServerPrinted(Event, frozen=True):
    """What a server that loads printed last; lines between two looks are passed over."""

    line: str


class ServerReady(Event, frozen=True):
    """A server that was started answers for its models: it has loaded."""


class ServerLost(Event, frozen=True):
    """A server that answers no more, and what it said last."""

    server: int
    said: str


class ServerFound(Event, frozen=True):
    """A lost server answers again."""

    server: int


class RequestSent(Event, frozen=True):
    """The client begins to send a request to a server. Told again where it is sent once more."""

    request: int
    server: int
    due: int
    """When it could have been sent (ns): it had been scheduled, and its slot was free."""
    again: bool = False


class RequestReached(Event, frozen=True):
    """A request to a server reached a stage for the first time."""

    request: int
    stage: Stage


class TokensCounted(Event, frozen=True, kw_only=True):
    """What a server says of a request's tokens, once its stream has ended.

    Emissions of a server that does not count as it sends have provisional counts until then.
    """

    request: int
    by: TokensBy
    count: int | None
    """Output tokens in all, reasoning included; None: nobody counted, those emitted are a guess."""
    prompt: int | None = None
    cached: int | None = None
    """Tokens of the prompt that it had computed before."""
    reasoning: int | None = None
    prefill: float | None = None
    """Seconds that it computed the prompt, where it tells them of each request."""


class ClientSampled(Event, frozen=True):
    """How late the client's event loop was (ns) each time that it should have woken."""

    process: int
    lags: tuple[int, ...]


class ServerSeen(Event, frozen=True, kw_only=True):
    """What a watched server is, by its own answers; the newest of each place counts."""

    server: int
    """Its place among the URLs that are watched."""
    url: str
    """Without user, password and query."""
    name: str
    """`vllm`, `sglang`, `llama.cpp`, …, or `unknown`."""
    version: str | None = None
    model: str | None = None
    context: int | None = None
    """Longest prompt and output together, in tokens."""
    sources: tuple[str, ...] = ()
    """The paths that it is read by."""


class ServerStood(Event, frozen=True):
    """How a watched server stands from now on, and what it said."""

    server: int
    state: Standing
    said: str = ""


class ReplicaSampled(Event, frozen=True, kw_only=True):
    """What one replica of a watched server told at one moment, as far as it changed.

    Names are the server's own, without `_total`, with those labels that tell values of one replica
    apart: `vllm:num_requests_waiting_by_reason{reason=capacity}`.
    """

    server: int
    replica: str
    gauges: dict[str, float | None] = {}
    """None: it is told no more."""
    counters: dict[str, float | None] = {}
    """Since the server began. One that falls began again: the server did. None: it is told no more.
    """
    buckets: dict[str, dict[str, float]] = {}
    """Observations in each bucket alone since the server began, by its upper bound as told; the
    first time all buckets of a histogram, in their order."""


class SlotFacts(msgspec.Struct, frozen=True):
    """One slot of llama.cpp; tokens. None: it was not told."""

    id: int
    busy: bool
    task: int | None = None
    held: int | None = None
    """Tokens in its context."""
    prompt: int | None = None
    """Tokens of its prompt that were computed."""
    cached: int | None = None
    """Tokens of its prompt that it had computed before."""
    decoded: int | None = None
    """Tokens generated."""
    remaining: int | None = None
    """Tokens that it may still generate; None: not limited."""
    context: int | None = None
    """Most tokens that it can hold."""


class SlotsSampled(Event, frozen=True):
    """The slots of a watched server that changed."""

    server: int
    slots: tuple[SlotFacts, ...]


class ServerWeighed(Event, frozen=True):
    """Bytes of the processes of a watched server that runs on this machine."""

    server: int
    resident_bytes: int | None
    device_bytes: int | None = None
    processes: int = 0


class SecondsThinned(Event, frozen=True):
    """From now on a watched server is told of every so many seconds, for its recording's size."""

    server: int
    every: int


class AlertChanged(Event, frozen=True):
    """A limit that a person set is broken from now on, or kept again."""

    server: int
    replica: str
    """Empty: of the server as a whole."""
    rule: str
    """As it was spelled: `kv_usage>0.9 for 30s`."""
    on: bool
    value: float | None = None


class HostSampled(Event, frozen=True):
    """The machine and the engine process at one moment; bytes, and percent of one core."""

    used_bytes: int | None
    available_bytes: int | None
    total_bytes: int | None
    """Memory that this run may use: a container's limit where there is one."""
    cpu_percent: tuple[float, ...] = ()
    """Of each core since the last sample."""
    engine_bytes: int | None = None
    """Resident size of the engine process."""
    engine_cpu_percent: float | None = None
    monitor_cpu_percent: float | None = None
    """What llamatop itself takes: the process that draws and records."""
    server_bytes: int | None = None
    """Resident size of the servers' processes, where the run drives servers of this machine."""
    server_device_bytes: int | None = None
    """What these hold of accelerators, as the driver tells it."""

    @property
    def model_bytes(self) -> int | None:
        """Bytes of what holds the model: the servers' processes where they are known, those of
        accelerators among them."""
        if self.server_bytes is None:
            return self.engine_bytes
        return self.server_bytes + (self.server_device_bytes or 0)


class DeviceSampled(Event, frozen=True):
    """One accelerator at one moment: bytes, watts, degrees Celsius, percent."""

    device: int
    name: str
    used_bytes: int | None = None
    total_bytes: int | None = None
    utilization: float | None = None
    power_watts: float | None = None
    temperature: float | None = None
    throttle: tuple[str, ...] | None = None
    """Why it runs slower than it could, by nvidia-smi's names; empty: it does not."""


class DeviceAllocated(Event, frozen=True):
    """What torch holds of an accelerator, told by the engine, in bytes."""

    device: int
    allocated_bytes: int
    reserved_bytes: int


class RankSampled(Event, frozen=True):
    """One of the processes that share a model at one moment; the engine process is rank 0."""

    rank: int
    device: str
    """Where it computes: `cpu`, `cuda:1`."""
    resident_bytes: int | None


class EngineLost(Event, frozen=True):
    """The engine process ended by itself; a negative `exit_code` is a signal's number."""

    exit_code: int | None
    reason: str
    server: bool = False
    """It was the server that this run had started, not the process that drives it."""


class AdmissionPaused(Event, frozen=True):
    """A person holds new requests back, or lets them go on."""

    paused: bool


class Tick(Event, frozen=True):
    """Time went on; recorded, so that a stall looks the same in a replay."""


class RunEnded(Event, frozen=True):
    """The last event: `ok`, `failed`, or `stopped` by a person or a signal."""

    outcome: Outcome


AnyEvent = (
    RunStarted
    | RunImported
    | LevelReported
    | MachineMeasured
    | ModelTraced
    | MemoryPredicted
    | MemoryUntold
    | ModelLoading
    | ModelLoaded
    | EngineTuned
    | EngineCompiled
    | ModelRefused
    | EngineWarmed
    | LevelStarted
    | LevelEnded
    | RequestQueued
    | RequestAdmitted
    | PromptReused
    | TokensEmitted
    | TokensSummed
    | RequestFinished
    | RequestFailed
    | RequestCancelled
    | ServerKnown
    | ServerStarted
    | ServerPrinted
    | ServerReady
    | ServerLost
    | ServerFound
    | RequestSent
    | RequestReached
    | TokensCounted
    | ClientSampled
    | ServerSeen
    | ServerStood
    | ReplicaSampled
    | SlotsSampled
    | ServerWeighed
    | SecondsThinned
    | AlertChanged
    | HostSampled
    | DeviceSampled
    | DeviceAllocated
    | RankSampled
    | EngineLost
    | AdmissionPaused
    | Tick
    | RunEnded
)
"""Every kind of event, for decoding."""

KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in AnyEvent.__args__}
"""Each kind by the name under which it is stored."""

"""The peak memory of an engine at a level, part by part, from what the tracer told of the model.

On a CPU it is the resident peak of the whole engine process; on an accelerator what torch
allocates there, and the device's context beside it. Arithmetic; of this machine it asks only what
instructions a CPU has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from llamatop.events.kinds import Event
from llamatop.hardware.processor import cpu_has
from llamatop.predict.traced import STEPS, Peak, Shape, Trace

MIB = 2**20
IMPORTS_BYTES = 335 * MIB
"""Resident size after the imports, where it cannot be measured. Here, with torch 2.13."""
FIRST_BYTES = 40 * MIB
"""What a first generation adds: lazily loaded code, threads, prompts."""
KERNELS_BYTES = 24 * 610_000
"""What oneDNN keeps of kernels made for each shape of a product in 16 bits, on processors with
AVX-512: 0.54 to 0.61 MiB each, up to a cache of 24, which a warm-up and a level nearly fill. The
default of 1024 takes more than half a gigabyte."""
KEPT = {"batch": 0.6, "threads": 0.85}
"""Of what small blocks held at most, the share that the C library holds on top of it, by engine,
else all of it: blocks that a layer leaves free between the caches do not fit those of the next.
Measured with glibc and `ENGINE_ENV`, 1 to 8 requests of 512 tokens, six architectures: 0.1 to
0.8 in a batch, 0.5 on average, by the end of prefill, as what was freed before happens to lie.
0.81 of what 8 threads are expected to hold together, of SmolLM2-135M in float32."""
SMALL_BELOW = 2 * MIB
"""Blocks from so many bytes on the C library maps, and gives back at once."""
ENGINE_ENV = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(SMALL_BELOW),
    "MALLOC_TRIM_THRESHOLD_": str(256 * MIB),
    "THP_MEM_ALLOC_ENABLE": "1",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "24",
    "LRU_CACHE_CAPACITY": "64",
}
"""The environment of an engine process for which the constants above were measured: blocks from
2 MiB on are mapped, by huge pages, and given back at once."""
CONTEXT_BYTES = 1250 * MIB
"""What an accelerator's driver and its libraries take for a process, beside what torch reserves:
1175 (batch) to 1251 (continuous) on an H100 with torch 2.11 and CUDA 13."""
FRAGMENTS = {"batch": 0.27, "threads": 0.27}
"""Of what a generation holds besides the weights, the share that torch's allocator loses on an
accelerator, by engine, else none: caches grow by copies, and no freed one fits the next. Measured
where memory ended: OPT-1.3B on an H100, 171 requests of 1536 tokens ran and 172 did not."""
THREAD_BYTES = 67 * MIB
"""What each further thread that computes adds to that."""
WORKSPACE_BYTES = 32 * MIB
"""What cuBLAS takes from torch's allocator, for each thread that computes."""

CPU_PAGE, GPU_PAGE, SPARE_PAGES = 16, 32, 10
CPU_STEP, GPU_STEP = 512, 2048
"""As the continuous engine sizes its pool; see `engines.paging`, and two pages for the trash."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Bytes of one level; None where it takes none, or where nothing is known."""

    host_bytes: int | None
    device_bytes: int | None
    """What torch allocates there at most, without the context."""
    parts: dict[str, int]
    """By name; they add up to `peak_bytes`."""
    most_bytes: int = 0
    """The peak if all threads were at theirs in one instant, where less is expected; else 0."""

    @property
    def peak_bytes(self) -> int:
        """What must be free where the model is to run."""
        return sum(self.parts.values())

    @property
    def own_bytes(self) -> int:
        """What the model and its requests take of it, without what any process of the engine
        does: libraries, and an accelerator's context."""
        return self.peak_bytes - sum(self.parts.get(name, 0) for name in ("runtime", "context"))

    def sure_bytes(self, band: float) -> float:
        """What is enough even if `own_bytes` are too low by the share `band`, or all threads meet
        at their peak."""
        return max(self.peak_bytes + band * self.own_bytes, self.most_bytes)


@dataclass(frozen=True, slots=True)
class Foretold:
    """What is known of a run before its first level."""

    events: list[Event]
    peak: Callable[[int, bool], Prediction | None]
    """Of a level with so many requests in flight, whenever one begins, with the engine's matrices
    packed or not; None: not known."""


COMPILED_UNTOLD = "what compiled code takes is not foretold; --engine batch is"
"""Why there is no peak of that engine."""


def resolve_engine(engine: str, device: str) -> str:
    """The engine that `auto` stands for."""
    return "batch" if engine == "auto" else engine


def in_threads(engine: str, device: str) -> bool:
    """Whether what threads hold together is traced: on a CPU, whose cores they share."""
    return engine == "threads" and device == "cpu"


def shapes(engine: str, device: str, levels: list[int], prompt: int, tokens: int) -> set[Shape]:
    """What has to be traced to predict these levels."""
    match resolve_engine(engine, device):
        case "threads":
            together = levels if in_threads(engine, device) else []
            return {Shape(level, prompt, tokens) for level in (1, *together)}
        case "continuous":
            return set(STEPS)
        case _:
            return {Shape(level, prompt, tokens) for level in levels}


def predict(
    trace: Trace, engine: str, device: str, shape: Shape, *, packed: bool = False
) -> Prediction:
    """The peak of a level with `shape.batch` requests in flight.

    `packed`: its matrices lie as the processor's kernels read them. Raises LookupError where it
    rests on something not understood, or was not traced.
    """
    if trace.untold:
        raise LookupError(trace.untold)
    match resolve_engine(engine, device):
        case "threads":
            return _threads(trace, device, shape, packed)
        case "continuous":
            peak = _paged(trace, device, *shape)
        case _:
            peak = trace.at(shape)
    return _placed(trace, resolve_engine(engine, device), device, peak, packed)


def _threads(trace: Trace, device: str, shape: Shape, packed: bool) -> Prediction:
    """As is expected of them where that was traced, else all at their peak at once."""
    bound = _times(trace.at(shape._replace(batch=1)), shape.batch)
    most = _placed(trace, "threads", device, bound, packed)
    expected = trace.crowd(shape)
    if expected is None:
        return most
    found = _placed(trace, "threads", device, expected, packed)
    return replace(found, most_bytes=most.peak_bytes)


def _placed(trace: Trace, engine: str, device: str, peak: Peak, packed: bool) -> Prediction:
    threads = peak.shape.batch if engine == "threads" else 1
    parts = {
        "weights": (trace.weights_bytes or 0) - trace.scales_bytes,
        "scales": trace.scales_bytes,
        "kv cache": peak.cache,
        "activations": peak.total - peak.cache - peak.logits - peak.sampling,
        "logits": peak.logits,
        "sampling": peak.sampling,
    }
    if device == "cpu":
        parts["allocator"] = round(KEPT.get(engine, 1.0) * peak.heap)
        parts["runtime"] = (trace.runtime_bytes or IMPORTS_BYTES) + FIRST_BYTES
        kernels = 0 if packed else (threads - 1) * trace.panel_bytes
        if in_onednn(trace.dtype) or (packed and cpu_has("avx512bw")):
            kernels += KERNELS_BYTES
        if kernels:
            parts["kernels"] = kernels
        return Prediction(sum(parts.values()), None, parts)
    parts["workspace"] = threads * WORKSPACE_BYTES
    allocated = sum(parts.values())
    parts["fragments"] = round(FRAGMENTS.get(engine, 0.0) * peak.total)
    parts["context"] = CONTEXT_BYTES + (threads - 1) * THREAD_BYTES
    return Prediction(None, allocated, parts)


def in_onednn(dtype: str) -> bool:
    """Whether oneDNN multiplies in that type here, with kernels that it makes."""
    return dtype != "float32" and cpu_has("avx512_fp16" if dtype == "float16" else "avx512bw")


def _times(peak: Peak, requests: int) -> Peak:
    """Each request in a thread of its own, all at their peak at once."""
    return Peak(
        peak.shape._replace(batch=requests),
        peak.total * requests,
        peak.cache * requests,
        peak.logits * requests,
        peak.heap * requests,
        peak.sampling * requests,
    )


def _step(device: str, requests: int, prompt: int) -> int:
    """Tokens that one step of continuous batching takes at most."""
    step = max(CPU_STEP if device == "cpu" else GPU_STEP, 2 * requests)
    return min(step, requests * (prompt + 1))


def _under_way(step: int, requests: int, prompt: int, tokens: int) -> float:
    """Requests whose caches one step reads beside its new tokens, at most.

    Tokens to decode go first, and prompts get the rest of each step: where outputs are short the
    first requests have ended when the last ones begin. One more is in the middle of its prompt.
    """
    longer = tokens - 1
    return min(requests, longer * step / (prompt + longer) + 1)


def mask_places(trace: Trace, step: int, tokens: int) -> int:
    """Places of the masks for a pool of so many tokens, one mask for each kind of attention.

    Each is wide enough for a pool that holds nothing but the kind with the fewest layers. On a CPU
    a step touches a part of each row, but by huge pages the whole is there.
    """
    kinds: Counter[bool] = Counter()
    for kind in trace.kinds:
        kinds[kind.window is None] += kind.count * kind.kv_bytes_per_token
    fewest = min(filter(None, kinds.values()), default=1)
    share = max(trace.kv_bytes_per_token / fewest, 1)
    return len(kinds) * step * (round(share * tokens) + step)


def _paged(trace: Trace, device: str, requests: int, prompt: int, tokens: int) -> Peak:
    """A pool of pages for all, and a step that reads those of the requests under way.

    What attention gathers grows from step to step as requests join, and leaves holes in the heap
    until its blocks are too large for it.

    Without flash attention keys and values are gathered and repeated for each query head; where
    scores are written out, they are there once as they are and twice in 32 bits. The scores of the
    vocabulary come when all that is gone, for every one of them at once.
    """
    page = CPU_PAGE if device == "cpu" else GPU_PAGE
    step = _step(device, requests, prompt)
    pages = requests * (ceil((prompt + tokens) / page) + 1) + SPARE_PAGES
    pool = pages * page * trace.kv_bytes_per_token
    traced = trace.step_of(step)
    item = 4 if trace.dtype == "float32" else 2
    layers = max(trace.layers, 1)
    under_way = _under_way(step, requests, prompt, tokens)
    read = round(under_way * (prompt + tokens))
    heads = 2 * trace.attention_width * item / layers + trace.kv_bytes_per_token / layers / 2
    scores = step * read * trace.score_heads * (item + (8 if item < 4 else 4))
    gathered = round(heads * (read + step))
    attention = gathered + scores
    repeated = trace.attention_width * item / layers
    small = min(gathered, round(SMALL_BELOW * heads / repeated)) if repeated else gathered
    masks = mask_places(trace, step, pages * page) * item
    working = max(traced.total - traced.cache, attention)
    chosen = max(round(under_way * trace.score_bytes) - working, 0)
    total = pool + working + masks + chosen
    return Peak(Shape(requests, prompt, tokens), total, pool, 0, traced.heap + small, chosen)

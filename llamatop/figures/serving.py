"""What watched servers do now: rates, latencies and loads, from what they told.

A rate is what a counter grew by between two samples; a percentile comes from the difference of
buckets, of several replicas from their sum. What is not told is None. Knows no file and no screen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from llamatop.events.clock import SECOND
from llamatop.events.kinds import Standing
from llamatop.figures.buckets import Quantile, difference, quantile, summed
from llamatop.figures.vocabulary import COUNTERS, GAUGES, HISTOGRAMS
from llamatop.session.thinning import Timed
from llamatop.session.watched import Replica, Sample, SlotSample, Watched

SECONDS = 5 * SECOND
"""The last seconds (ns): what a rate or a percentile of now covers."""

MINUTE = 60 * SECOND
"""The last minute (ns)."""

RESTARTED = 60 * SECOND
"""For how long (ns) a restart is the state of a server."""

State = Literal["up", "starting", "down", "no metrics", "stale", "restarted"]

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

Latencies = Mapping[str, Mapping[str, Quantile | None]]
"""Percentiles by name (`SHARES`), of each latency (`HISTOGRAMS`) that is told."""

T = TypeVar("T", bound=Timed)


@dataclass(frozen=True, slots=True)
class Load:
    """What a replica, or several together, do."""

    running: float | None
    waiting: float | None
    waiting_capacity: float | None
    """Of those that wait, for room in the KV cache."""
    kv_usage: float | None
    """Share of the KV cache that is used; of several replicas, of the fullest."""
    generation_rate: float | None
    """Tokens per second."""
    prompt_rate: float | None
    generation_tokens: float | None
    """Since the server began, as it told."""
    prompt_tokens: float | None
    prefix_hit_rate: float | None
    """Share of the prompts' tokens that were in the prefix cache, in the window."""
    preempted: float | None
    """Requests preempted in the window."""
    accepted: float | None
    """Share of the drafted tokens that were accepted, in the window."""
    latencies: Latencies


@dataclass(frozen=True, slots=True)
class Histograms:
    """Observations in the window, by latency and bucket: what can be added up."""

    of: Mapping[str, Mapping[str, float]]

    def latencies(self) -> Latencies:
        """Their percentiles."""
        return {
            name: {p: quantile(buckets, share) for p, share in SHARES.items()}
            for name, buckets in self.of.items()
        }


def state_of(server: Watched, now: int) -> State:
    """How a server stands at a moment (ns)."""
    state: Standing = server.stood.state if server.stood is not None else "starting"
    if state != "up":
        return state
    restarts = [replica.restarts[-1] for replica in server.replicas.values() if replica.restarts]
    return "restarted" if restarts and now - max(restarts) < RESTARTED else "up"


def answers(server: Watched) -> bool:
    """Whether what it told last is what it does now."""
    return server.stood is not None and server.stood.state in ("up", "no metrics")


def gauge(sample: Sample, name: str) -> float | None:
    """A value of a moment by its name here."""
    return _first(sample.gauges, GAUGES[name])


def counter(sample: Sample, name: str) -> float | None:
    """What a counter has grown by since the watch began, by its name here; None: not told then."""
    return _first(sample.counters, COUNTERS[name])


def grown(sample: Sample, name: str) -> float:
    """The same as far as it had been told: of one that is told no more, or not yet."""
    return _first(sample.grown, COUNTERS[name]) or 0.0


def metric_of(replica: Replica, name: str) -> str | None:
    """The server's own name of what a value here comes from; None: it does not tell it."""
    sample = replica.now
    for table, told in ((GAUGES, sample.gauges), (COUNTERS, sample.counters),
                        (HISTOGRAMS, sample.buckets)):  # fmt: skip
        for metric in table.get(name, ()):
            if metric in told:
                return metric
    return None


def _first(told: Mapping[str, float], metrics: Sequence[str]) -> float | None:
    return next((told[metric] for metric in metrics if metric in told), None)


def before(samples: Sequence[T], window: int | None) -> T:
    """The newest sample that lies a window (ns) before the last, or else the oldest.

    None: the oldest. Raises IndexError where there is none.
    """
    if window is None:
        return samples[0]
    edge = samples[-1].time - window
    place = bisect_right(samples, edge, key=lambda sample: sample.time)
    return samples[max(place - 1, 0)]


def growth(replica: Replica, name: str, window: int | None) -> float | None:
    """What a counter grew by in a window up to the newest sample."""
    start, end = before(replica.samples, window), replica.now
    after = counter(end, name)
    if after is None or end.time <= start.time:
        return None
    return after - grown(start, name)


def rate(replica: Replica, name: str, window: int | None) -> float | None:
    """The same per second; None where one sample is all there is."""
    more = growth(replica, name, window)
    if more is None:
        return None
    return more / ((replica.now.time - before(replica.samples, window).time) / SECOND)


def histograms(replica: Replica, window: int | None) -> Histograms:
    """Observations of each latency in a window; of the whole watch where it is None."""
    end = replica.now.buckets
    with_buckets = [sample for sample in replica.samples if sample.buckets]
    start = before(with_buckets, window).buckets if with_buckets and window is not None else {}
    found = {}
    for name, metrics in HISTOGRAMS.items():
        metric = next((metric for metric in metrics if metric in end), None)
        if metric is not None:
            found[name] = difference(end[metric], start.get(metric, {}))
    return Histograms(found)


def replica_load(server: Watched, replica: Replica, window: int | None = SECONDS) -> Load:
    """What one replica does; raises IndexError where it told nothing yet."""
    sample = replica.now
    generated, prompted = _token_rates(server, replica, window)
    return Load(
        running=gauge(sample, "running"),
        waiting=gauge(sample, "waiting"),
        waiting_capacity=gauge(sample, "waiting_capacity"),
        kv_usage=kv_usage(server, sample),
        generation_rate=generated,
        prompt_rate=prompted,
        generation_tokens=_total(server, replica, "generation_tokens"),
        prompt_tokens=_total(server, replica, "prompt_tokens"),
        prefix_hit_rate=_hit_rate(replica, window),
        preempted=growth(replica, "preempted", window),
        accepted=_share(
            growth(replica, "accepted_tokens", window), growth(replica, "draft_tokens", window)
        ),
        latencies=histograms(replica, window).latencies(),
    )


def together(server: Watched, window: int | None = SECONDS) -> Load | None:
    """All replicas of a server; None where none told anything."""
    return combined([server], window)


def combined(servers: Iterable[Watched], window: int | None = SECONDS) -> Load | None:
    """All replicas of several servers: sums, the fullest cache, percentiles of summed buckets."""
    pairs = [(s, r) for s in servers for r in s.replicas.values() if r.samples]
    if not pairs:
        return None
    loads = [replica_load(server, replica, window) for server, replica in pairs]
    replicas = [replica for _, replica in pairs]
    hits = _sum(growth(one, "prefix_hits", window) for one in replicas)
    asked = _sum(growth(one, "prefix_queries", window) for one in replicas)
    drafted = _sum(growth(one, "draft_tokens", window) for one in replicas)
    accepted = _sum(growth(one, "accepted_tokens", window) for one in replicas)
    observed = [histograms(one, window).of for one in replicas]
    names = {name: None for one in observed for name in one}
    return Load(
        running=_sum(load.running for load in loads),
        waiting=_sum(load.waiting for load in loads),
        waiting_capacity=_sum(load.waiting_capacity for load in loads),
        kv_usage=max((one.kv_usage for one in loads if one.kv_usage is not None), default=None),
        generation_rate=_sum(load.generation_rate for load in loads),
        prompt_rate=_sum(load.prompt_rate for load in loads),
        generation_tokens=_sum(load.generation_tokens for load in loads),
        prompt_tokens=_sum(load.prompt_tokens for load in loads),
        prefix_hit_rate=_share(hits, asked) if asked else None,
        preempted=_sum(load.preempted for load in loads),
        accepted=_share(accepted, drafted),
        latencies=Histograms(
            {name: summed(one[name] for one in observed if name in one) for name in names}
        ).latencies(),
    )


def kv_usage(server: Watched, sample: Sample) -> float | None:
    """Share of the KV cache that is used.

    llama.cpp tells what its slots hold, and their context: by default they share one pool of that
    size. Where they hold more than fits one, each has its own, and the fullest counts.
    """
    if (told := gauge(sample, "kv_usage")) is not None or not server.slots:
        return told
    held = [(slot.held or 0, slot.context) for slot in server.slots.values() if slot.busy]
    sizes = [slot.context for slot in server.slots.values() if slot.context]
    if not sizes:
        return None
    shared = sum(tokens for tokens, _ in held) / max(sizes)
    return shared if shared <= 1 else max(tokens / (size or max(sizes)) for tokens, size in held)


def slot_tokens(server: Watched, window: int | None) -> tuple[float, float, float] | None:
    """Tokens generated and prompt tokens computed by llama.cpp's slots in a window, and seconds.

    Answers that have ended are in the counter `tokens_predicted`, those that are being generated
    in their slots. One that was cancelled is in no counter: what was last seen of it counts.
    None where there are no two looks at the slots.
    """
    replica, looks = server.replicas.get("0"), server.slot_samples
    if replica is None or not replica.samples or len(looks) < 2:
        return None
    start, end = before(looks, window), looks[-1]
    if end.time <= start.time:
        return None
    (made, read), (made_before, read_before) = so_far(replica, end), so_far(replica, start)
    seconds = (end.time - start.time) / SECOND
    return max(made - made_before, 0.0), max(read - read_before, 0.0), seconds


def so_far(replica: Replica, look: SlotSample) -> tuple[float, float]:
    """Tokens generated and prompt tokens computed up to a look at the slots."""
    place = bisect_right(replica.samples, look.time, key=lambda sample: sample.time)
    sample = replica.samples[max(place - 1, 0)]
    ended = max(grown(sample, "generation_tokens"), look.ended)
    return look.decoded + ended, look.prefilled + grown(sample, "prompt_tokens")


def _token_rates(
    server: Watched, replica: Replica, window: int | None
) -> tuple[float | None, float | None]:
    if server.slots and (told := slot_tokens(server, window)) is not None:
        generated, prompted, seconds = told
        known = counter(replica.now, "prompt_tokens") is not None
        return generated / seconds, prompted / seconds if known else None
    if gauge(replica.now, "busy_slots") is not None:
        return _busy_rate(replica, window), rate(replica, "prompt_tokens", window)
    return rate(replica, "generation_tokens", window), rate(replica, "prompt_tokens", window)


def _busy_rate(replica: Replica, window: int | None) -> float | None:
    """llama.cpp that does not show its slots: decode steps times the slots busy in each."""
    start, end = before(replica.samples, window), replica.now
    seconds = (end.time - start.time) / SECOND
    done = [decoded(replica, sample) for sample in (start, end)]
    if seconds <= 0 or done[0] is None or done[1] is None:
        return None
    return max(done[1] - done[0], 0.0) / seconds


def decoded(replica: Replica, sample: Sample) -> float | None:
    """Slots busy in all decode steps; the counter as it was told, since the mean covers that."""
    steps, busy = counter(sample, "decodes"), gauge(sample, "busy_slots")
    if steps is None or busy is None:
        return None
    told = replica.told.get("llamacpp:n_decode", 0.0)
    return busy * (steps + told - (counter(replica.now, "decodes") or 0.0))


def _total(server: Watched, replica: Replica, name: str) -> float | None:
    """A counter as the server told it last; on llama.cpp with what is being generated."""
    there = replica.now.counters
    told = next((replica.told[metric] for metric in COUNTERS[name] if metric in there), None)
    if told is None or not server.slot_samples:
        return told
    look = server.slot_samples[-1]
    return told + (look.decoded if name == "generation_tokens" else look.prefilled)


def _hit_rate(replica: Replica, window: int | None) -> float | None:
    """Prefix hits of what was asked for; else cached tokens of all prompt tokens."""
    hits, asked = (growth(replica, name, window) for name in ("prefix_hits", "prefix_queries"))
    if asked is not None:
        return _share(hits, asked)
    cached, computed = (
        growth(replica, name, window) for name in ("cached_tokens", "prompt_tokens")
    )
    if cached is None or computed is None:
        return None
    both = metric_of(replica, "cached_tokens") == "llamacpp:prompt_tokens_cached"
    return _share(cached, cached + computed if both else computed)


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None

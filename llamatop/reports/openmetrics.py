"""A tally as metrics of Prometheus, by its well-kept client library: names with base units.

`text` is what `--format openmetrics` writes, `serve` the page that a live run shows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from llamatop import __version__
from llamatop.errors import InputError
from llamatop.events.kinds import HostSampled
from llamatop.reports.tally import OUTCOMES, Counts, Histogram, Tally

_HISTOGRAMS = (
    ("time_to_first_token", "ttft", "From when a request should have started to its first token"),
    ("time_per_output_token", "tpot", "Of a request after its first token, for each token"),
    ("inter_token_latency", "itl", "Gaps between tokens; an emission of k tokens is k gaps"),
    ("request_latency", "e2e", "From when a request should have started to its last token"),
    ("queue_time", "queue", "From when a request should have started until it was taken"),
)

_LABEL = ("concurrency",)


class Metrics(Collector):
    """What a registry collects from."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """Every metric as it is now."""
        with self._tally.lock:
            yield from [*_run(self._tally), *_counters(self._tally), *_gauges(self._tally)]

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before it is collected."""
        return iter(())


def _run(tally: Tally) -> Iterator[Metric]:
    if tally.started is not None:
        model = tally.model
        facts = {
            "model": tally.started.config.model,
            "version": __version__,
            "engine": model.engine if model else "",
            "device": (model.device_name or model.device) if model else "",
            "dtype": model.dtype if model else "",
        }
        yield InfoMetricFamily("llamatop_run", "What is run", value=facts)
    running = GaugeMetricFamily("llamatop_run_active", "1 while a run goes on, else 0")
    running.add_metric((), float(tally.running))
    yield running


def _counters(tally: Tally) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "llamatop_requests", "Measured requests that have ended", labels=(*_LABEL, "outcome")
    )
    output = CounterMetricFamily(
        "llamatop_output_tokens", "Tokens out, of measured requests that have ended", labels=_LABEL
    )
    prompt = CounterMetricFamily(
        "llamatop_prompt_tokens", "Tokens in, of measured requests that have ended", labels=_LABEL
    )
    for concurrency, counts in tally.levels.items():
        at = (str(concurrency),)
        for outcome in OUTCOMES:
            requests.add_metric((*at, outcome), counts.requests[outcome])
        output.add_metric(at, counts.output_tokens)
        prompt.add_metric(at, counts.prompt_tokens)
    yield from (requests, output, prompt)
    for name, field, what in _HISTOGRAMS:
        family = HistogramMetricFamily(f"llamatop_{name}", what, labels=_LABEL, unit="seconds")
        for concurrency, counts in tally.levels.items():
            family.add_metric((str(concurrency),), *_buckets(counts, field))
        yield family


def _buckets(counts: Counts, field: str) -> tuple[list[tuple[str, float]], float]:
    """Cumulative buckets and the sum of all values."""
    found: Histogram = getattr(counts, field)
    ends = [*map(str, found.ends), "+Inf"]
    return list(zip(ends, accumulate(map(float, found.counts)), strict=True)), found.total


def _gauges(tally: Tally) -> Iterator[Metric]:
    host = tally.host
    gauges: tuple[tuple[str, str, float | None], ...] = (
        ("llamatop_concurrency", "Requests in flight that the level asks for", tally.concurrency),
        ("llamatop_requests_in_flight", "Requests that were taken", tally.in_flight),
        ("llamatop_requests_waiting", "Requests that wait to be taken", tally.waiting),
        ("llamatop_engine_resident_bytes", "The engine's process", _of(host, "engine_bytes")),
        ("llamatop_server_resident_bytes", "The servers' processes", _of(host, "server_bytes")),
        ("llamatop_server_device_bytes", "Of accelerators", _of(host, "server_device_bytes")),
        ("llamatop_memory_used_bytes", "Memory in use on the machine", _of(host, "used_bytes")),
        ("llamatop_memory_available_bytes", "Memory that is left", _of(host, "available_bytes")),
    )
    for name, what, value in gauges:
        if value is not None:
            yield GaugeMetricFamily(name, what, value=value)
    yield from _devices(tally)


def _of(sample: HostSampled | None, field: str) -> float | None:
    value: float | None = None if sample is None else getattr(sample, field)
    return value


def _devices(tally: Tally) -> Iterator[Metric]:
    for name, what, field, scale in (
        ("memory_used_bytes", "Memory in use on a device", "used_bytes", 1.0),
        ("memory_total_bytes", "Memory of a device", "total_bytes", 1.0),
        ("power_watts", "Power that a device draws", "power_watts", 1.0),
        ("temperature_celsius", "Temperature of a device", "temperature", 1.0),
        ("utilization_ratio", "Share of the time in which a device works", "utilization", 0.01),
    ):
        family = GaugeMetricFamily(f"llamatop_device_{name}", what, labels=("device", "name"))
        for place, sample in tally.devices.items():
            value = getattr(sample, field)
            if value is not None:
                family.add_metric((str(place), sample.name), value * scale)
        if family.samples:
            yield family


def registry_of(tally: Tally) -> CollectorRegistry:
    """A registry that has the tally alone."""
    registry = CollectorRegistry()
    registry.register(Metrics(tally))
    return registry


def text(tally: Tally) -> str:
    """The page in the OpenMetrics format."""
    page: bytes = generate_latest(registry_of(tally))  # type: ignore[no-untyped-call]
    return page.decode()


def serve(tally: Tally, address: str) -> str:
    """Show a tally at `HOST:PORT`, from a thread; the loopback where no host is said. Its URL.

    Port 0 is any that is free.

    Raises InputError where that is no address, or it cannot be listened to.
    """
    host, port = parsed(address)
    logging.getLogger("wsgiref").disabled = True
    try:
        server, _ = start_http_server(port, host, registry_of(tally))
    except OSError as error:
        raise InputError(f"--listen {address}: {error.strerror or error}") from None
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{server.server_port}/metrics"


def parsed(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `:PORT` or `PORT`."""
    host, _, port = address.rpartition(":")
    if not port.isascii() or not port.isdigit() or not int(port) < 65536:
        raise InputError(f"--listen {address}: say HOST:PORT, as 127.0.0.1:9400")
    return host.strip("[]") or "127.0.0.1", int(port)

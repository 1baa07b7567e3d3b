"""Pages of metrics, one after another, as what changed from one to the next.

Only lines of metrics that mean something here and that differ from the last page are parsed:
a page of a thousand lines costs what changed in it. Knows no socket and no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from llamatop.figures.vocabulary import (
    COUNTER_NAMES,
    GAUGE_NAMES,
    HISTOGRAM_NAMES,
    KEPT_LABELS,
    PREFIXES,
    REPLICA_LABELS,
)

LONGEST_LINE = 4096
"""Characters of a line, labels included; no server needs as many."""

MOST_LINES = 20_000
"""Lines of a page that mean something: 250 replicas of vLLM."""

MOST_REPLICAS = 256


class PageError(Exception):
    """A page that cannot be read, in one line."""


@dataclass(slots=True)
class Changes:
    """What one replica told that differs from before; see `ReplicaSampled`."""

    gauges: dict[str, float | None] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    buckets: dict[str, dict[str, float]] = field(default_factory=dict)


def _wanted() -> re.Pattern[str]:
    prefixes = "|".join(map(re.escape, PREFIXES))
    names = {name.partition(":")[2] for name in GAUGE_NAMES | COUNTER_NAMES | HISTOGRAM_NAMES}
    either = "|".join(sorted(names, key=len, reverse=True))
    return re.compile(rf"^(?:{prefixes})(?:{either})(?:_total|_bucket)?[{{ \t][^\n]*", re.MULTILINE)


_WANTED = _wanted()
_MEANT = GAUGE_NAMES | COUNTER_NAMES | HISTOGRAM_NAMES


class Pages:
    """The pages of one server."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}
        self._cumulative: dict[tuple[str, str], dict[str, float]] = {}
        self._alone: dict[tuple[str, str], dict[str, float]] = {}
        self._told: dict[tuple[str, str], float] = {}
        self.replicas: list[str] = []
        """Those of the last page, in its order."""
        self._fell: set[str] = set()
        """Those whose counters fell: they began again."""

    def read(self, text: str) -> dict[str, Changes]:
        """What changed, by replica; of the first page everything.

        Raises PageError, with nothing changed, where the page is too large or a line is bad.
        """
        lines = dict.fromkeys(_WANTED.findall(text))
        if len(lines) > MOST_LINES:
            raise PageError(f"more than {MOST_LINES} lines that mean something")
        fresh = [line for line in lines if line not in self._lines]
        if any(len(line) > LONGEST_LINE for line in fresh):
            raise PageError(f"a line of more than {LONGEST_LINE} characters")
        samples = list(_samples(fresh))
        changes: dict[str, Changes] = {}
        self._fell = set()
        for replica, key, bound, value in _first_of_each(samples):
            if replica not in self.replicas:
                if len(self.replicas) >= MOST_REPLICAS:
                    raise PageError(f"more than {MOST_REPLICAS} replicas")
                self.replicas.append(replica)
            self._take(changes.setdefault(replica, Changes()), replica, key, bound, value)
        self._spread(changes)
        for replica in self._fell:
            self._tell_all(replica, changes[replica])
        self._vanish(changes, [line for line in self._lines if line not in lines])
        self._lines = lines
        return {replica: changes.get(replica, Changes()) for replica in self.replicas}

    def _take(
        self, changes: Changes, replica: str, key: str, bound: str | None, value: float
    ) -> None:
        bare = key.partition("{")[0]
        if bound is not None:
            self._cumulative.setdefault((replica, key), {})[bound] = value
            changes.buckets[key] = {}
        elif (told := self._told.get((replica, key))) != value:
            self._told[replica, key] = value
            if bare in COUNTER_NAMES:
                changes.counters[key] = value
                if told is not None and value < told:
                    self._fell.add(replica)
            else:
                changes.gauges[key] = value

    def _spread(self, changes: dict[str, Changes]) -> None:
        """Cumulative buckets to each alone; what did not change is not told."""
        for replica, changed in changes.items():
            for key in list(changed.buckets):
                told = self._alone.setdefault((replica, key), {})
                alone, before = {}, 0.0
                ordered = sorted(self._cumulative[replica, key].items(), key=_by_bound)
                for bound, count in ordered:
                    alone[bound], before = count - before, count
                differ = {b: count for b, count in alone.items() if told.get(b) != count}
                if any(count < told.get(b, 0.0) for b, count in differ.items()):
                    self._fell.add(replica)
                told.update(differ)
                if differ:
                    changed.buckets[key] = differ
                else:
                    del changed.buckets[key]

    def _tell_all(self, replica: str, changes: Changes) -> None:
        """Of one that began again: a count that is as it was before is another one."""
        for (name, key), value in self._told.items():
            if name == replica and key.partition("{")[0] in COUNTER_NAMES:
                changes.counters[key] = value
        for (name, key), alone in self._alone.items():
            if name == replica:
                changes.buckets[key] = dict(alone)

    def _vanish(self, changes: dict[str, Changes], gone: list[str]) -> None:
        """Gauges whose line is no more on the page, in any value."""
        if not gone:
            return
        for sample in _samples(gone):
            replica, key, bound = _place(sample)
            bare = key.partition("{")[0]
            told = self._told.get((replica, key))
            if bound is None and bare in GAUGE_NAMES and told == sample.value:
                changes.setdefault(replica, Changes()).gauges[key] = None
                del self._told[replica, key]


def _by_bound(item: tuple[str, float]) -> float:
    return float(item[0])


def _samples(lines: list[str]) -> Iterator[Sample]:
    """The samples of some lines, as prometheus-client reads them."""
    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                if isfinite(sample.value):
                    yield sample
    except (ValueError, KeyError, IndexError) as error:
        raise PageError(f"a line that cannot be read: {error}") from None


def _place(sample: Sample) -> tuple[str, str, str | None]:
    """Its replica, its name as told with the labels that are kept, and a bucket's bound."""
    prefix = next(prefix for prefix in PREFIXES if sample.name.startswith(prefix))
    name = PREFIXES[prefix] + sample.name.removeprefix(prefix)
    labels = sample.labels
    bound = labels.get("le") if name.endswith("_bucket") else None
    name = name.removesuffix("_bucket") if bound is not None else name.removesuffix("_total")
    kept = ",".join(f"{label}={labels[label]}" for label in KEPT_LABELS if label in labels)
    replica = next((labels[label] for label in REPLICA_LABELS if labels.get(label)), "0")
    return replica, f"{name}{{{kept}}}" if kept else name, bound


def _first_of_each(samples: list[Sample]) -> Iterator[tuple[str, str, str | None, float]]:
    """What means something here; twice, with and without `_total` or once a rank, counts once."""
    seen = set()
    for sample in samples:
        place = _place(sample)
        if place not in seen and place[1].partition("{")[0] in _MEANT:
            seen.add(place)
            yield *place, sample.value

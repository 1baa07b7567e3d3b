"""Pages of metrics, one after another, as what changed from one to the next.

Only lines of metrics that mean something here and that differ from the last page are parsed:
a page of a thousand lines costs what changed in it. Knows no socket and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isfinite, isnan

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from llamatop.events.sanitize import one_line
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


Place = tuple[str, str, str | None]
"""A replica, a name as it is told, and the bound of a bucket."""


_MOST_WORDS = 80
"""Characters of a line, or of what is wrong with it, that are told."""


class PageError(Exception):
    """A page that cannot be read, in one line."""


@dataclass(slots=True)
class Changes:
    """What one replica told that differs from before; see `ReplicaSampled`."""

    gauges: dict[str, float | None] = field(default_factory=dict)
    counters: dict[str, float | None] = field(default_factory=dict)
    buckets: dict[str, dict[str, float]] = field(default_factory=dict)


def _spelled() -> frozenset[str]:
    """Every name at the beginning of a line that means something."""
    names = GAUGE_NAMES | COUNTER_NAMES | HISTOGRAM_NAMES
    return frozenset(
        prefix + name.removeprefix(stands) + ending
        for prefix, stands in PREFIXES.items()
        for name in names
        if name.startswith(stands)
        for ending in ("", "_total", "_bucket")
    )


_SPELLED = _spelled()


def _wanted(text: str) -> dict[str, None]:
    """The lines of a page that mean something, each once, in order."""
    lines = (line for line in text.splitlines() if line and line[0] != "#")
    return dict.fromkeys(
        line for line in lines if line.split("{", 1)[0].split(" ", 1)[0] in _SPELLED
    )


_MEANT = GAUGE_NAMES | COUNTER_NAMES | HISTOGRAM_NAMES


class Pages:
    """The pages of one server."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}
        self._places: dict[str, Place] = {}
        """Of each series, as it is spelled."""
        self._cumulative: dict[tuple[str, str], dict[str, float]] = {}
        self._alone: dict[tuple[str, str], dict[str, float]] = {}
        self._told: dict[tuple[str, str], float] = {}
        self._absent: set[tuple[str, str]] = set()
        """Counters that are told no more; what they were is known, and whether they fell."""
        self.replicas: list[str] = []
        """All that have told something, in the order in which they came."""
        self._fell: set[str] = set()
        """Those whose counters fell: they began again."""

    def read(self, text: str) -> dict[str, Changes]:
        """What changed, by replica; of the first page everything.

        Raises PageError, with nothing changed, where the page is too large or a line is bad.
        """
        lines = _wanted(text)
        if len(lines) > MOST_LINES:
            raise PageError(f"more than {MOST_LINES} lines that mean something")
        fresh = [line for line in lines if line not in self._lines]
        if any(len(line) > LONGEST_LINE for line in fresh):
            raise PageError(f"a line of more than {LONGEST_LINE} characters")
        told = self._told_by(fresh)
        gone = self._gone(lines, [line for line in self._lines if line not in lines])
        changes: dict[str, Changes] = {}
        self._fell = set()
        for (replica, key, bound), value in told.items():
            if replica not in self.replicas:
                if len(self.replicas) >= MOST_REPLICAS:
                    raise PageError(f"more than {MOST_REPLICAS} replicas")
                self.replicas.append(replica)
            self._take(changes.setdefault(replica, Changes()), replica, key, bound, value)
        ended = self._unbound(changes, gone)
        self._spread(changes)
        unseen = [place for place in ended if place[0] not in self._fell]
        self._fell.update(replica for replica, _, _ in unseen)
        self._vanish(changes, gone)
        for replica in self._fell:
            self._tell_all(replica, changes.setdefault(replica, Changes()))
        for replica, key, bound in unseen:  # so that whoever reads the changes sees that it fell
            changes[replica].buckets.setdefault(key, {})[bound or ""] = 0.0
        self._lines = lines
        return {replica: changes.get(replica, Changes()) for replica in self.replicas}

    def _told_by(self, lines: list[str]) -> dict[Place, float]:
        """The values of some lines; what stands there twice, as once a rank, counts once.

        A series is parsed when it is seen first; then its line differs in its value alone.
        """
        told: dict[Place, float] = {}
        strange = []
        for line in lines:
            series, _, value = line.rpartition(" ")
            place = self._places.get(series)
            try:
                number = float(value) if place is not None else None
            except ValueError:
                raise PageError(_unread(line)) from None
            if place is None or number is None:
                strange.append(line)
            elif isfinite(number):
                told.setdefault(place, number)
        for sample, line in zip(_samples(strange), strange, strict=False):
            place = _place(sample)
            if place[2] is not None and not _is_number(place[2]):
                raise PageError(_unread(line))
            if place[1].partition("{")[0] in _MEANT and _is_finite(sample.value):
                told.setdefault(place, sample.value)
                if sample.timestamp is None:
                    self._places[line.rpartition(" ")[0]] = place
        return told

    def _take(
        self, changes: Changes, replica: str, key: str, bound: str | None, value: float
    ) -> None:
        bare = key.partition("{")[0]
        if bound is not None:
            self._cumulative.setdefault((replica, key), {})[bound] = value
            changes.buckets[key] = {}
        elif (told := self._told.get((replica, key))) != value or (replica, key) in self._absent:
            self._told[replica, key] = value
            self._absent.discard((replica, key))
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
        for name, key in [absent for absent in self._absent if absent[0] == replica]:
            self._absent.discard((name, key))
            del self._told[name, key]
        for (name, key), value in self._told.items():
            if name == replica and key.partition("{")[0] in COUNTER_NAMES:
                changes.counters[key] = value
        for (name, key), alone in self._alone.items():
            if name == replica:
                changes.buckets[key] = dict(alone)

    def _gone(self, lines: Iterable[str], left: list[str]) -> list[Place]:
        """Whose series is no more on the page, in any value or spelling."""
        there = {line.rpartition(" ")[0] for line in lines} if left else set()
        gone = (one for line in left if (one := line.rpartition(" ")[0]) not in there)
        places = dict.fromkeys(self._places[one] for one in gone if one in self._places)
        still = {self._places.get(one) for one in there} if places else set()
        return [place for place in places if place not in still]

    def _unbound(self, changes: dict[str, Changes], gone: list[Place]) -> list[Place]:
        """Bounds of histograms that have others now: their counts are of these no more."""
        ended: list[Place] = []
        for replica, key, bound in gone:
            counts = self._cumulative.get((replica, key), {})
            if bound is not None and counts.pop(bound, None) is not None:
                if self._alone.get((replica, key), {}).pop(bound, 0.0):
                    ended.append((replica, key, bound))
                changes.setdefault(replica, Changes()).buckets.setdefault(key, {})
        return ended

    def _vanish(self, changes: dict[str, Changes], gone: list[Place]) -> None:
        """What is told no more is not known."""
        for replica, key, _ in gone:
            bare = key.partition("{")[0]
            if (replica, key) not in self._told:
                continue
            if bare in GAUGE_NAMES:
                changes.setdefault(replica, Changes()).gauges[key] = None
                del self._told[replica, key]
            elif bare in COUNTER_NAMES:
                changes.setdefault(replica, Changes()).counters[key] = None
                self._absent.add((replica, key))


def _is_number(text: str) -> bool:
    try:
        return not isnan(float(text))
    except ValueError:
        return False


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer that is too large for it
        return False


def _by_bound(item: tuple[str, float]) -> float:
    return float(item[0])


def _samples(lines: list[str]) -> Iterator[Sample]:
    """The samples of some lines, as prometheus-client reads them."""
    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            yield from family.samples
    except (ValueError, KeyError, IndexError) as error:
        raise PageError(_unread(str(error))) from None


def _unread(why: str) -> str:
    return f"a line that cannot be read: {one_line(why)[:_MOST_WORDS]}"


def _place(sample: Sample) -> Place:
    """Its replica, its name as told with the labels that are kept, and a bucket's bound."""
    prefix = next(prefix for prefix in PREFIXES if sample.name.startswith(prefix))
    name = PREFIXES[prefix] + sample.name.removeprefix(prefix)
    labels = sample.labels
    bound = labels.get("le") if name.endswith("_bucket") else None
    name = name.removesuffix("_bucket") if bound is not None else name.removesuffix("_total")
    kept = ",".join(f"{label}={labels[label]}" for label in KEPT_LABELS if label in labels)
    replica = next((labels[label] for label in REPLICA_LABELS if labels.get(label)), "0")
    return replica, f"{name}{{{kept}}}" if kept else name, bound

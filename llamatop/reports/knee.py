"""Where a curve of throughput and latency bends: the level with the most power.

Power is throughput over latency (Kleinrock, 1979): it rises while more requests bring more tokens,
and falls once they only wait longer. Knows figures of levels, not runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.figures.levels import LevelFigures


def power(figures: LevelFigures) -> float | None:
    """Output tokens per second, per second of mean end-to-end latency."""
    if not figures.output_rate or figures.e2e is None or figures.e2e.mean <= 0:
        return None
    return figures.output_rate / figures.e2e.mean


def knee(levels: Sequence[LevelFigures]) -> LevelFigures | None:
    """The level with the most power; None where the bend is not among them.

    That needs three levels, and a higher concurrency than the knee's.
    """
    known = [(power(figures), figures) for figures in levels if usable(figures)]
    powers = [(value, figures) for value, figures in known if value is not None]
    if len(powers) < 3:
        return None
    _, best = max(powers, key=lambda pair: pair[0])
    return best if best.concurrency < max(f.concurrency for _, f in powers) else None


def usable(figures: LevelFigures) -> bool:
    """Whether a level ran to its end with every request complete."""
    return figures.outcome == "ok" and figures.completed > 0 and figures.failed == 0

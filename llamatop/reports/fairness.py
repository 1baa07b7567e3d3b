"""What makes a comparison of two runs unfair, in words. Judges no figure."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.figures.contention import NOTABLE
from llamatop.figures.levels import LevelFigures
from llamatop.reports.runs import GUESSED, Run, differences

Pair = tuple[LevelFigures, LevelFigures]

_UNFAIR = {
    "prompt tokens": "other prompt lengths: the work is not the same",
    "tokens to generate": "other output lengths: the work is not the same",
    "arrivals": "requests arrive in another way: latencies hold another queue",
    "measured by": "measured by another tool, whose client has its own delays",
    "processor": "another processor",
    "accelerator": "another accelerator",
    "cores": "another number of cores",
    "system": "another operating system",
    "device": "another kind of device",
    "model": "another model",
    "weights": "other weights",
    "layers": "not the same layers of the model",
    "endpoint": "another endpoint: a chat template makes other prompts",
    "sampling sent": "other sampling: not the same tokens are generated",
    "tokens by": "tokens are counted in another way",
    "text decoded": "only one of them decoded its tokens to text, which costs time",
}


def warnings(baseline: Run, other: Run, pairs: Sequence[Pair], *, live: bool = False) -> list[str]:
    """Why the figures may differ for other reasons than the one looked for.

    What is `live` has not ended, and was not cut off.
    """
    differing = dict(differences([baseline, other]))
    foreign = [run for run in (baseline, other) if run.session.imported is not None]
    untold = [n for n in _UNFAIR if foreign and n in differing and None in differing[n]]
    found = [
        f"{why} ({' and '.join(value or 'unknown' for value in differing[name])})"
        for name, why in _UNFAIR.items()
        if name in differing and name not in untold
    ]
    if untold:
        found.append(f"not known of both, and perhaps not the same: {', '.join(untold)}")
    for run in (baseline, other):
        found += [] if live else _cut_off(run)
        imported = run.session.imported
        if run.told is not None and imported is not None:
            found.append(f"{run.name}: a table of {imported.title}'s own figures, not made anew")
        found += [f"{run.name}: {note}" for note in imported.notes] if imported else []
        found += [f"{run.name}: {GUESSED}"] if run.estimated else []
    found += _unpaired(baseline, other, pairs)
    for pair in pairs:
        found += _uneven(pair)
    return found


_HARMLESS = {"seed", "llamatop", "python"}
"""What two runs of one setting may differ in."""

_MUCH = 0.25
"""By this share of the larger the engine's cores may differ before that is a reason."""


def explained(
    ours: Sequence[LevelFigures],
    theirs: Sequence[LevelFigures],
    setup: Sequence[tuple[str, list[str | None]]],
) -> str:
    """What else than the setting could set a level of two sides apart; empty: nothing seen."""
    sides = (("the baseline", ours), ("the other", theirs))
    found = []
    for name, side in sides:
        taken = [one.contention for one in side if one.contention.wanting >= NOTABLE]
        if taken:
            most = max(taken, key=lambda one: one.wanting)
            found.append(
                f"other processes took {most.others_cores:.1f} cores from {name} "
                f"(its engine had {most.engine_cores:.1f})"
            )
    slowed = [{reason for one in side for reason in one.contention.slowed} for _, side in sides]
    if slowed[0] != slowed[1]:
        slower = int(bool(slowed[1] - slowed[0]))
        reasons = ", ".join(sorted(slowed[slower] - slowed[1 - slower]))
        found.append(f"the device slowed itself down in {sides[slower][0]} ({reasons})")
    return "; ".join(found) or _uneven_cores(ours, theirs, setup)


def same_setting(one: Run, other: Run) -> bool:
    """Whether nothing that matters was another in two runs."""
    return all(name in _HARMLESS for name, _ in differences([one, other]))


def _uneven_cores(
    ours: Sequence[LevelFigures],
    theirs: Sequence[LevelFigures],
    setup: Sequence[tuple[str, list[str | None]]],
) -> str:
    """Of one setting the engine had far fewer cores on one side."""
    if any(name not in _HARMLESS for name, _ in setup):
        return ""
    had = [[f.contention.engine_cores for f in side] for side in (ours, theirs)]
    known = [[cores for cores in side if cores is not None] for side in had]
    if not all(known):
        return ""
    first, second = (sum(side) / len(side) for side in known)
    if abs(first - second) <= _MUCH * max(first, second):
        return ""
    return f"the engine had {first:.2f} cores in the baseline and {second:.2f} in the other"


def _end(figures: LevelFigures) -> str:
    return figures.outcome or "not at all"


def _cut_off(run: Run) -> list[str]:
    return [] if run.session.ended else [f"{run.name} has no end: it is not the whole run"]


def _unpaired(baseline: Run, other: Run, pairs: Sequence[Pair]) -> list[str]:
    """The levels that only one of them ran."""
    found = []
    for side, run in enumerate((baseline, other)):
        used = {pair[side].level for pair in pairs}
        alone = [str(f.concurrency) for f in run.figures if f.level not in used]
        if alone:
            found.append(f"only {run.name} ran concurrency {', '.join(alone)}: left out")
    return found


def _uneven(pair: Pair) -> list[str]:
    """What is not the same within one level."""
    first, second = pair
    at = f"at concurrency {first.concurrency}"
    found = []
    if first.failed or second.failed:
        found.append(f"{at}: {first.failed} and {second.failed} requests failed")
    if first.outcome != second.outcome:
        found.append(f"{at}: one ended {_end(first)}, the other {_end(second)}")
    tokens = [f.output_tokens / f.requests for f in pair if f.requests and f.output_tokens]
    if len(tokens) == 2 and abs(tokens[0] - tokens[1]) > 0.02 * max(tokens):
        found.append(f"{at}: {tokens[0]:.1f} and {tokens[1]:.1f} tokens generated a request")
    return found

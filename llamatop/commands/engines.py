"""`--serve` given twice: one plan on each of the servers in turn, and compared in the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llamatop.commands.record import Recorded, record_one
from llamatop.commands.show import print_summaries
from llamatop.errors import InputError
from llamatop.events.sanitize import one_line
from llamatop.recording.default_path import default_path, numbered
from llamatop.run.pump import Sink
from llamatop.serve.plans import plan_for
from llamatop.settings.config import RunConfig

if TYPE_CHECKING:
    from llamatop.reports.compare import Comparison

EXIT_BAD_INPUT = 2


def record_each(
    configs: Sequence[RunConfig],
    out: str | None,
    keep_text: bool,
    as_json: bool,
    verbose: bool = False,
    *,
    sinks: Sequence[Sink] = (),
) -> int:
    """Run each config to its end; the exit code, the first that is not 0.

    Raises InputError where one of them could not be started at all, before any is. One that is
    refused later does not keep the others from running.
    """
    for config in configs:
        plan_for(config)
    path = Path(out or default_path(configs[0].called))
    done: list[Recorded] = []
    refused = 0
    for place, config in enumerate(configs, 1):
        print(f"server {place} of {len(configs)}: {one_line(config.serve or '')}", file=sys.stderr)
        where = numbered(path, place)
        try:
            done.append(record_one(config, where, keep_text, verbose=verbose, sinks=sinks))
        except InputError as refusal:
            print(f"llamatop: {one_line(str(refusal))}", file=sys.stderr)
            refused = EXIT_BAD_INPUT
        if done and done[-1].caught is not None:
            break
    _print([one for one in done if one.shown.session.ended], as_json, abs(configs[0].seed))
    if done and done[-1].caught is not None:
        return done[-1].code
    return next((one.code for one in done if one.code), refused)


def _print(done: Sequence[Recorded], as_json: bool, seed: int) -> None:
    """What each measured, and how the others differ from the first."""
    from llamatop.reports.comparison_json import comparisons_json
    from llamatop.reports.text import comparison_text

    shown = [one.shown for one in done]
    compared = _compared([one.path for one in shown if one.path is not None], seed)
    more = comparisons_json(compared, [[] for _ in compared])
    print_summaries(as_json, shown, {"comparisons": more})
    for comparison in [] if as_json else compared:
        print(f"\n\n\n{comparison_text(comparison)}")


def _compared(paths: Sequence[str], seed: int) -> list[Comparison]:
    """Each recording but the first with the first."""
    from llamatop.commands.recordings import open_all
    from llamatop.reports.compare import compare

    if len(paths) < 2:
        return []
    baseline, *others = open_all(paths)
    return [compare(baseline, other, seed) for other in others]

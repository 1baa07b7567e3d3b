"""`llamatop compare BASELINE FILE…`: recordings side by side, and a gate for CI."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from llamatop.commands.parser import Parser, theme
from llamatop.errors import InputError
from llamatop.text.formatting import minus

if TYPE_CHECKING:
    from llamatop.reports.compare import Comparison
    from llamatop.reports.gate import Gate, Verdict
    from llamatop.reports.slices import Whole

_DESCRIPTION = "Recordings side by side; the first is the baseline."


_EXAMPLES = """\
  llamatop compare before.parquet after.parquet
  llamatop compare before.parquet after.parquet --tui
  llamatop compare before.parquet after.parquet --fail-if "output_tok_s<-5%"
  llamatop compare a.1.parquet a.2.parquet --against b.1.parquet b.2.parquet
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(prog="llamatop compare", examples=_EXAMPLES, description=_DESCRIPTION)
    add = parser.add_argument
    add("baseline", metavar="BASELINE", help="what the others are held against")
    add("others", nargs="*", metavar="FILE", help="recordings, or other tools' results")
    add("--against", nargs="+", metavar="FILE", default=[],
        help="several runs of one plan (--runs) against these of another: the files before are "
        "all of the baseline")  # fmt: skip
    add("--fail-if", action="append", default=[], metavar="CONDITION",
        help='exit 1 if it holds at any level, as "output_tok_s<-5%%"; '
        '"ttft_s.p99@8>10%%" is about concurrency 8 only')  # fmt: skip
    add("--seed", type=int, default=0, help="of the resampling (0)")
    add("--json", action="store_true", help="one JSON object on stdout")
    add("--tui", action="store_true",
        help="on the screen, with their histories (two to six recordings)")  # fmt: skip
    add("--theme", type=theme, help="the screen's colours")
    return parser


def main(arguments: list[str]) -> int:
    """Compare recordings; the exit code, 1 where a condition of --fail-if holds."""
    args = command_line().parse_args(arguments)
    if not args.others and not args.against:
        raise InputError("one recording: give another one to compare it with, or --against FILE…")
    if args.tui:
        if args.json or args.fail_if:
            raise InputError("--tui: the screen has no --json and no --fail-if; leave it out")
        return _show([args.baseline, *args.others, *args.against], args.theme)
    from llamatop.commands.recordings import open_all
    from llamatop.reports.compare import compare, compare_groups
    from llamatop.reports.gate import parse
    from llamatop.reports.slices import whole

    gates = [parse(text) for text in args.fail_if]
    seed = abs(args.seed)
    baseline, *others = open_all([args.baseline, *args.others])
    if args.against:
        comparisons = [compare_groups([baseline, *others], open_all(args.against), seed)]
        wholes: list[list[Whole]] = [[]]
    else:
        comparisons = [compare(baseline, other, seed) for other in others]
        wholes = [whole(baseline, other) for other in others]
    return tell(comparisons, wholes, gates, args.json)


def tell(
    comparisons: list[Comparison], wholes: list[list[Whole]], gates: list[Gate], as_json: bool
) -> int:
    """Print comparisons, and what became of the conditions; 1 where one of those holds."""
    verdicts = _judged(gates, comparisons)
    _print(comparisons, wholes, verdicts, as_json)
    return 1 if any(verdict.held for verdict in verdicts) else 0


def _show(files: list[str], theme: str | None) -> int:
    """The compare screen; the exit code."""
    from llamatop.commands.desk import Desk
    from llamatop.commands.recordings import open_all
    from llamatop.commands.screen import show
    from llamatop.commands.terminal import need_terminal
    from llamatop.run.controls import Idle
    from llamatop.run.pump import Pump
    from llamatop.session.reducer import Session
    from llamatop.tui.app import LlamatopApp
    from llamatop.tui.compare.letters import MOST

    if len(files) > MOST:
        raise InputError(f"--tui: {len(files)} recordings; at most {MOST} find room side by side")
    need_terminal("llamatop compare without --tui prints the differences")
    runs = open_all(files)
    gc.enable()  # which lasts, unlike the reading
    if len(runs) > MOST:
        raise InputError(f"--tui: {len(runs)} runs in them; at most {MOST} find room side by side")
    desk = Desk()
    app = LlamatopApp(Pump(Idle(), Session()), launcher=desk, comparing=runs, theme=theme)
    return show(app, desk)


def _judged(gates: list[Gate], comparisons: list[Comparison]) -> list[Verdict]:
    from llamatop.reports.gate import judge

    return [judge(gate, comparison) for gate in gates for comparison in comparisons]


def _print(
    comparisons: list[Comparison],
    wholes: list[list[Whole]],
    verdicts: list[Verdict],
    as_json: bool,
) -> None:
    if as_json:
        from llamatop.reports.comparison_json import comparison_json

        print(comparison_json(comparisons, wholes, verdicts))
        return
    from llamatop.reports.text import comparison_text, whole_text

    blocks = []
    for comparison, levels in zip(comparisons, wholes, strict=True):
        extra = f"\n\n{whole_text(levels)}" if levels else ""
        blocks.append(comparison_text(comparison) + extra)
    print("\n\n\n".join(blocks))
    for verdict in verdicts:
        told = "failed" if verdict.held else "not failed"
        print(f"llamatop: {told}: {verdict.gate}: {minus(verdict.reason)}", file=sys.stderr)

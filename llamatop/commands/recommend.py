"""`llamatop recommend FILE…`: the settings to use, and why."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from llamatop.commands.parser import Parser
from llamatop.errors import InputError
from llamatop.figures.targets import SHARE

if TYPE_CHECKING:
    from llamatop.reports.recommend import Recommendation
    from llamatop.reports.runs import Run


_EXAMPLES = """\
  llamatop recommend run.parquet
  llamatop recommend run.parquet --goal slo --slo ttft=0.5,tpot=0.05
  llamatop recommend run.parquet --goal latency --json
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop recommend", examples=_EXAMPLES, description="The settings to use, and why."
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="recordings")
    add("--goal", choices=("throughput", "latency", "slo"),
        help="throughput and latency where none is said; slo with --slo")  # fmt: skip
    add("--slo", metavar="T", help="targets in seconds, as ttft=0.5,tpot=0.05")
    add("--share", type=float, default=SHARE, metavar="X",
        help=f"of a level's requests that shall keep the targets ({SHARE})")  # fmt: skip
    add("--json", action="store_true", help="one JSON object on stdout")
    return parser


def main(arguments: list[str]) -> int:
    """Recommend from recordings; the exit code."""
    args = command_line().parse_args(arguments)
    from llamatop.commands.recordings import open_all
    from llamatop.reports.recommend import recommend_all
    from llamatop.settings.config import parse_slo

    slo = parse_slo(args.slo) if args.slo is not None else None
    if not 0 < args.share <= 1:
        raise InputError(f"--share {args.share:g}: must be a share above 0 and up to 1, as 0.95")
    if args.goal == "slo" and slo is None:
        raise InputError("--goal slo: say the targets, as in --slo ttft=0.5,tpot=0.05")
    goals = [args.goal] if args.goal else ["throughput", "latency", *(["slo"] if slo else [])]
    runs = open_all(args.files)
    found = recommend_all(runs, goals, slo, args.share)
    _print(runs, found, args.json)
    return 0


def _print(runs: list[Run], found: list[Recommendation], as_json: bool) -> None:
    from llamatop.reports.answer import answer
    from llamatop.reports.model_table import MODEL_HEAD, model_cells, model_table
    from llamatop.reports.text import columns, recommendation_text

    rows = model_table(runs)
    if as_json:
        told = {
            "schema": 1,
            "recommendations": [asdict(one) for one in found],
            "models": [asdict(row) for row in rows],
        }
        print(json.dumps(told, indent=1))
        return
    first = next((run for run in runs if run.name == found[0].run), runs[0])
    if words := " ".join(answer(first.session, first.figures)):
        print(f"{first.name}: {words}" if len(runs) > 1 else words, end="\n\n")
    if len(runs) > 1:
        print(columns(MODEL_HEAD, [model_cells(row) for row in rows]), end="\n\n")
    print("\n\n".join(recommendation_text(one) for one in found))

"""`llamatop ab`: two settings by turns in one run, until it is decided."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from llamatop.commands.parser import Parser
from llamatop.errors import InputError

if TYPE_CHECKING:
    from llamatop.reports.compare import Comparison
    from llamatop.reports.gate import Gate
    from llamatop.run.trial import Trial
    from llamatop.run.turns import Limits, Side
    from llamatop.settings.config import RunConfig

ROUNDS = 6
"""Each A B B A: two pairs."""

MAX_ROUNDS = 200

_DESCRIPTION = """Two settings by turns (A B B A, both alive), compared pair by pair. What is given
beside --a and --b goes to both, as for llamatop --record."""


_EXAMPLES = """\
  llamatop ab --a "--engine batch" --b "--engine continuous" --concurrency 8
  llamatop ab --a "--dtype float32" --b "--dtype bfloat16" --until-decided 0.02 --max-time 600
  llamatop ab --a "--url http://one:8000" --b "--url http://two:8000" --concurrency 8 --json
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop ab", examples=_EXAMPLES, description=_DESCRIPTION, allow_abbrev=False
    )
    add = parser.add_argument
    add("--a", required=True, metavar="OPTIONS", help='the baseline, as --a "--engine batch"')
    add("--b", required=True, metavar="OPTIONS", help="what is held against it, likewise")
    add("--rounds", type=int, default=ROUNDS, metavar="N",
        help=f"A B B A so many times at most ({ROUNDS})")  # fmt: skip
    add("--until-decided", type=float, metavar="X",
        help="end when throughput is known to be faster, slower, or the same within this share, "
        "as 0.02")  # fmt: skip
    add("--max-time", type=float, metavar="S", help="seconds of the whole, at most (none)")
    add("--fail-if", action="append", default=[], metavar="CONDITION",
        help="exit 1 if it holds, as for llamatop compare")  # fmt: skip
    add("--out", metavar="FILE", help="the recordings, NAME.a.parquet and NAME.b.parquet")
    add("--json", action="store_true", help="one JSON object on stdout, as of compare")
    return parser


def main(arguments: list[str]) -> int:
    """Run both by turns; the exit code, 1 where a run failed or a condition of --fail-if holds."""
    args, both = command_line().parse_known_args(_bound(arguments))
    _check(args.rounds, args.until_decided, args.max_time)
    from llamatop.reports.gate import parse
    from llamatop.run.turns import Limits

    gates = [parse(text) for text in args.fail_if]
    configs = (_config(args.a, both), _config(args.b, both))
    limits = Limits(args.rounds, args.max_time)
    return _run(
        configs, args.out, limits, within=args.until_decided, gates=gates, as_json=args.json
    )


def _bound(arguments: list[str]) -> list[str]:
    """Each side's options bound to its name: a single one of them would look like another option
    of the command."""
    bound: list[str] = []
    for word in arguments:
        if bound and bound[-1] in ("--a", "--b"):
            bound[-1] += f"={word}"
        else:
            bound.append(word)
    return bound


def _check(rounds: int, within: float | None, max_time: float | None) -> None:
    if not 1 <= rounds <= MAX_ROUNDS:
        raise InputError(f"--rounds {rounds}: must be between 1 and {MAX_ROUNDS}")
    if within is not None and not 0 < within < 1:
        raise InputError(f"--until-decided {within:g}: must be a share between 0 and 1, as 0.02")
    if max_time is not None and not max_time > 0:
        raise InputError(f"--max-time {max_time:g}: must be more than 0 seconds")


def _config(own: str, both: list[str]) -> RunConfig:
    """The settings of one side. Raises InputError where they cannot be."""
    from llamatop.commands.asked import config_of

    try:
        words = shlex.split(own)
    except ValueError as error:
        raise InputError(f"--a and --b: {own!r} cannot be read as options: {error}") from None
    config = config_of(["--record", *both, *words])
    if len(config.concurrency) > 1:
        raise InputError("ab: one --concurrency, since each turn is one level")
    if config.until_oom or config.until_slo:
        raise InputError("ab: --until-oom and --until-slo look for an end, and compare nothing")
    return config


def _run(
    configs: tuple[RunConfig, RunConfig],
    out: str | None,
    limits: Limits,
    *,
    within: float | None,
    gates: list[Gate],
    as_json: bool,
) -> int:
    from llamatop.commands.terminal import has_terminal
    from llamatop.predict.prepare import measure_once
    from llamatop.recording.default_path import default_path
    from llamatop.recording.writer import Recorder
    from llamatop.run.live import LiveRun
    from llamatop.run.pump import Pump
    from llamatop.run.trial import Trial
    from llamatop.run.turns import Side
    from llamatop.session.reducer import Session

    for config in configs:
        if config.loads_model:
            measure_once(config, lambda _: None)
    path = Path(out or default_path(configs[0].called))
    paths = [_of_side(path, name) for name in "ab"]
    recorders = [Recorder(one) for one in paths]
    a, b = (
        Side(live, Pump(live, Session(), [recorder]))
        for recorder, live in zip(
            recorders, (LiveRun(config, waits=True) for config in configs), strict=True
        )
    )
    first, second = (one.name.removesuffix(".parquet") for one in paths)
    screen = has_terminal() and not as_json
    trial = Trial(
        (a, b), (first, second), limits, within=within,
        tell=None if screen else partial(_tell_round, limits.rounds),
    )  # fmt: skip
    try:
        code = _on_screen(trial) if screen else _headless(trial)
    except InputError:
        for recorder in recorders:
            recorder.discard()
        raise
    for recorder in recorders:
        recorder.close()
        if recorder.error is not None:
            print(f"recording stopped: {recorder.error}", file=sys.stderr)
    when = f"after {trial.turns.done} of {limits.rounds} rounds"
    held = _tell(trial.found(), gates, as_json, when, paths)
    failed = [_failed(name, side) for name, side in trial.turns.sides.items()]
    stopped = any(recorder.error is not None for recorder in recorders)
    return code or int(held or stopped or any(failed))


def _failed(name: str, side: Side) -> bool:
    """Say why a side failed, and what its server printed last; False where it did not."""
    from llamatop.commands.ending import lost_server
    from llamatop.commands.show import print_log
    from llamatop.reports.outcome import failure

    why = failure(side.pump.session)
    if why is not None:
        print(f"llamatop: {name}: {why}", file=sys.stderr)
        print_log(side.live.server_printed if lost_server(side.pump.session) else [], "server")
    return why is not None


def _headless(trial: Trial) -> int:
    """Run it to its end; the exit code of a signal, else 0."""
    from llamatop.run.headless import Signals
    from llamatop.run.turns import by_turns

    with Signals() as signals:
        by_turns(trial.turns, signals)
    return 0 if signals.caught is None else 128 + signals.caught


def _on_screen(trial: Trial) -> int:
    """Run it on the compare screen until that is left; the exit code."""
    from llamatop.commands.desk import Desk
    from llamatop.commands.screen import show
    from llamatop.run.controls import Idle
    from llamatop.run.pump import Pump
    from llamatop.session.reducer import Session
    from llamatop.tui.app import LlamatopApp

    desk = Desk()
    app = LlamatopApp(Pump(Idle(), Session()), launcher=desk, trial=trial)
    try:
        return show(app, desk)
    finally:
        trial.turns.close(stopped=True)


def _tell_round(rounds: int, done: int, found: Comparison) -> None:
    print(f"round {done} of {rounds}: {found.verdict}", file=sys.stderr)


def _of_side(path: Path, name: str) -> Path:
    return path.with_name(f"{path.name.removesuffix('.parquet')}.{name}.parquet")


def _tell(found: Comparison, gates: list[Gate], as_json: bool, when: str, paths: list[Path]) -> int:
    """Say what was found; 1 where a condition holds."""
    from llamatop.commands.compare import tell

    held = tell([found], [[]], gates, as_json)
    if not as_json:
        print(f"\n{when}; recordings: {', '.join(str(path) for path in paths)}")
    return held

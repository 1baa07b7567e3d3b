"""The command line: what was asked, handed to whoever does it. Imports nothing heavy by itself.

stdout is data, stderr is narration. Exit codes: 0 done, 1 the run failed, 2 bad input in one
line, 128 + n stopped by signal n.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from llamatop import __version__
from llamatop.errors import InputError

_DESCRIPTION = """\
htop for LLM inference: run a model, watch every request, record it, replay it.

  llamatop                  the terminal UI: watch a model answer requests
  llamatop --record         no UI: run, record, print a summary
  llamatop replay FILE      the same UI on a recording (--json: its summary)
  llamatop models           what can be run here
"""


class _Parser(argparse.ArgumentParser):
    """Bad input is one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run llamatop; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = _COMMANDS.get(arguments[0]) if arguments else None
    try:
        code = _run(arguments) if command is None else command(arguments[1:])
        sys.stdout.flush()
    except InputError as error:
        print(f"llamatop: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    return code


def _run_parser() -> _Parser:
    parser = _Parser(
        prog="llamatop",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"llamatop {__version__}")
    add("--record", action="store_true", help="no UI: run, record, print a summary")
    add("--model", metavar="M", help="a Hugging Face id, a local folder, or demo (the default)")
    add("--weights", choices=("auto", "random"), default="auto",
        help="random: the exact architecture, its text noise")  # fmt: skip
    add("--layers", type=int, metavar="N", help="keep the first N layers only")
    add("--engine", default="auto", choices=("auto", "continuous", "batch", "threads", "scripted"),
        help="who generates (auto: what measures fastest on the device)")  # fmt: skip
    add("--concurrency", type=int, nargs="+", metavar="N",
        help="requests in flight, one level after another (1; the UI 4)")  # fmt: skip
    add("--requests", type=int, metavar="N",
        help="measured requests per level (4 x concurrency; the UI: until stopped)")  # fmt: skip
    add("--max-time", type=float, metavar="S", help="seconds per level at most")
    add("--prompt-toks", type=int, default=128, metavar="N", help="tokens in (128)")
    add("--gen-toks", type=int, metavar="N", help="tokens out (32; the UI 200)")
    add("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    add("--seed", type=int, default=0, help="the run can be repeated (0)")
    add("--out", metavar="FILE", help="the recording (recordings/<time>-<model>.parquet)")
    add("--no-save", action="store_true", help="the UI: record nothing")
    add("--record-text", action="store_true", help="keep the generated text in the recording")
    add("--json", action="store_true", help="one JSON object on stdout")
    add("--theme", help="the UI's colours")
    return parser


def _run(arguments: list[str]) -> int:
    args = _run_parser().parse_args(arguments)
    return _record(args) if args.record else _watch(args)


def _config(args: argparse.Namespace, **defaults: Any) -> Any:
    from llamatop.config import RunConfig, checked

    return checked(
        RunConfig(
            model=args.model or "demo",
            weights=args.weights,
            layers=args.layers,
            engine=args.engine,
            concurrency=tuple(args.concurrency or defaults["concurrency"]),
            requests=args.requests,
            endless=defaults["endless"] and args.requests is None,
            max_time=args.max_time,
            prompt_toks=args.prompt_toks,
            gen_toks=args.gen_toks if args.gen_toks is not None else defaults["gen_toks"],
            dtype=args.dtype,
            device=args.device,
            seed=args.seed,
            text=defaults["text"] or args.record_text,
        )
    )


def _record(args: argparse.Namespace) -> int:
    from llamatop import headless
    from llamatop.live import LiveRun
    from llamatop.pump import Pump
    from llamatop.recording.place import default_path
    from llamatop.recording.writer import Recorder
    from llamatop.session import Session

    config = _config(args, concurrency=(1,), endless=False, gen_toks=32, text=False)
    path = args.out or str(default_path(config.model))
    recorder = Recorder(path, keep_text=args.record_text)
    live = LiveRun(config)
    pump = Pump(live, Session(), [recorder])
    caught = headless.run(live, pump)
    if pump.session.refused is not None:
        recorder.discard()
        raise InputError(pump.session.refused)
    recorder.close()
    _print_summary(args.json, pump.session, None if recorder.error else path)
    if caught is not None:
        return 128 + caught
    return 0 if live.outcome == "ok" and not _failures(pump.session) else 1


def _failures(session: Any) -> bool:
    return any(request.state == "failed" for request in session.requests.values())


def _print_summary(as_json: bool, session: Any, path: str | None) -> None:
    from llamatop.reports.summary import summary, table

    if as_json:
        import json

        print(json.dumps(summary(session, path), indent=1))
    else:
        print(table(session))
        print(f"\nrecording: {path}" if path else "\nrecording: none")


def _watch(args: argparse.Namespace) -> int:
    from llamatop.live import LiveRun
    from llamatop.pump import Pump
    from llamatop.session import Session

    _need_terminal("llamatop --record runs without one")
    config = _config(args, concurrency=(4,), endless=True, gen_toks=200, text=True)
    pump = Pump(LiveRun(config), Session())
    recorder = None
    if not args.no_save:
        from llamatop.recording.place import default_path
        from llamatop.recording.writer import Recorder

        recorder = Recorder(args.out or str(default_path(config.model)), args.record_text)
        pump.sinks.append(recorder)
    code = _show(pump, live=pump.source, recorder=recorder, theme=args.theme)
    if pump.session.refused is not None:
        if recorder is not None:
            recorder.discard()
        raise InputError(pump.session.refused)
    if recorder is not None:
        recorder.close()
    return code


def _show(pump: Any, **parts: Any) -> int:
    from llamatop.tui.app import LlamatopApp, run_app

    return run_app(LlamatopApp(pump, **parts))


def _need_terminal(instead: str) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(f"the screen needs a terminal on stdin and stdout; {instead}")


def _replay(arguments: list[str]) -> int:
    parser = _Parser(prog="llamatop replay", description="Show a recording as it was.")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="8: eight times")
    parser.add_argument("--json", action="store_true", help="no UI: the summary")
    parser.add_argument("--theme", help="the UI's colours")
    args = parser.parse_args(arguments)
    if not 0 < args.speed <= 1000:
        raise InputError(f"--speed {args.speed:g}: must be more than 0 and at most 1000")
    if not args.json:
        _need_terminal("llamatop replay FILE --json prints the summary")
    from llamatop.recording.reader import open_recording
    from llamatop.replay import Replay, fold

    recording = open_recording(args.file)
    for notice in recording.notices:
        print(f"llamatop: {notice}", file=sys.stderr)
    if args.json:
        _print_summary(True, fold(recording.events), args.file)
        return 0
    from llamatop.pump import Pump
    from llamatop.session import Session

    replay = Replay(recording.events, speed=args.speed)
    return _show(Pump(replay, Session()), replay=replay, theme=args.theme)


def _models(arguments: list[str]) -> int:
    parser = _Parser(prog="llamatop models", description="What can be run here.")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    from llamatop.reports.models import models_json, models_table

    print(models_json() if args.json else models_table())
    return 0


_COMMANDS: dict[str, Callable[[list[str]], int]] = {"replay": _replay, "models": _models}
"""Each command by its name; anything else is a run."""

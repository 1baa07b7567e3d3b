"""`llamatop` and `llamatop --record`: a live run, with the screen or without."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from typing import TYPE_CHECKING, cast

from llamatop import __version__
from llamatop.commands.parser import Parser, theme
from llamatop.errors import InputError

if TYPE_CHECKING:
    from llamatop.reports.tally import Tally
    from llamatop.settings.config import RunConfig
    from llamatop.settings.prompt_lines import FilePrompt

EXIT_DOES_NOT_FIT = 3
"""With --check-oom: the smallest level asked for does not fit."""

UNTIL_CI_SECONDS = 120.0
"""Per level at most with --until-ci, where no --max-time is given."""

AT_ONCE = 256
"""Requests in flight at most while a file's times are replayed, where nothing is asked for."""

AT_ONCE_HERE = 16
"""The same where the model runs in process: their caches are in this machine's memory."""

_DESCRIPTION = """\
htop for LLM inference: run a model, watch every request, record it, replay it.

  llamatop                  the terminal UI: watch a model answer requests
  llamatop --record         no UI: run, record, print a summary
  llamatop --url U          drive a running server (vLLM, llama.cpp, …) instead
  llamatop --serve CMD      start a server, drive it and end it  [--serve llama.cpp]
  llamatop attach           watch running servers that others drive  [--url U, --record]
  llamatop replay FILE      the same UI on a recording (--json: its summary)
  llamatop show FILE        what is in it, and what went wrong, as text  [--json]
  llamatop check            will it fit, and how fast can it be, before anything is loaded
  llamatop models           what can be run here
  llamatop plot FILE        charts as PNG and SVG  [--terminal, --html FILE]
  llamatop compare A B      runs side by side  [--fail-if "output_tok_s<-5%"]
  llamatop ab --a … --b …   two settings by turns in one run, until it is decided
  llamatop recommend FILE   the settings to use, and why
  llamatop export FILE      its tables as csv, json, jsonl, parquet; perfetto, openmetrics, markdown
  llamatop import FILE      other tools' results as recordings  --out FOLDER
  llamatop web              the UI, or a recording, in a browser
  llamatop roofline         this machine's measured bandwidth and arithmetic
  llamatop doctor           what works here and what does not
  llamatop completion SHELL what completes these words in a shell

Each has a --help of its own.
"""

_EXAMPLES = """\
  llamatop --model demo --concurrency 4
  llamatop --record --model demo --concurrency 1 2 4 8 --out run.parquet --json
  llamatop --model meta-llama/Llama-3.1-8B-Instruct --weights random
  llamatop --record --concurrency 1 4 16 --until-ci 0.02
  llamatop --record --concurrency 64 --rate 5 --requests 300
  llamatop --url http://127.0.0.1:8000 --concurrency 8
  llamatop --record --serve vllm --model Qwen/Qwen3-0.6B --concurrency 1 8 64
  llamatop --record --url http://127.0.0.1:8000 --until-slo --slo ttft=0.5,tpot=0.05
"""


def command_line() -> Parser:
    """What a run can be asked."""
    parser = Parser(
        prog="llamatop",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"llamatop {__version__}")
    add("--record", action="store_true", help="no UI: run, record, print a summary")
    add("--model", metavar="M",
        help="a Hugging Face id, a local folder, or demo; with --url the server's name for it "
        "(the only one that it lists)")  # fmt: skip
    add("--weights", choices=("auto", "random"), default="auto",
        help="random: the exact architecture, its text noise")  # fmt: skip
    add("--layers", type=int, metavar="N", help="keep the first N layers only")
    add("--engine", default="auto",
        choices=("auto", "continuous", "batch", "threads", "server", "scripted"),
        help="who generates (auto: what measures fastest on the device; "
        "with --url the server)")  # fmt: skip
    add("--concurrency", type=int, nargs="+", metavar="N",
        help="requests in flight, one level after another (1; the UI 4)")  # fmt: skip
    add("--requests", type=int, metavar="N",
        help="measured requests per level (8 x concurrency; the UI: until stopped)")  # fmt: skip
    add("--runs", type=int, metavar="N", default=1,
        help="the whole plan so many times, its levels in another order each time, a recording "
        "each: NAME.1.parquet, … (1)")  # fmt: skip
    add("--rate", type=float, metavar="R",
        help="open loop: arrivals per second, --concurrency of them at once at most")  # fmt: skip
    add("--burstiness", type=float, default=1.0, metavar="X",
        help="with --rate or --ramp: gamma arrivals, 1 is Poisson, less is bursty (1)")  # fmt: skip
    add("--ramp", metavar="A:B",
        help="open loop: arrivals per second from A to B over --max-time")  # fmt: skip
    add("--speed", type=float, default=1.0, metavar="X",
        help="prompts of a file with times arrive so many times as fast (1)")  # fmt: skip
    add("--slo", metavar="T", help="targets in seconds for goodput, as ttft=0.5,tpot=0.05")
    add("--max-time", type=float, metavar="S",
        help="seconds per level at most (none; with --until-ci 120); "
             "--requests ends it too")  # fmt: skip
    add("--until-ci", type=float, metavar="X",
        help="end a level when half the 95 %% confidence interval of its steady throughput is at "
        "most this share of it, as 0.05 (--requests and --max-time end it too)")  # fmt: skip
    add("--prompt-toks", metavar="N",
        help="tokens in (128), or drawn: 64:512, normal:256,64 or lognormal:256,64")  # fmt: skip
    add("--gen-toks", metavar="N", help="tokens out (32; the UI 200), or drawn likewise")
    add("--prompts", metavar="FILE",
        help='from a JSONL file, a line as {"prompt": "...", "output_tokens": 64}')  # fmt: skip
    add("--prefix-toks", type=int, default=0, metavar="N",
        help="every prompt begins with one of --prefixes shared beginnings of N tokens, before "
        "--prompt-toks of its own; prefix caching is then on")  # fmt: skip
    add("--prefixes", type=int, default=1, metavar="K", help="how many beginnings (1)")
    add("--turns", type=int, metavar="N",
        help="conversations of N requests, each with the history (1; of a file its lines' user "
        "turns, and 1 asks each line as it stands)")  # fmt: skip
    add("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto",
        help="of weights and arithmetic (auto: the checkpoint's)")  # fmt: skip
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    add("--quantize", choices=("none", "int8", "int4"), default="none",
        help="weights of linear layers in 8 or 4 bits, by bitsandbytes")  # fmt: skip
    add("--offload", choices=("none", "cpu", "disk"), default="none",
        help="for a model too large for the device: its weights stay in the host's memory or on "
        "disk, and come layer by layer")  # fmt: skip
    add(
        "--tp",
        type=int,
        default=1,
        metavar="N",
        help="tensor parallel: each layer is shared by N processes, a GPU each (1)",
    )
    add("--seed", type=int, default=0, help="the run can be repeated (0)")
    add("--out", metavar="FILE", help="the recording (recordings/<time>-<model>.parquet)")
    add("--no-save", action="store_true", help="the UI: record nothing")
    add("--record-text", action="store_true", help="keep the generated text in the recording")
    add("--check-oom", action="store_true",
        help="predict first, and stop with the verdict if it cannot fit (exit 3)")  # fmt: skip
    add("--until-oom", action="store_true",
        help="double the concurrency until memory ends, then find the most that works")  # fmt: skip
    add("--until-slo", action="store_true",
        help="raise the concurrency (with --rate: the rate) until --slo is kept by less than "
        "--share of the requests, then find the most that keeps it")  # fmt: skip
    add("--share", type=float, default=0.95, metavar="X",
        help="of a level's requests that shall keep --slo (0.95)")  # fmt: skip
    add("--memory", metavar="SIZE",
        help="the engine may take so much on a CPU, as 2GB (all there is, less 5 %%)")  # fmt: skip
    add("--listen", metavar="HOST:PORT",
        help="this run's figures for Prometheus, as 127.0.0.1:9400 (off)")  # fmt: skip
    add("--json", action="store_true", help="one JSON object on stdout")
    add("--verbose", action="store_true",
        help="tell of each request, and what the engine's libraries print, on stderr")  # fmt: skip
    add("--theme", type=theme, help="the UI's colours")
    _add_servers(parser)
    return parser


def _add_servers(parser: Parser) -> None:
    """What drives servers that run."""
    add = parser.add_argument_group(
        "drive running servers", "instead of a model of our own: --url, and what goes with it"
    ).add_argument
    add("--url", metavar="U", nargs="+", action="extend", default=[],
        help="OpenAI-compatible servers, with or without /v1; several share the load "
        "in turn")  # fmt: skip
    add("--serve", metavar="CMD", action="append", default=[],
        help="start this server, drive it and end it: a command with {model} and {port}, "
        "no shell")  # fmt: skip
    add("--serve-timeout", type=float, metavar="S", default=600.0,
        help="it must be ready within so long (600)")  # fmt: skip
    add("--endpoint", choices=("completions", "chat"), default="completions",
        help="where requests go: /v1/completions, or /v1/chat/completions")  # fmt: skip
    add("--tokenizer", metavar="ID",
        help="a Hugging Face id or a folder: prompts of exact length where the server takes no "
        "token ids")  # fmt: skip
    add("--api-key-env", metavar="NAME",
        help="the variable that holds the servers' key (OPENAI_API_KEY, if set)")  # fmt: skip
    add("--header", metavar="NAME=VARIABLE", action="append", default=[],
        help="a header of every request, its value from a variable; may be repeated")  # fmt: skip
    add("--timeout", type=float, metavar="S", default=60.0,
        help="a request without a token for so long has failed (60)")  # fmt: skip
    add("--client-processes", type=int, metavar="N",
        help="processes that send (as many as are needed)")  # fmt: skip
    add("--alert", action="append", default=[], metavar="'METRIC>X for 30s'",
        help="a limit of what the servers tell, that colours, rings once and is recorded; may be "
        "repeated")  # fmt: skip
    add("--cost-per-hour", type=float, metavar="X",
        help="what the servers cost an hour, together: then what a million tokens cost is "
        "told")  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run what was asked for; the exit code."""
    parser = command_line()
    if {"-h", "--help"} & set(arguments):
        from llamatop.recording.default_path import default_folder

        parser.epilog = f"{parser.epilog}Without --out a recording goes to {default_folder()}."
    args = parser.parse_args(arguments)
    config = _config(args)
    from llamatop.settings.repeats import MAX_RUNS

    if args.check_oom and config.engine == "server":
        raise InputError("--check-oom: what a server's model takes is not foretold")
    if args.check_oom and config.offload != "none":
        raise InputError("--check-oom and --offload: what an offloaded model takes is not foretold")
    if args.check_oom and config.tp > 1:
        raise InputError("--check-oom and --tp: what several ranks take is not foretold")
    if args.check_oom and not _fits(config):
        return EXIT_DOES_NOT_FIT
    if not 1 <= args.runs <= MAX_RUNS:
        raise InputError(f"--runs {args.runs}: must be between 1 and {MAX_RUNS}")
    if args.record and args.no_save:
        raise InputError("--no-save goes with the UI; a run with --record is always recorded")
    if args.record:
        from llamatop.commands.record import record

        if config.max_time != args.max_time:
            print(f"--until-ci: {config.max_time:g} s per level at most (--max-time)",
                  file=sys.stderr)  # fmt: skip
        _tell_of_requests(config)
        if len(args.serve) > 1:
            return _each_server(args, config)
        return record(
            config,
            args.out,
            args.record_text,
            args.json,
            args.verbose,
            runs=args.runs,
            sinks=_listening(args.listen),
        )
    if args.json:
        raise InputError("--json goes with --record")
    if args.runs != 1:
        raise InputError("--runs goes with --record")
    if len(args.serve) > 1:
        raise InputError("--serve given twice goes with --record; the screen shows one")
    gc.disable()  # until the first paint: what is imported stays, and looking at it takes long
    from llamatop.commands.desk import Desk
    from llamatop.commands.watch import watch

    desk = Desk(args.out, not args.no_save, args.record_text, _listening(args.listen))
    choose = args.model is None and args.engine != "scripted" and not config.urls
    choose = choose and config.serve is None
    return watch(config, desk, choose, args.theme, args.verbose)


def config_of(arguments: list[str]) -> RunConfig:
    """The settings that such arguments ask for; InputError where they cannot be."""
    return _config(command_line().parse_args(arguments))


def _each_server(args: argparse.Namespace, config: RunConfig) -> int:
    """The plan on each of the servers that are to be started."""
    from llamatop.commands.engines import record_each
    from llamatop.settings.config import with_server

    if args.runs != 1:
        raise InputError("--runs and --serve given twice: choose one")
    configs = [with_server(config, one, args.model) for one in args.serve]
    sinks = _listening(args.listen)
    return record_each(configs, args.out, args.record_text, args.json, args.verbose, sinks=sinks)


def _listening(address: str | None) -> list[Tally]:
    """What counts for Prometheus, shown at an address; nothing where none is asked for."""
    if address is None:
        return []
    from llamatop.reports.openmetrics import serve
    from llamatop.reports.tally import Tally

    tally = Tally()
    print(f"metrics at {serve(tally, address)}", file=sys.stderr)
    return [tally]


def _tell_of_requests(config: RunConfig) -> None:
    """Who gives a rate and a time may not think of the requests that end a level too."""
    unasked = config.requests is None and config.until_ci is None and not config.until_oom
    if unasked and config.rate is not None and config.max_time is not None:
        print("--rate: 8 x concurrency requests per level at most (--requests)", file=sys.stderr)


def _fits(config: RunConfig) -> bool:
    """Whether the smallest level may fit; the verdict is told where it does not."""
    from llamatop.predict.checking import check, place_here
    from llamatop.reports.bar import pen_for
    from llamatop.reports.check import check_text

    found = check(config, place_here(config.device))
    if not found.may_fit:
        print(check_text(found, pen_for(sys.stderr)), file=sys.stderr)
    return found.may_fit


def _endless(args: argparse.Namespace, levels: int) -> bool:
    """Whether nothing but the person ends the run; a search comes to its end by itself."""
    open_ended = (
        args.requests is None
        and args.until_ci is None
        and not args.until_oom
        and not args.until_slo
    )
    return not args.record and open_ended and levels == 1


def _max_time(args: argparse.Namespace) -> float | None:
    """An interval that is never reached must not keep a run for ever."""
    unlimited = args.until_ci is not None and args.max_time is None
    return UNTIL_CI_SECONDS if unlimited else cast("float | None", args.max_time)


def _given(prompts: str | None) -> list[FilePrompt]:
    """What a file of prompts holds, none without one; raises InputError if it is bad."""
    if prompts is None:
        return []
    from llamatop.settings.prompt_file import read_file

    file = read_file(prompts)
    if file.left_out:
        print(f"--prompts {prompts}: {file.left_out} empty conversations left out", file=sys.stderr)
    return file.prompts


def _replayed(args: argparse.Namespace, given: list[FilePrompt]) -> bool:
    """Whether the file's times say when requests arrive."""
    if not given or given[0].at is None:
        return False
    if args.rate is not None or args.ramp is not None:
        print(f"--prompts {args.prompts}: its times are left aside for the rate", file=sys.stderr)
        return False
    return True


def _turns(asked: int | None, given: list[FilePrompt]) -> int | None:
    """Turns of the longest conversation; of a file, where nothing is asked, what its lines have."""
    longest = max((len(one.turns) for one in given), default=1)
    return longest if asked is None and longest > 1 else asked


def _requests(args: argparse.Namespace, given: list[FilePrompt], replayed: bool) -> int | None:
    """Measured requests of a level; a file with times is replayed once at most."""
    most = args.turns or max((len(one.turns) for one in given), default=1)
    lines = sum(min(len(one.turns), most) for one in given)
    return min(args.requests or lines, lines) if replayed else args.requests


def _limits(texts: list[str]) -> tuple[str, ...]:
    """Limits as they are kept; InputError where one cannot be read."""
    if not texts:
        return ()
    from llamatop.figures.limits import limit

    return tuple(limit(text).spelled for text in texts)


def _or(asked: str | None, usual: int) -> str:
    return str(usual) if asked is None else asked


def _config(args: argparse.Namespace) -> RunConfig:
    """The settings asked for; what was left open differs between screen and headless."""
    from llamatop.predict.fit import parse_size
    from llamatop.settings.arrivals import parse_ramp
    from llamatop.settings.checks import checked
    from llamatop.settings.config import (
        WATCHED,
        RunConfig,
        parse_slo,
        whole_prompts,
        with_server,
    )
    from llamatop.settings.lengths import Lengths, parse_lengths
    from llamatop.settings.servers import base_urls, check_secrets, parse_headers

    if args.prompts is not None and args.prompt_toks is not None:
        raise InputError("--prompts and --prompt-toks: a file's prompts have their own lengths")
    plain = RunConfig() if args.record else WATCHED
    asked_in = _or(args.prompt_toks, plain.prompt_toks)
    asked_out = _or(args.gen_toks, plain.gen_toks)
    prompt, prompt_lengths = parse_lengths("--prompt-toks", asked_in)
    gen, gen_lengths = parse_lengths("--gen-toks", asked_out)
    given = _given(args.prompts)
    replayed = _replayed(args, given)
    requests = _requests(args, given, replayed)
    longest = max((one.output_tokens or gen for one in given), default=gen)
    if args.prompts is not None and gen_lengths is None:
        gen_lengths = Lengths("uniform", gen, gen)  # of lines that say nothing
    usual_levels = (1,) if args.until_oom or args.until_slo else plain.concurrency
    urls, headers = base_urls(args.url), parse_headers(args.header)
    serve = args.serve[0] if args.serve else None
    if urls and serve is not None:
        raise InputError("--serve and --url: give one, a server to start or one that runs")
    theirs = bool(urls or serve)
    if replayed:
        at_once = AT_ONCE if theirs or args.engine == "scripted" else AT_ONCE_HERE
        usual_levels = (min(len(given), at_once),)
    levels = tuple(args.concurrency or usual_levels)
    asked = RunConfig(
        model=args.model or ("" if theirs else "demo"),
        serve_timeout=args.serve_timeout,
        weights=args.weights,
        layers=args.layers,
        engine="server" if theirs and args.engine == "auto" else args.engine,
        concurrency=levels,
        requests=requests,
        endless=_endless(args, len(levels)) and not replayed,
        rate=args.rate,
        ramp=parse_ramp(args.ramp) if args.ramp is not None else None,
        burstiness=args.burstiness,
        replayed=replayed,
        speed=args.speed,
        max_time=_max_time(args),
        until_ci=args.until_ci,
        until_oom=args.until_oom,
        until_slo=args.until_slo,
        share=args.share,
        slo=parse_slo(args.slo) if args.slo is not None else {},
        prompt_toks=prompt,
        gen_toks=longest,
        prompt_lengths=prompt_lengths,
        gen_lengths=gen_lengths,
        prompts=args.prompts,
        dtype=args.dtype,
        device=args.device,
        seed=args.seed,
        text=args.record_text or not args.record,
        memory=parse_size(args.memory) if args.memory else None,
        quantize=args.quantize,
        offload=args.offload,
        tp=args.tp,
        urls=urls,
        endpoint=args.endpoint,
        tokenizer=args.tokenizer,
        api_key_env=args.api_key_env,
        headers=headers,
        timeout=args.timeout,
        client_processes=args.client_processes,
        prefix_toks=args.prefix_toks,
        prefixes=args.prefixes,
        turns=_turns(args.turns, given),
        alerts=_limits(args.alert),
        cost_per_hour=args.cost_per_hour,
    )
    config = checked(with_server(whole_prompts(asked), serve, args.model))
    check_secrets(config.api_key_env, config.headers, os.environ)
    return config

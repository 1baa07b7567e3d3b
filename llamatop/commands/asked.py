"""What the options of a run ask for, as its settings: what was left open, and what files say.

Knows no engine: what cannot go together is found in `settings`.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, cast

from llamatop.commands.run_options import command_line
from llamatop.errors import InputError

if TYPE_CHECKING:
    from llamatop.settings.config import RunConfig
    from llamatop.settings.prompt_lines import FilePrompt

UNTIL_CI_SECONDS = 120.0
"""Per level at most with --until-ci, where no --max-time is given."""

AT_ONCE = 256
"""Requests in flight at most while a file's times are replayed, where nothing is asked for."""

AT_ONCE_HERE = 16
"""The same where the model runs in process: their caches are in this machine's memory."""


def config_of(arguments: list[str]) -> RunConfig:
    """The settings that such arguments ask for; InputError where they cannot be."""
    return settings_of(command_line().parse_args(arguments))


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


def settings_of(args: argparse.Namespace) -> RunConfig:
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
        tuning=not args.no_tuning,
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

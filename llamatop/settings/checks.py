"""Whether a run can be as it is asked for: values in their range, options that go together.

Knows no engine, no model and no file.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from llamatop.errors import InputError
from llamatop.settings.arrivals import check_arrivals
from llamatop.settings.config import MAX_CONCURRENCY, RunConfig
from llamatop.settings.lengths import MOST_TOKENS, in_tokens
from llamatop.settings.servers import base_urls, is_variable

OFFLOAD_ENGINES = ("auto", "batch")
"""Engines that may offload: in others weights would move under what another thread computes."""

TP_ENGINES = ("auto", "batch")
"""Engines whose steps all ranks can take alike."""

MOST_RANKS = 64
"""More ranks than this are a typing error: no machine has so many devices."""

MOST_TURNS = 1000
"""More turns of a conversation than this are a typing error rather than a wish."""

MAX_PROCESSES = 64
"""More processes that send than this is a typing error rather than a wish."""


def checked(config: RunConfig) -> RunConfig:
    """The same config, or InputError naming the first option that cannot be."""
    for level in config.concurrency:
        _in_range("--concurrency", level, 1, MAX_CONCURRENCY)
    if not config.concurrency:
        raise InputError("--concurrency: give at least one number of requests, as in 1 2 4")
    _check_texts(config)
    if config.prompt_lengths is None:
        in_tokens("--prompt-toks", config.prompt_toks)
    in_tokens("--gen-toks", config.gen_toks)
    if config.requests is not None:
        _in_range("--requests", config.requests, 1, 2**31)
    if not -(2**63) <= config.seed < 2**63:
        raise InputError(f"--seed {config.seed}: must be a number of at most 64 bits")
    if config.layers is not None:
        _in_range("--layers", config.layers, 1, 2**15)
    check_arrivals(config.rate, config.ramp, config.burstiness, config.max_time)
    if not 0 < config.speed < inf:
        raise InputError(f"--speed {config.speed:g}: must be more than 0, and finite")
    _check_shared(config)
    if config.speed != 1 and not config.replayed:
        raise InputError(
            f'--speed {config.speed:g}: goes with --prompts whose lines have a "timestamp"'
        )
    if config.max_time is not None and not 0 < config.max_time < inf:
        raise InputError(f"--max-time {config.max_time:g}: must be more than 0 seconds, and finite")
    if config.quantize != "none" and config.engine == "scripted":
        raise InputError(f"--quantize {config.quantize}: --engine scripted has no weights")
    if config.until_ci is not None:
        _check_until_ci(config, config.until_ci)
    _check_until_slo(config)
    _check_offload(config)
    _check_tp(config)
    _check_servers(config)
    return config


def _check_texts(config: RunConfig) -> None:
    """A name that is no UTF-8 could neither be sent to the engine nor be recorded."""
    texts = (
        ("--model", config.model),
        ("--prompts", config.prompts or ""),
        ("--serve", config.serve or ""),
    )
    for option, text in (*texts, ("--tokenizer", config.tokenizer or "")):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"{option}: the name is not valid UTF-8; rename it") from None


def _check_offload(config: RunConfig) -> None:
    option = f"--offload {config.offload}"
    if config.offload == "none":
        return
    if config.engine not in OFFLOAD_ENGINES:
        raise InputError(f"{option}: --engine {config.engine} cannot offload; use --engine batch")
    if config.quantize != "none":
        raise InputError(f"{option} and --quantize {config.quantize}: choose one")
    if config.offload == "cpu" and config.device == "cpu":
        raise InputError(f"{option}: the model is on the CPU already; use disk")
    if config.offload == "disk" and config.weights == "random":
        raise InputError(f"{option}: random weights are on no disk; use a local checkpoint")


def _check_tp(config: RunConfig) -> None:
    option = f"--tp {config.tp}"
    _in_range("--tp", config.tp, 1, MOST_RANKS)
    if config.tp == 1 or config.urls or config.serve is not None:
        return  # a server's own is set where it is started
    if config.engine not in TP_ENGINES:
        raise InputError(f"{option}: --engine {config.engine} cannot; use --engine batch")
    if config.quantize != "none":
        raise InputError(f"{option} and --quantize {config.quantize}: choose one")
    if config.offload != "none":
        raise InputError(f"{option} and --offload {config.offload}: choose one")
    if config.memory is not None or config.until_oom:
        other = "--until-oom" if config.until_oom else "--memory"
        raise InputError(f"{option} and {other}: the memory of several ranks is not limited")


def _check_until_slo(config: RunConfig) -> None:
    if not 0 < config.share <= 1:
        raise InputError(f"--share {config.share:g}: must be a share above 0 and up to 1, as 0.95")
    if not config.until_slo:
        return
    if not config.slo:
        raise InputError("--until-slo: say the targets, as in --slo ttft=0.5,tpot=0.05")
    if config.until_oom or config.until_ci is not None:
        other = "--until-oom" if config.until_oom else "--until-ci"
        raise InputError(f"--until-slo and {other}: choose one, they end differently")


def _check_shared(config: RunConfig) -> None:
    """Shared beginnings and conversations."""
    if config.prefix_toks:
        _in_range("--prefix-toks", config.prefix_toks, 1, MOST_TOKENS)
        _in_range("--prefixes", config.prefixes, 1, MOST_TOKENS)
        if config.prompts is not None:
            raise InputError("--prefix-toks and --prompts: a file's prompts begin as they stand")
    elif config.prefixes != 1:
        raise InputError(f"--prefixes {config.prefixes}: goes with --prefix-toks")
    if config.turns is not None:
        _in_range("--turns", config.turns, 1, MOST_TURNS)
    in_tokens("--prompt-toks with --prefix-toks and --turns", config.prompt_toks)


def _check_until_ci(config: RunConfig, share: float) -> None:
    if not 0 < share < 1:
        raise InputError(
            f"--until-ci {share:g}: must be a share between 0 and 1, as 0.05 for 5 percent"
        )
    if config.until_oom:
        raise InputError("--until-ci and --until-oom: choose one, they end levels differently")


def _in_range(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InputError(f"{option} {value}: must be between {low} and {high}")


def _check_servers(config: RunConfig) -> None:
    """What cannot be with servers, or without them."""
    if not config.urls and config.serve is None:
        _check_without(config)
        return
    base_urls(config.urls)
    named = "--url" if config.serve is None else "--serve"
    if config.engine not in ("auto", "server"):
        raise InputError(f"--engine {config.engine} and {named}: a server generates by itself")
    for option, given in _OF_OUR_OWN:
        if given(config):
            raise InputError(
                f"{option} and {named}: the model is the server's; set it where that is started"
            )
    if config.until_oom:
        raise InputError(f"--until-oom and {named}: the end of a server's memory is not looked for")
    if not 0 < config.serve_timeout < inf:
        raise InputError(
            f"--serve-timeout {config.serve_timeout:g}: must be more than 0 seconds, and finite"
        )
    if not 0 < config.timeout < inf:
        raise InputError(f"--timeout {config.timeout:g}: must be more than 0 seconds, and finite")
    if config.client_processes is not None and not 1 <= config.client_processes <= MAX_PROCESSES:
        raise InputError(
            f"--client-processes {config.client_processes}: must be between 1 and {MAX_PROCESSES}"
        )
    check_cost(config.cost_per_hour)
    if config.api_key_env and not is_variable(config.api_key_env):
        raise InputError("--api-key-env: takes the name of a variable, never the key itself")


def check_cost(price: float | None) -> None:
    """Raise InputError where an hour cannot cost so much."""
    if price is not None and not 0 <= price < inf:
        raise InputError(f"--cost-per-hour {price:g}: must be 0 or more, and finite")


Option = tuple[str, Callable[[RunConfig], bool]]
"""An option, and whether a run asks for it."""

_OF_OUR_OWN: tuple[Option, ...] = (
    ("--weights random", lambda c: c.weights != "auto"),
    ("--layers", lambda c: c.layers is not None),
    ("--dtype", lambda c: c.dtype != "auto"),
    ("--device", lambda c: c.device != "auto"),
    ("--quantize", lambda c: c.quantize != "none"),
    ("--offload", lambda c: c.offload != "none"),
    ("--tp", lambda c: c.tp != 1),
    ("--memory", lambda c: c.memory is not None),
)
"""What only an engine of ours can be asked for."""

_OF_SERVERS: tuple[Option, ...] = (
    ("--endpoint", lambda c: c.endpoint != "completions"),
    ("--tokenizer", lambda c: c.tokenizer is not None),
    ("--api-key-env", lambda c: bool(c.api_key_env)),
    ("--header", lambda c: bool(c.headers)),
    ("--timeout", lambda c: c.timeout != 60.0),
    ("--client-processes", lambda c: c.client_processes is not None),
    ("--alert", lambda c: bool(c.alerts)),
    ("--cost-per-hour", lambda c: c.cost_per_hour is not None),
)


def _check_without(config: RunConfig) -> None:
    if config.engine == "server":
        raise InputError(
            "--engine server: give the server's address, as --url http://HOST:PORT, or have one "
            "started, as --serve llama.cpp"
        )
    for option, given in _OF_SERVERS:
        if given(config):
            raise InputError(f"{option}: goes with --url, the address of a server, or --serve")
    if config.serve_timeout != RunConfig().serve_timeout:
        raise InputError("--serve-timeout: goes with --serve")
